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
    save(path, values(0, 10))
    return path


def values(topology: object, threshold: object) -> str:
    """The text of a router.py with these values."""
    return f"topology = {topology}\nnode_threshold = {threshold}\n"


def save(path: Path, text: str) -> None:
    """Saves as a careful editor does: a new file in the old one's place."""
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

WRONG_TOPOLOGIES = ["3", "-1", "True", "1.0", "'2active'", "None", "[0]", "1 + 1", "x", "10**9"]
WRONG_THRESHOLDS = ["0", "-10", "True", "10.0", "'10'", "None"]


@pytest.mark.parametrize("value", WRONG_TOPOLOGIES)
def test_read_wrong_topology_tells_line_and_accepted(router: Path, value: str) -> None:
    """A wrong topology is told with its line, its value and the accepted ones."""
    told = refusal(router, f"# mine\n\ntopology = {value}\nnode_threshold = 10\n")
    assert told.startswith("router.py, line 3: topology = ")
    assert told.endswith(f"is not accepted: give {KNOWN_TOPOLOGIES}")


@pytest.mark.parametrize("value", WRONG_THRESHOLDS)
def test_read_wrong_threshold_tells_line_and_accepted(router: Path, value: str) -> None:
    """A wrong threshold is told with its line, its value and what is accepted."""
    told = refusal(router, values(0, value))
    assert told == f"router.py, line 2: node_threshold = {value} is not accepted: give {WHOLE_NUMBER}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("node_threshold = 10\n", ["the variable topology is missing", KNOWN_TOPOLOGIES]),
        ("topology = 0\n", ["the variable node_threshold is missing", WHOLE_NUMBER]),
        ("topology = \nnode_threshold = 10\n", ["cannot be read as Python"]),
        ("node_threshold = 10\ntopology = \n", ["cannot be read as Python", "line 2"]),
        ("topology = 0\n\0", ["cannot be read as Python"]),
        ("(" * 50, ["cannot be read as Python"]),
    ],
)
def test_read_missing_variable_or_no_python_is_told(router: Path, text: str, parts: list[str]) -> None:
    """What is missing is named, with what it may be; where Python knows the line of a mistake, it is told."""
    told = refusal(router, text)
    assert [part for part in parts if part not in told] == []


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
        """Notes other values."""
        self.changes.append(values)
        self._told.set()

    def refuse(self, text: str) -> None:
        """Notes wrong values."""
        self.refusals.append(text)
        self._told.set()

    def wait(self) -> None:
        """Waits until something is told."""
        assert self._told.wait(timeout=10)
        self._told.clear()


WATCHED = {
    "other values are told, each once": (
        [(values(1, 10), True), ("# the same values\n" + values(1, 10), False), (values(2, 5), True)],
        [Variables(1, 10), Variables(2, 5)],
    ),
    "a wrong value is refused once, the next right one counts": (
        [(values(7, 10), True), ("", False), (values(2, 10), True)],
        [Variables(2, 10)],
    ),
    "a file that is away for a moment disturbs nothing": ([(None, False), (values(1, 10), True)], [Variables(1, 10)]),
}


@pytest.mark.parametrize(("saves", "changes"), WATCHED.values(), ids=WATCHED)
def test_watch_tells_what_is_saved(
    router: Path, monkeypatch: pytest.MonkeyPatch, saves: list[tuple[str | None, bool]], changes: list[Variables]
) -> None:
    """Each text is saved (None: the file is removed; empty: nothing) and told, or given time to be told."""
    with watching(router, monkeypatch) as seen:
        gevent.sleep(0.02)
        for text, told in saves:
            if text is None:
                router.unlink()
            elif text:
                save(router, text)
            seen.wait() if told else gevent.sleep(0.03)
    assert seen.changes == changes
    assert len(seen.refusals) == any("7" in (text or "") for text, _ in saves)
    assert all("topology = 7 is not accepted" in text and "goes on as before" in text for text in seen.refusals)


def test_watch_saved_before_the_first_look_tells_it(router: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved while the router was starting is not missed."""
    save(router, values(2, 10))
    with watching(router, monkeypatch) as seen:
        seen.wait()
    assert seen.changes == [Variables(2, 10)]


@contextmanager
def watching(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Follows the file from the post's values on, looking often."""
    monkeypatch.setattr(variables, "POLL_INTERVAL_S", 0.005)
    seen = Seen()
    watcher = gevent.spawn(watch, path, Variables(0, 10), seen.changed, seen.refuse)
    try:
        yield seen
    finally:
        watcher.kill()
