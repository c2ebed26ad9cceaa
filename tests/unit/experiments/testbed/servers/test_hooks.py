"""Hooks: each thing that is done to a predictor of another process manager is its user's command."""

from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from cli import CommandError, UsageError
from experiments.testbed.servers import hooks
from experiments.testbed.servers.hooks import HookedPredictor, leave_all
from server_file import HOOKS, Place, Server
from tests.harness.waiting import wait_until

PLACE = Place("far", "10.0.0.7", (9696,))


def made(folder: Path, actions: Mapping[str, str], log: str = "far.log") -> HookedPredictor:
    """A predictor with hooks that are scripts of the shell."""
    commands = {action: ("sh", "-c", script) for action, script in actions.items()}
    return HookedPredictor(Server(file=Path("my.json"), hooks=commands, cwd=folder), PLACE, folder / log)


def noting(*actions: str) -> dict[str, str]:
    """Hooks that note what is done."""
    return {action: f"echo {action} {{name}} {{host}}:{{port}} $NAME $PORT >>done" for action in actions}


def done(folder: Path) -> list[str]:
    """What has been done, by its first word."""
    file = folder / "done"
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


def test_hook_runs_in_its_folder_with_placeholders_filled(tmp_path: Path) -> None:
    """Name, host and port in the words, and in the environment."""
    made(tmp_path, noting("start"))
    assert (tmp_path / "done").read_text() == "start far 10.0.0.7:9696 far 9696\n"


def test_hooked_predictor_does_each_thing_by_its_hook(tmp_path: Path) -> None:
    """In the order in which it is asked for; a frozen one goes on before it is stopped, and is stopped once."""
    predictor = made(tmp_path, noting(*HOOKS))
    predictor.freeze()
    predictor.terminate()
    predictor.stop()
    assert done(tmp_path) == ["start", "hang", "resume", "stop"]


def test_kill_begins_all_before_it_waits_for_any(tmp_path: Path) -> None:
    """Predictors that crash together wait for each other's hook in vain if they are crashed one after the other."""
    meet = "touch {0}; for i in $(seq 200); do [ -e {1} ] && exit 0; sleep 0.05; done; exit 1"
    first = made(tmp_path, {"crash": meet.format("a", "b")})
    second = made(tmp_path, {"crash": meet.format("b", "a")})
    for predictor in (first, second):
        predictor.send_kill()
    for predictor in (first, second):
        predictor.finish_kill()


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (("start", "stop"), ["start", "stop"]),
        (("start",), ["start"]),
        (("stop",), []),
    ],
)
def test_leave_all_stops_what_was_started_here(tmp_path: Path, actions: tuple[str, ...], expected: list[str]) -> None:
    """What ran before goes on, and so does what no hook stops."""
    leave_all([made(tmp_path, noting(*actions))])
    assert done(tmp_path) == expected


def test_leave_all_lets_a_frozen_one_go_on(tmp_path: Path) -> None:
    """It ran before, and runs again."""
    predictor = made(tmp_path, noting("hang", "resume"))
    predictor.freeze()
    leave_all([predictor])
    assert done(tmp_path) == ["hang", "resume"]


def test_leave_all_does_all_before_it_tells_what_failed(tmp_path: Path) -> None:
    """One that cannot be stopped leaves none of the others running."""
    failing = made(tmp_path, noting("start") | {"stop": "echo stuck; exit 3"}, "other.log")
    with pytest.raises(CommandError, match=r"exit status 3: stuck$"):
        leave_all([failing, made(tmp_path, noting("start", "stop"))])
    assert done(tmp_path) == ["start", "start", "stop"]


def test_hook_that_fails_is_told_in_one_line_with_its_last(tmp_path: Path) -> None:
    """The predictor, the hook, its command, how it ended and what it said; not what an earlier hook said."""
    predictor = made(tmp_path, {"start": "echo started", "crash": "echo no such container far >&2; exit 1"})
    predictor.send_kill()
    with pytest.raises(CommandError) as raised:
        predictor.finish_kill()
    assert str(raised.value) == (
        "far: the hook crash (sh -c 'echo no such container far >&2; exit 1') ended with exit status 1: "
        "no such container far"
    )


def test_hook_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that waits for an answer would hold up the experiment."""
    monkeypatch.setattr(hooks, "HOOK_WITHIN_S", 0.2)
    with pytest.raises(CommandError, match=r"^far: the hook start \(.*\) has not ended after 0.2 s$"):
        made(tmp_path, {"start": "exec sleep 60"})


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_hook_that_is_given_up_ends_with_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell's own child outlives it, and nobody would end it."""
    monkeypatch.setattr(hooks, "HOOK_WITHIN_S", 0.5)
    with pytest.raises(CommandError, match="has not ended"):
        made(tmp_path, {"start": "sleep 60 & echo $! >pid; wait"})
    sleeper = int((tmp_path / "pid").read_text())
    wait_until(lambda: not _runs(sleeper))


def test_start_that_fails_is_stopped_again(tmp_path: Path) -> None:
    """As of `docker run`, which a time limit ends: its container may run."""
    with pytest.raises(CommandError, match=r"exit status 1: no luck$"):
        made(tmp_path, noting("stop") | {"start": "echo no luck; exit 1"})
    assert done(tmp_path) == ["stop"]


def test_hang_that_fails_is_resumed(tmp_path: Path) -> None:
    """How far its hook got is not known."""
    predictor = made(tmp_path, noting("resume") | {"hang": "exit 1"})
    with pytest.raises(CommandError, match="the hook hang"):
        predictor.freeze()
    leave_all([predictor])
    assert done(tmp_path) == ["resume"]


def test_hook_that_is_not_there_is_a_users_mistake(tmp_path: Path) -> None:
    """Its name, and why it is needed."""
    with pytest.raises(UsageError, match=r"^my.json: hooks: crash is missing: far is no child"):
        made(tmp_path, {}).send_kill()


def test_tail_of_hooks_that_said_nothing_is_empty(tmp_path: Path) -> None:
    """There is no log to speak of."""
    assert made(tmp_path, {}).tail() == ""
    assert made(tmp_path, {"start": "echo hello"}).tail() == "  | hello"
