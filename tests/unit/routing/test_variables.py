"""The two variables of router.py: reading them from its text, and following the file as it is saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from routing import variables
from routing.variables import NAMES, Variables, VariablesError, read, watch

ROUTER = Path(__file__).resolve().parents[3] / "router.py"
KNOWN_TOPOLOGIES = "0 (single), 1 (2active), 2 (3active)"
WHOLE_NUMBER = "a whole number, 1 or more"


@pytest.fixture
def router(tmp_path: Path) -> Path:
    """A router.py with the post's values."""
    path = tmp_path / "router.py"
    save(path, "topology = 0\nnode_threshold = 10\n")
    return path


def save(path: Path, text: str) -> None:
    """Save as a careful editor does: a new file in the old one's place."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


def refusal(path: Path, text: str) -> str:
    """What is told about a router.py with this text, which must be one line and name the file."""
    save(path, text)
    with pytest.raises(VariablesError) as caught:
        read(path)
    told = str(caught.value)
    assert len(told.splitlines()) == 1
    assert told.startswith("router.py")
    return told


# Reading


def test_read_shipped_router_gives_the_posts_values() -> None:
    """The project's own router.py holds the post's two variables."""
    assert read(ROUTER) == Variables(topology=0, node_threshold=10)


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_read_each_topology_is_accepted(router: Path, number: int) -> None:
    """0, 1 and 2 are the post's three topologies."""
    save(router, f"topology = {number}  # mine\nnode_threshold = 1\n")
    assert read(router) == Variables(number, 1)


def test_read_last_assignment_counts(router: Path) -> None:
    """As when Python runs the file, a later assignment goes before an earlier one."""
    save(router, "topology = 7\ntopology = 1\nnode_threshold = 10\nnode_threshold = 20\n")
    assert read(router) == Variables(1, 20)


def test_read_does_not_run_the_file(router: Path, tmp_path: Path) -> None:
    """The file is read, not imported: saving it half-edited runs nothing."""
    save(router, f"open({str(tmp_path / 'ran')!r}, 'w')\ntopology = 0\nnode_threshold = 10\n")
    assert read(router) == Variables(0, 10)
    assert not (tmp_path / "ran").exists()


def test_read_assignment_elsewhere_does_not_count(router: Path) -> None:
    """Only the top of the file counts, not a function's own variable of that name."""
    save(router, "topology = 1\nnode_threshold = 10\ndef f():\n    topology = 2\n")
    assert read(router).topology == 1


# Wrong values


@pytest.mark.parametrize("value", ["3", "-1", "True", "1.0", "'2active'", "None", "[0]", "1 + 1", "x", "10**9"])
def test_read_wrong_topology_tells_line_and_accepted(router: Path, value: str) -> None:
    """A wrong topology is told with its line, its value and the accepted ones."""
    told = refusal(router, f"# mine\n\ntopology = {value}\nnode_threshold = 10\n")
    assert told.startswith("router.py, line 3: topology = ")
    assert told.endswith(f"is not accepted: give {KNOWN_TOPOLOGIES}")


@pytest.mark.parametrize("value", ["0", "-10", "True", "10.0", "'10'", "None"])
def test_read_wrong_threshold_tells_line_and_accepted(router: Path, value: str) -> None:
    """A wrong threshold is told with its line, its value and what is accepted."""
    told = refusal(router, f"topology = 0\nnode_threshold = {value}\n")
    assert told == f"router.py, line 2: node_threshold = {value} is not accepted: give {WHOLE_NUMBER}"


@pytest.mark.parametrize(
    ("text", "name", "accepted"),
    [("node_threshold = 10\n", "topology", KNOWN_TOPOLOGIES), ("topology = 0\n", "node_threshold", WHOLE_NUMBER)],
)
def test_read_missing_variable_is_named(router: Path, text: str, name: str, accepted: str) -> None:
    """A variable that is not there is named, with what it may be."""
    told = refusal(router, text)
    assert f"the variable {name} is missing" in told
    assert accepted in told


@pytest.mark.parametrize("text", ["topology = \nnode_threshold = 10\n", "topology = 0\n\0", "(" * 50])
def test_read_syntax_error_is_told(router: Path, text: str) -> None:
    """A file that is not Python is told in one line."""
    assert "cannot be read as Python" in refusal(router, text)


def test_read_syntax_error_tells_the_line(router: Path) -> None:
    """Where Python knows the line of a mistake, it is told."""
    assert "line 2" in refusal(router, "node_threshold = 10\ntopology = \n")


def test_read_not_text_is_told(router: Path) -> None:
    """A file that is not UTF-8 is told, and so is one that is not there."""
    router.write_bytes(b"\xff\xfe")
    with pytest.raises(VariablesError, match="cannot be read"):
        read(router)
    router.unlink()
    with pytest.raises(VariablesError, match="cannot be read"):
        read(router)


# Following the file


class Seen:
    """What `watch` has told, and a way to wait for the next."""

    def __init__(self) -> None:
        self.changes: list[Variables] = []
        self.refusals: list[str] = []
        self._told = Event()

    def changed(self, values: Variables) -> None:
        """Note other values."""
        self.changes.append(values)
        self._told.set()

    def refuse(self, text: str) -> None:
        """Note wrong values."""
        self.refusals.append(text)
        self._told.set()

    def wait(self) -> None:
        """Wait until something is told."""
        assert self._told.wait(timeout=10)
        self._told.clear()


@contextmanager
def watching(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Follow the file from the post's values on, looking often."""
    monkeypatch.setattr(variables, "POLL_INTERVAL_S", 0.005)
    seen = Seen()
    watcher = gevent.spawn(watch, path, Variables(0, 10), seen.changed, seen.refuse)
    gevent.sleep(0.02)
    try:
        yield seen
    finally:
        watcher.kill()


def test_watch_saved_with_other_values_tells_them(router: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time other values are saved they are told, once."""
    with watching(router, monkeypatch) as seen:
        save(router, "topology = 1\nnode_threshold = 10\n")
        seen.wait()
        save(router, "# the same values\ntopology = 1\nnode_threshold = 10\n")
        gevent.sleep(0.03)
        save(router, "topology = 2\nnode_threshold = 5\n")
        seen.wait()
    assert seen.changes == [Variables(1, 10), Variables(2, 5)]
    assert seen.refusals == []


def test_watch_saved_before_the_first_look_tells_it(router: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved while the router was starting is not missed."""
    save(router, "topology = 2\nnode_threshold = 10\n")
    with watching(router, monkeypatch) as seen:
        seen.wait()
    assert seen.changes == [Variables(2, 10)]


def test_watch_saved_with_wrong_values_goes_on(router: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value is refused once in one line; the next right one counts."""
    with watching(router, monkeypatch) as seen:
        save(router, "topology = 7\nnode_threshold = 10\n")
        seen.wait()
        gevent.sleep(0.03)
        save(router, "topology = 2\nnode_threshold = 10\n")
        seen.wait()
    assert len(seen.refusals) == 1
    assert "topology = 7 is not accepted" in seen.refusals[0]
    assert "goes on as before" in seen.refusals[0]
    assert seen.changes == [Variables(2, 10)]


def test_watch_file_away_for_a_moment_goes_on(router: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor that removes the file before it writes it anew disturbs nothing."""
    with watching(router, monkeypatch) as seen:
        router.unlink()
        gevent.sleep(0.03)
        save(router, "topology = 1\nnode_threshold = 10\n")
        seen.wait()
    assert seen.changes == [Variables(1, 10)]
    assert seen.refusals == []
