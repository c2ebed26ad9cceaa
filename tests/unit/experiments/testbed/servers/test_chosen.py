"""What `--server` and a topology's own commands come to, without a process: what is refused, kept and repeated."""

import hashlib
import io
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli import UsageError
from experiments.compare.records import CompareSettings
from experiments.experiment import find_experiment
from experiments.results.folders import PROJECT
from experiments.results.records import PreflightFigures, Settings
from experiments.results.store import as_json, read_record, write_json
from experiments.testbed.servers import chosen
from server_file import Place, Server
from tests.harness.project import SAMPLE
from tests.harness.server_files import PAYLOAD, write_server_file
from tests.harness.server_records import QUEUEING, SERVER, WHY

EXPERIMENTS = ("compare", "failover", "blocking")
PAYLOAD_FILE = str(PROJECT / "predictors" / "sample.json")


class Measured:
    """Stands in for the short preflight: starts nothing."""

    def __init__(self) -> None:
        self.figures = SERVER.preflight
        self.asked: list[tuple[str, Server, int]] = []
        self.places: list[Place] = []

    def __call__(self, place: Place, server: Server, capacity: int, *_: object) -> PreflightFigures:
        """Notes what is asked for; gives the figures."""
        self.asked.append((place.name, server, capacity))
        self.places.append(place)
        return self.figures


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """The short preflight as a stand-in."""
    stand_in = Measured()
    monkeypatch.setattr(chosen, "measure_in_short", stand_in)
    return stand_in


def planned(name: str, *words: object) -> tuple[Any, str]:
    """The settings of an experiment with these options, and what was printed."""
    printed = io.StringIO()
    experiment = find_experiment(name)
    options = experiment.parser().parse_args(list(map(str, words)))
    if name == "compare":
        options.run_time = options.run_time or 60  # else theory is asked, which takes a second
    settings: Settings = experiment.plan(options, PROJECT, Console(file=printed, width=200))[0]
    return settings, printed.getvalue()


