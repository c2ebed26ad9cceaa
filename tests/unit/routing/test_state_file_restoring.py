"""The live topology file on a real file system: restored, also after crashes, and locked."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from routing.state_file import StateFile, StateFileError
from routing.topology import read
from tests.unit.routing.state_files import (
    INITIAL,
    PROMOTED,
    crash,
    crashed_on,
    files_beside,
    in_service,
    killed_on,
    run_on,
    states_in,
)

# Restoring


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["as_here", "windows"])
def test_restore_gives_the_initial_text_byte_for_byte(path: Path, line_end: str) -> None:
    """A clean stop leaves the file as its owner wrote it, line endings too, and nothing beside it."""
    path.write_bytes(INITIAL.replace("\n", line_end).encode())
    before = path.read_bytes()
    with in_service(path, [], read(path, threshold=10).text) as state:
        state.write(PROMOTED)
        assert path.read_bytes() != before
        state.restore()
    assert path.read_bytes() == before
    assert files_beside(path) == set()


def test_restore_without_a_write_does_not_touch_the_file(path: Path, state: StateFile) -> None:
    """A router that changed nothing leaves the very same file."""
    before = path.stat()
    state.restore()
    assert path.stat() == before


def test_restore_initial_loads_above_0_become_0(path: Path, warnings: list[str]) -> None:
    """Loads that somebody else left in the file, as the post's router does, are restored as 0; no more is changed."""
    text = INITIAL.replace('"load": 0', '"load": 9')
    path.write_text(text)
    with in_service(path, warnings) as state:
        state.write(PROMOTED)
        state.restore()
    expected = json.loads(INITIAL)
    expected["predict3"]["load"] = 0
    assert json.loads(path.read_text()) == expected
    assert warnings == []


def test_restore_file_removed_puts_it_back(path: Path, state: StateFile) -> None:
    """A clean stop puts the file back, even one that somebody has removed."""
    state.write(PROMOTED)
    path.unlink()
    state.restore()
    assert path.exists()
    assert path.read_text() == INITIAL


def test_restore_lets_the_next_router_start(path: Path, state: StateFile) -> None:
    """The lock is gone with the router."""
    state.restore()
    with in_service(path, []) as successor:
        assert successor.write(PROMOTED)


# After a crash


@pytest.mark.parametrize("crashes", [[crashed_on], [crashed_on] * 2, [killed_on]], ids=["one", "two", "kill"])
@pytest.mark.parametrize("removed", [False, True])
def test_start_after_a_crash_restores_the_initial_text(
    path: Path, warnings: list[str], crashes: list[Callable[[Path], None]], removed: bool
) -> None:
    """The side file that a crash leaves behind brings the file back, byte for byte, though it be gone."""
    for crash_on in crashes:
        crash_on(path)
        assert (states_in(path), files_beside(path)) == (PROMOTED, {".mine.json.router"})
    if removed:
        path.unlink()
    with in_service(path, warnings, INITIAL) as state:
        assert path.read_text() == INITIAL
        state.restore()
    assert (path.read_text(), files_beside(path), warnings) == (INITIAL, set(), [])


def test_start_after_a_crash_edited_file_is_kept(path: Path) -> None:
    """Who edits the plan after a crash gets the edit, not the old text, and is told."""
    crashed_on(path)
    edited = path.read_text().replace("9698", "9798")
    path.write_text(edited)
    warnings: list[str] = []
    state = StateFile(path, warnings.append)
    assert path.read_text() == edited
    assert len(warnings) == 1
    assert "edited after a crash" in warnings[0]
    state.begin(edited)
    state.restore()
    assert json.loads(path.read_text())["predict3"]["port"] == "9798"
    assert files_beside(path) == set()


def test_start_after_a_crash_corrupt_file_is_untouched(path: Path, warnings: list[str]) -> None:
    """A file that is no topology is left for its owner to see, and the initial text stays in reserve."""
    crashed_on(path)
    path.write_text("{broken")
    state = StateFile(path, warnings.append)
    assert path.read_text() == "{broken"
    state.release()
    path.unlink()
    StateFile(path, warnings.append).release()
    assert path.read_text() == INITIAL


