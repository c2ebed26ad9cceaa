"""The routers' installer, and the steps of their measurement; no registry is asked, and no experiment runs."""

import fcntl
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.failover.faults import FAULTS
from experiments.testbed.signals import InterruptedBySignalError
from tests.command_lines import assert_has_help
from tools import peers, peers_measure
from tools.peers_figures import SATURATION
from tools.peers_measure import Plan, Step
from tools.peers_results import FINISHED
from tools.peers_tables import ORDER


def main(arguments: list[str]) -> int:
    """The program, with these arguments."""
    return peers.run_subcommand("tools.peers", peers.COMMANDS, arguments)


# Steps

PLAN = Plan(("flask", "nginx"), repeats=2)


@pytest.fixture(autouse=True)
def without_saturation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps are like the others, and have a test of their own."""
    known = {name: fault for name, fault in FAULTS.items() if name != SATURATION}
    monkeypatch.setattr(peers_measure, "FAULTS", known)


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Measures, but each command, which holds the lock, only makes its folder and ends with `status`."""
    began = itertools.count()
    ends_with = [0]

    def make_folder(words: list[str], _env: object, lock: int) -> int:
        assert os.path.samestat(os.fstat(lock), (tmp_path / "run" / peers_measure.LOCK).stat())
        folder = Path(next(word for word in words if "/run/" in word).removeprefix("--out="))
        folder.mkdir()
        (folder / "records").write_text(f"{next(began)}")
        return ends_with[0]

    monkeypatch.setattr(peers_measure, "run_to_end", make_folder)
    monkeypatch.setattr(peers_measure, "why_impossible", lambda: "")

    def run(status: int = 0, plan: Plan = PLAN) -> list[str]:
        ends_with[0] = status
        shown: list[str] = []
        peers_measure.measure(plan, tmp_path / "run", {}, shown.append)
        return shown

    return run


def records(tmp_path: Path) -> dict[str, str]:
    """What each step has left."""
    return {path.parent.name: path.read_text() for path in tmp_path.glob("run/*/records")}


def test_steps_are_both_topologies_per_repeat_then_throughput(tmp_path: Path) -> None:
    """Each with all routers side by side, under the calm load; a repeat's number is its seed."""
    found = peers_measure.steps(PLAN, tmp_path, hosts=True)
    assert [step.name for step in found] == ["2active-1", "2hosts-1", "2active-2", "2hosts-2", "throughput"]
    for words in ("--router=flask,nginx", "--loads=calm", "--no-capacity", "--seed=2", f"--out={tmp_path}/2active-2"):
        assert words in found[2].command
    assert "--at-once=7" in found[2].command
    assert "--at-once=7" in found[3].command
    assert any("--faults=none," in word and "host" in word for word in found[3].command)
    assert found[4].command[:2] == ("benchmarks", "routers")


def test_steps_have_saturation_apart_with_fewer_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Struck at one moment behind all routers, it would take more than the machine has."""
    monkeypatch.setattr(peers_measure, "FAULTS", FAULTS | {SATURATION: FAULTS["surge"]})
    found = peers_measure.steps(PLAN, tmp_path, hosts=False)
    assert [step.name for step in found[:2]] == ["2active-1", "saturation-1"]
    assert {"--faults=saturation", "--at-once=3", "--topologies=2active"} <= set(found[1].command)
    assert not any(SATURATION in word for word in found[0].command if word.startswith("--faults="))


def test_steps_measure_every_fault_that_their_topologies_can_have() -> None:
    """A new fault gets its row; the topologies have no regions."""
    assert set(FAULTS) - set(ORDER) == {"region"}


def test_steps_without_namespaces_have_no_hosts(tmp_path: Path) -> None:
    """Nothing is asked for that cannot be done; the hosts' faults are not asked for elsewhere either."""
    found = peers_measure.steps(PLAN, tmp_path, hosts=False)
    assert [step.name for step in found] == ["2active-1", "2active-2", "throughput"]
    assert not any("host" in word.partition("=")[2].split(",") for step in found for word in step.command)