def write_topology(folder: Path, **entries: dict[str, Any]) -> Path:
    """A topology file of active predictors with these further keys."""
    document = {name: {"status": True, "load": 0, "port": 9000, **more} for name, more in entries.items()}
    path = folder / "pool.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_keep_what_the_server_was_and_took(name: str, tmp_path: Path, measured: Measured) -> None:
    """File, command, payload and what was measured; of a header its name; the service time is the measured one."""
    file = write_server_file(tmp_path, "plain", headers={"X-Key": "secret"}, capacity=7)
    settings, printed = planned(name, "--server", file)
    record = settings.server
    assert (record.file, record.path, record.health) == ("plain.json", "/score", "/healthz")
    assert (record.payload_bytes, record.payload_sha256) == (len(PAYLOAD), hashlib.sha256(PAYLOAD).hexdigest())
    assert (record.headers, record.capacity, record.preflight) == (["X-Key"], 7, SERVER.preflight)
    assert "secret" not in f"{settings}"
    assert (settings.service_time_s, settings.at_once) == (0.2, 1)
    assert printed.startswith("preflight of plain: service time 0.2 s (15 predictions, 0.19 s to 0.22 s); 10 at once:")
    assert "warning" not in printed


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_command_that_repeats_names_the_server_and_not_its_time(name: str, tmp_path: Path, measured: Measured) -> None:
    """It is measured again; the command is accepted."""
    file = write_server_file(tmp_path, "plain", capacity=7)
    settings, _ = planned(name, "--server", file)
    words = shlex.split(settings.command)
    assert words[words.index("--server") + 1] == str(file)
    assert "--service-time" not in words
    again, _ = planned(name, *words[4:])
    assert again.command == settings.command


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_command_that_repeats_works_from_the_projects_folder(
    name: str, tmp_path: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path from elsewhere is given in full, one within the project from there, and a known name stays one."""
    file = write_server_file(tmp_path, "plain")
    monkeypatch.chdir(tmp_path)
    within = PROJECT / "servers" / "fastapi.json"
    for given, repeated in (("plain.json", str(file)), (within, "servers/fastapi.json"), ("fastapi", "fastapi")):
        words = shlex.split(planned(name, "--server", given)[0].command)
        assert words[words.index("--server") + 1] == repeated


@pytest.mark.parametrize("name", ["compare", "failover"])
def test_command_that_repeats_has_the_threshold_that_was_given(name: str, tmp_path: Path, measured: Measured) -> None:
    """Where the server file decides, there is none: it would be ignored."""
    without, deciding = (
        shlex.split(
            planned(name, "--server", write_server_file(tmp_path, "plain", **keys), "--threshold", 6)[0].command
        )
        for keys in ({}, {"capacity": 4})
    )
    assert without[without.index("--threshold") + 1] == "6"
    assert "--threshold" not in deciding


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_service_time_beside_a_server_is_refused(name: str, tmp_path: Path, measured: Measured) -> None:
    """It is measured, so that a given one would be ignored."""
    file = write_server_file(tmp_path, "plain")
    with pytest.raises(UsageError, match=r"--service-time: 0\.3: --server .*plain\.json: it is measured: leave it out"):
        planned(name, "--server", file, "--service-time", "0.3")
    assert measured.asked == []


@pytest.mark.parametrize("name", ["compare", "failover"])
def test_load_time_beside_a_server_is_refused(name: str, tmp_path: Path, measured: Measured) -> None:
    """It takes its own time to load."""
    with pytest.raises(UsageError, match=r"--load-time: 3: --server .*: it takes its own time"):
        planned(name, "--server", write_server_file(tmp_path, "plain"), "--load-time", "3")


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [("--payload", PAYLOAD_FILE, "name it as `payload` in a server file"),
     ("--service-time-per-mb", "2", "it takes its own time: leave it out")],
)  # fmt: skip
def test_payload_and_its_time_beside_a_server_are_refused(
    option: str, value: str, why: str, tmp_path: Path, measured: Measured
) -> None:
    """A user's server takes what it takes, and is measured with its own file's payload; so is that of an entry."""
    with pytest.raises(UsageError, match=rf"argument {option}: '?{value}'?: --server .*plain\.json: {why}"):
        planned("compare", "--server", write_server_file(tmp_path, "plain"), option, value)
    pool = write_topology(tmp_path, users={"command": "serve --port {port}"})
    with pytest.raises(UsageError, match=rf"argument {option}: .*: pool: users has a command of its own: {why}"):
        planned("compare", "--topologies", pool, option, value)


def test_settings_keep_the_payload_and_the_whole_time_and_the_command_repeats_both(
    measured: Measured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Theory and run time go by the whole; the path works from the project's folder."""
    monkeypatch.chdir(PROJECT / "predictors")
    options = ("--service-time", 0.3, "--payload", "sample.json", "--service-time-per-mb", 100)
    settings, _ = planned("compare", *options)
    assert (settings.payload.file, settings.payload.size_bytes) == ("sample.json", len(SAMPLE))
    assert (settings.service_time_s, settings.fixed_service_time_s) == (pytest.approx(0.3882), 0.3)
    words = shlex.split(settings.command)
    assert words[words.index("--payload") + 1] == "predictors/sample.json"
    monkeypatch.chdir(PROJECT)
    again, _ = planned("compare", *words[4:])
    assert (again.command, again.service_time_s) == (settings.command, settings.service_time_s)
    write_json(tmp_path / "settings.json", again)
    assert read_record(CompareSettings, tmp_path / "settings.json") == again


def test_settings_without_a_payload_have_no_such_key(measured: Measured) -> None:
    """Nor has the command: records stay as they were."""
    settings, _ = planned("compare")
    assert not {"payload", "service_time_per_mb_s"} & as_json(settings).keys()
    assert not {"--payload", "--service-time-per-mb"} & set(shlex.split(settings.command))


def test_capacity_is_the_entrys_then_the_files_then_the_threshold(tmp_path: Path, measured: Measured) -> None:
    """In this order, in every place: it is measured with as many at once."""
    pool = write_topology(tmp_path, a={}, b={"capacity": 3})
    seven = write_server_file(tmp_path, "plain", capacity=7)
    settings, _ = planned("compare", "--topologies", pool, "--server", seven, "--threshold", 5)
    assert (settings.topologies[0].capacities, settings.threshold) == ({"a": 7, "b": 3}, 7)
    without = write_server_file(tmp_path, "plain")
    settings, _ = planned("compare", "--topologies", pool, "--server", without, "--threshold", 5)
    assert settings.topologies[0].capacities == {"a": 5, "b": 3}
    assert [capacity for _, _, capacity in measured.asked] == [7, 5]


def test_predictor_with_the_greatest_capacity_is_measured(tmp_path: Path, measured: Measured) -> None:
    """Theory goes by its latency with as many at once: what carries 2 may queue at 20."""
    pool = write_topology(tmp_path, small={"capacity": 2}, large={"capacity": 20}, other={"capacity": 20})
    settings, _ = planned("compare", "--topologies", pool, "--server", write_server_file(tmp_path, "plain"))
    assert [(name, capacity) for name, _, capacity in measured.asked] == [("large", 20)]
    assert (settings.server.differ, settings.why_no_theory) == (False, "")


def test_numbers_of_slots_go_by_the_servers_capacity(tmp_path: Path, measured: Measured) -> None:
    """`blocking` without topologies checks one, two and three predictors of it."""
    file = write_server_file(tmp_path, "plain", capacity=4)
    experiment = find_experiment("blocking")
    options = experiment.parser().parse_args(["--server", str(file)])
    run = experiment.plan(options, PROJECT, Console(file=io.StringIO()))[1]
    assert {point.slots for point in run.args[1]} == {4, 8, 12}  # type: ignore[attr-defined]


def test_entry_with_a_command_of_its_own_needs_no_server_file(tmp_path: Path, measured: Measured) -> None:
    """The first of them is measured; that the others differ is told; a service time is refused there, too."""
    pool = write_topology(tmp_path, own={}, users={"command": "serve --port {port}", "path": "/score"})
    settings, printed = planned("compare", "--topologies", pool)
    [(name, server, _)] = measured.asked
    assert (name, server.command, server.path) == ("users", ("serve", "--port", "{port}"), "/score")
    assert (settings.server.file, settings.server.differ) == ("", True)
    assert settings.why_no_theory == "the predictors differ, and predict1 alone was measured"
    assert "the predictors differ: users of pool was measured, the others were not" in printed
    with pytest.raises(UsageError, match=r"pool: users has a command of its own: it is measured"):
        planned("compare", "--topologies", pool, "--service-time", "1")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_server_file_without_a_command_is_refused(name: str, tmp_path: Path, measured: Measured) -> None:
    """Experiments start the predictors."""
    file = tmp_path / "elsewhere.json"
    file.write_text('{"path": "/score"}')
    with pytest.raises(UsageError, match=r"elsewhere\.json: command is missing"):
        planned(name, "--server", file)


def test_loads_of_a_server_that_queues_go_by_its_latency_at_capacity(tmp_path: Path, measured: Measured) -> None:
    """Reckoned from the time alone calm would overload it: the rate is 0.2 / 2.1 of that, and the reason says why."""
    file = write_server_file(tmp_path, "plain")
    quick, _ = planned("failover", "--server", file)
    measured.figures = QUEUEING.preflight
    queueing, printed = planned("failover", "--server", file)
    assert queueing.rate_per_s == pytest.approx(quick.rate_per_s * 0.2 / 2.1, abs=0.01)
    assert "(with all slots held a prediction takes 2.1 s)" in queueing.rate_reason
    assert (queueing.service_time_s, queueing.holding_time_s) == (0.2, 2.1)
    assert f"warning: {WHY}; `python -m experiments server FILE` suggests a capacity" in printed


def test_capacity_that_no_swarm_reaches_is_left_out(tmp_path: Path, measured: Measured) -> None:
    """10 slots of 5 ms each take some 2,000 requests/s: two swarms of minutes would measure nothing."""
    file = write_server_file(tmp_path, "plain")
    slow, _ = planned("failover", "--server", file)
    assert (slow.capacity_spawn_rate_per_s, slow.capacity_service_time_s) == (3.0, 0.2)
    measured.figures = replace(SERVER.preflight, service_time_s=0.005, latency_at_once_s=0.006)
    fast, _ = planned("failover", "--server", file)
    assert fast.capacity_spawn_rate_per_s == 0
    assert fast.rate_per_s <= 300, "what the load generator carries"


def test_own_predictors_are_not_measured(measured: Measured) -> None:
    """Without a server nothing is started before the runs, and the records have no such key."""
    settings, printed = planned("compare")
    assert (settings.server, measured.asked, printed) == (None, [], "")
    assert (settings.service_time_s, settings.at_once, settings.threshold) == (1.0, 3, 10)


@pytest.mark.parametrize("name", ["compare", "failover"])
def test_server_that_hooks_reach_is_measured_where_it_is(name: str, tmp_path: Path, measured: Measured) -> None:
    """Its host and port are the topology's; without hooks another host is refused."""
    pool = write_topology(tmp_path, far={"host": "10.0.0.7"}, near={})
    hooks = {"crash": "docker kill {name}"}
    planned(name, "--topologies", pool, "--server", write_server_file(tmp_path, "plain", command=None, hooks=hooks))
    assert measured.places == [Place("far", "10.0.0.7", (9000,))]
    with pytest.raises(UsageError, match=r"far: host is '10.0.0.7': predictors can be started here only"):
        planned(name, "--topologies", pool, "--server", write_server_file(tmp_path, "plain"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_runs_side_by_side_are_refused_where_hooks_act(name: str, tmp_path: Path, measured: Measured) -> None:
    """They would share the servers; one after the other is what happens without the option, too."""
    file = write_server_file(tmp_path, "plain", command=None, hooks={"crash": "docker kill {name}"})
    with pytest.raises(UsageError, match=r"argument --at-once: 2: .*plain\.json: hooks act on servers that runs"):
        planned(name, "--topologies", "single,2active", "--server", file, "--at-once", "2")
    settings, _ = planned(name, "--topologies", "single,2active", "--server", file)
    assert settings.at_once == 1