@pytest.mark.parametrize("left", ["", "[" * 5000, "{", "[]", '{"pid": 1}', '{"pid": 1, "initial": 7}'])
def test_start_with_a_broken_side_file_takes_the_file_as_it_is(path: Path, warnings: list[str], left: str) -> None:
    """A side file that was only half written had not been needed yet."""
    path.with_name(".mine.json.router").write_text(left)
    with in_service(path, warnings) as state:
        assert path.read_text() == INITIAL
        state.restore()
    assert warnings == []
    assert files_beside(path) == set()


def test_release_before_begin_leaves_nothing(path: Path, warnings: list[str]) -> None:
    """A router that finds it cannot use the file leaves no trace."""
    StateFile(path, warnings.append).release()
    assert files_beside(path) == set()
    assert path.read_text() == INITIAL


# What the next router is to know

TOLD = {"drained": ["predict1"], "events": [{"event": "drained"}]}


def test_memory_survives_a_crash_and_a_hand_over_but_no_stop(path: Path) -> None:
    """The next router gets what was remembered last, and nothing after a clean stop."""
    with in_service(path, []) as state:
        assert state.memory == {}
        state.remember({"drained": []})
        state.remember(TOLD)
    with in_service(path, [], INITIAL) as state:
        assert state.memory == TOLD
        state.hand_over()
    with in_service(path, [], INITIAL) as state:
        assert state.memory == TOLD
        state.restore()
    assert (path.read_text(), files_beside(path)) == (INITIAL, set())
    assert StateFile(path, [].append).memory == {}


def test_hand_over_leaves_the_file_as_it_stands(path: Path) -> None:
    """Who follows goes on from there; what is left at last is the initial text."""
    with in_service(path, []) as state:
        state.write(PROMOTED)
        state.hand_over()
        assert states_in(path) == PROMOTED
        state.remember(TOLD)  # it is another's now
        assert state.memory != TOLD
    with in_service(path, [], INITIAL) as state:
        state.restore()
    assert path.read_text() == INITIAL


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_crash_while_remembering_loses_neither_initial_text_nor_lock(
    path: Path, state: StateFile, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The side file is one text or the other, whole; and nobody else can take the file in between."""
    state.remember(TOLD)

    def die(*_: object, **__: object) -> None:
        with pytest.raises(StateFileError):
            StateFile(path, [].append)
        raise KeyboardInterrupt  # nothing after it is done

    for name, owner in {"write": os, "fsync": os, "replace": Path}.items():
        if name == step:
            monkeypatch.setattr(owner, {"write": "pwrite"}.get(name, name), die)
    with pytest.raises(KeyboardInterrupt):
        state.remember({"drained": []})
    monkeypatch.undo()
    crash(state)
    with in_service(path, [], INITIAL) as successor:
        assert successor.memory == TOLD
        successor.restore()
    assert (path.read_text(), files_beside(path)) == (INITIAL, set())


@pytest.mark.parametrize("memory", ["[]", "7", "null", '{"drained": 7}'])
def test_memory_of_another_kind_is_no_hindrance(path: Path, memory: str) -> None:
    """A router of another version may have written it: what is no object is nothing."""
    side = path.with_name(".mine.json.router")
    side.write_text(f'{{"pid": 1, "initial": {json.dumps(INITIAL)}, "memory": {memory}}}')
    with in_service(path, [], INITIAL) as state:
        assert state.memory == ({"drained": 7} if "drained" in memory else {})


# One router per file


def test_second_state_file_is_refused_naming_file_and_holder(path: Path, state: StateFile) -> None:
    """Two routers on one file would write over each other: the second is told whom to stop."""
    state.write(PROMOTED)
    with pytest.raises(StateFileError) as refused:
        StateFile(path, [].append)
    assert str(path) in str(refused.value)
    assert f"process {os.getpid()}" in str(refused.value)
    assert "another topology" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert states_in(path) == PROMOTED


def test_second_state_file_of_another_process_is_refused(path: Path, state: StateFile) -> None:
    """The same between processes: the holder's id is told, and its file is not touched."""
    state.write(PROMOTED)
    assert f"StateFileError: {path}: another router (process {os.getpid()})" in run_on(path).stderr
    assert states_in(path) == PROMOTED


def test_state_files_of_one_folder_do_not_meet(path: Path) -> None:
    """Each file has its own lock."""
    other = path.with_name("other.json")
    other.write_text(INITIAL)
    with in_service(path, []) as one, in_service(other, []) as two:
        assert one.write(PROMOTED)
        assert two.write(PROMOTED)