def test_measure_says_why_hosts_are_left_out(
    measure: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, with the reason."""
    monkeypatch.setattr(peers_measure, "why_impossible", lambda: "root may make them")
    assert "root may make them" in measure()[0]


def test_measure_finished_steps_are_skipped(tmp_path: Path, measure: Callable[..., list[str]]) -> None:
    """The second time nothing runs, and what stands there is as it was."""
    assert [line.partition(",")[0] for line in measure()] == [
        f"step {number} of 5: {name}"
        for number, name in enumerate(["2active-1", "2hosts-1", "2active-2", "2hosts-2", "throughput"], start=1)
    ]
    before = records(tmp_path)
    assert all("finished before" in line for line in measure())
    assert records(tmp_path) == before
    assert len(before) == 5


def test_measure_half_a_step_is_done_again(tmp_path: Path, measure: Callable[..., list[str]]) -> None:
    """What has no mark of its end is removed, and nothing else."""
    measure()
    before = records(tmp_path)
    (tmp_path / "run" / "2hosts-1" / FINISHED).unlink()
    (tmp_path / "run" / "2hosts-1" / "half").touch()
    measure()
    after = records(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"2hosts-1"}
    assert not (tmp_path / "run" / "2hosts-1" / "half").exists()


def test_measure_a_step_that_fails_ends_all_and_is_not_finished(
    tmp_path: Path, measure: Callable[..., list[str]]
) -> None:
    """What failed how, and what goes on; it does."""
    with pytest.raises(peers.CommandError, match=r"2active-1: python -m experiments failover .* status 3"):
        measure(status=3)
    assert not list(tmp_path.glob(f"run/*/{FINISHED}"))
    assert "2active-1, about" in measure()[0]


def test_measure_more_repeats_are_added(tmp_path: Path, measure: Callable[..., list[str]]) -> None:
    """Those that are there stay."""
    measure()
    before = records(tmp_path)
    measure(plan=Plan(PLAN.routers, repeats=3))
    after = records(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"2active-3", "2hosts-3"}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (Plan(("flask",), 2), "begun with --routers=flask,nginx, not --routers=flask: give the same, or a new folder"),
        (replace(PLAN, at_once=2), "begun with --at-once=7, not --at-once=2: give"),
        (replace(PLAN, window_s=9.0), "begun with --window=8, not --window=9: give"),
        (replace(PLAN, contents=("./my.json@12ab",)), r"begun with less, not \./my\.json@12ab: give"),
    ],
)
def test_measure_other_settings_are_refused(measure: Callable[..., list[str]], other: Plan, told: str) -> None:
    """Steps of other settings would be pooled with them."""
    measure()
    with pytest.raises(peers.UsageError, match=told):
        measure(plan=other)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LOAD", peers_measure.LOAD | {"rate": "15"}, "begun with --rate=8, not --rate=15: give"),
        (
            "LOAD",
            peers_measure.LOAD | {"service-time": "1"},
            "begun with --service-time=0.4, not --service-time=1: give",
        ),
        ("TOPOLOGY", "3active", "a plan.json of another version"),
        ("SATURATING_AT_ONCE", 1, "begun with --at-once=3, not --at-once=1: give"),
    ],
)
def test_measure_what_the_code_has_changed_is_refused(
    measure: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, name: str, value: object, told: str
) -> None:
    """A folder that another version of this program has begun may have been measured at another rate."""
    monkeypatch.setattr(peers_measure, "FAULTS", FAULTS)
    measure()
    monkeypatch.setattr(peers_measure, name, value)
    with pytest.raises(peers.UsageError, match=told):
        measure()


@pytest.mark.parametrize("kept", ['{"--routers": "flask,nginx", "--at-once": 7, "window_s": 8.0}', "[]"])
def test_measure_a_plan_of_another_version_is_refused(
    tmp_path: Path, measure: Callable[..., list[str]], kept: str
) -> None:
    """It does not say all that the steps had in common."""
    measure()
    (tmp_path / "run" / "plan.json").write_text(kept)
    with pytest.raises(peers.UsageError, match=r"begun with a plan\.json of another version: give"):
        measure()


def test_plan_is_the_same_with_and_without_namespaces(
    measure: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured without root goes on as root, and then has the hosts' faults too."""
    monkeypatch.setattr(peers_measure, "why_impossible", lambda: "root may make them")
    measure()
    monkeypatch.setattr(peers_measure, "why_impossible", lambda: "")
    assert [line.split(": ")[1].partition(",")[0] for line in measure() if "finished before" not in line] == [
        "2hosts-1",
        "2hosts-2",
    ]


def test_contents_tell_a_changed_file_of_ones_own(tmp_path: Path) -> None:
    """By file and template; routers that are shipped have none, for the commit tells of them."""
    shutil.copytree(peers.ROUTERS, tmp_path / "routers")
    given = [f"flask,nginx,{tmp_path}/routers/caddy.json"]

    def contents() -> tuple[str, ...]:
        return peers.contents_of(peers.choose_routers(given, (), peers.PROJECT))

    before = contents()
    assert [word.partition("@")[0] for word in before] == [f"{tmp_path}/routers/caddy.json"]
    assert contents() == before
    config = peers.choose_routers(given, (), peers.PROJECT).chosen[2].file
    assert config is not None
    config.config.write_text(config.config.read_text() + "\n")
    assert contents() != before


# One measurement at a time

CHILD = """
from pathlib import Path
from tools.peers_measure import held, run_to_end
with held(Path.cwd()) as lock:
    run_to_end(["sh", "-c", "echo begun; exec cat"], None, lock)
"""


def test_measure_is_refused_while_another_measures(tmp_path: Path, measure: Callable[..., list[str]]) -> None:
    """Half a step, which is the other's, stays as it is; afterwards it goes on."""
    with pytest.raises(peers.CommandError):
        measure(status=3)
    before = records(tmp_path)
    told = "run: still measured by another process: wait for it, or end it$"
    with peers_measure.held(tmp_path / "run"), pytest.raises(peers.UsageError, match=told):
        measure()
    assert records(tmp_path) == before
    assert len(measure()) == 5


def test_measure_is_refused_while_the_step_of_a_killed_one_runs(tmp_path: Path) -> None:
    """kill -9 ends the measurement alone: what it has started writes on, and holds the folder until it ends."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], cwd=tmp_path, env={"PYTHONPATH": str(peers.PROJECT), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.kill()
        process.wait()
        with pytest.raises(peers.UsageError, match="still measured"), peers_measure.held(tmp_path):
            pass
    with (tmp_path / peers_measure.LOCK).open() as file:  # its input is closed now, which ends the step
        fcntl.flock(file, fcntl.LOCK_EX)
    with peers_measure.held(tmp_path):
        pass


def test_measure_what_cannot_be_removed_is_not_measured_over(
    tmp_path: Path, measure: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of two runs in one folder would be pooled."""
    with pytest.raises(peers.CommandError):
        measure(status=3)
    before = records(tmp_path)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path / "records"))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(peers.UsageError, match=r"2active-1/records: cannot be removed: Permission denied; remove .*1$"):
        measure()
    assert records(tmp_path) == before


# Going on


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (Plan(peers.ALL, peers.REPEATS), "go on: make peers PEERS=/x/run"),
        (Plan(peers.ALL, 3), "go on: python -m tools.peers measure /x/run --repeats 3"),
        (
            Plan(("flask", "./my.json"), 5, at_once=2),
            "go on: python -m tools.peers measure /x/run --at-once 2 --routers flask,./my.json",
        ),
    ],
)
def test_go_on_repeats_what_was_asked_for(plan: Plan, told: str) -> None:
    """make's command where it asks for the same, for it reports too."""
    assert peers.go_on(plan, Path("/x/run")) == told


@pytest.mark.parametrize(
    ("stopped_by", "told", "status"),
    [
        (InterruptedBySignalError(signal.SIGTERM), "stopped by SIGTERM: go on: python -m tools.peers measure", 143),
        (KeyboardInterrupt(), "stopped by SIGINT: go on: python -m tools.peers measure", 130),
        (peers.CommandError("2active-1: failed"), "2active-1: failed; go on: python -m tools.peers measure", 1),
    ],
)
def test_measure_that_ends_before_says_what_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_by: BaseException, told: str, status: int
) -> None:
    """Whatever ended it, with the status that it has."""

    def stop(*_: object) -> None:
        raise stopped_by

    monkeypatch.setattr(peers_measure, "measure", stop)
    with pytest.raises(peers.CommandError, match=told) as raised:
        peers.measure(PLAN, tmp_path, {})
    assert raised.value.exit_status == status


def test_measure_that_was_refused_does_not_say_go_on(tmp_path: Path) -> None:
    """The same again would be refused again."""
    (tmp_path / "mine").touch()
    with pytest.raises(peers.UsageError) as raised:
        peers.measure(PLAN, tmp_path, {})
    assert "go on" not in str(raised.value)


# The folder


def test_measure_a_folder_of_something_else_is_refused(tmp_path: Path, measure: Callable[..., list[str]]) -> None:
    """Nothing of it is touched."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").touch()
    with pytest.raises(peers.UsageError, match="not empty and no folder of measure"):
        measure()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine"]


def test_left_s_is_by_finished_steps_of_the_kind(tmp_path: Path) -> None:
    """Two took 100 and 140 s: a third takes 120, whatever was expected; of another kind what was expected."""
    every = [Step(name, name[0], (), 7.0) for name in ("a1", "a2", "a3", "b1")]
    for name, took_s in (("a1", 100.0), ("a2", 140.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / FINISHED).write_text(json.dumps({"took_s": took_s}))
    assert peers_measure.left_s(every, tmp_path, every) == pytest.approx(120.0 + 7.0)


@pytest.mark.parametrize("mark", ["{}", "[]", '{"took_s": null}'])
def test_left_s_of_a_step_that_does_not_say_how_long_it_took_is_one_line(tmp_path: Path, mark: str) -> None:
    """It says what to do."""
    (tmp_path / "a1").mkdir()
    (tmp_path / "a1" / FINISHED).write_text(mark)
    every = [Step(name, "a", (), 7.0) for name in ("a1", "a2")]
    with pytest.raises(peers.UsageError, match=r"a1/finished\.json: has no took_s: remove that file"):
        peers_measure.left_s(every, tmp_path, every)


@pytest.mark.parametrize("name", ["", "install", "measure", "report"])
def test_help_has_an_example_and_fits(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command's help."""
    assert_has_help(main, name, "-m tools.peers", capsys, monkeypatch)
