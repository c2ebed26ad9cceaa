"""The live topology file on a real file system: atomic, locked, restored, and kept through crashes and edits."""

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from routing.state_file import StateFile, StateFileError
from routing.topology import read

ROOT = Path(__file__).resolve().parents[3]
INITIAL = """{
  "predict1": {"status": true, "load": 0, "port": "9696", "note": "mine"},
  "predict2": {"status": true, "load": 0, "port": 9697},
  "predict3": {"status": false, "port": "9698"}
}"""
AT_FIRST = {"predict1": (True, 0), "predict2": (True, 0), "predict3": (False, 0)}
PROMOTED = {"predict1": (False, 0), "predict2": (True, 4), "predict3": (True, 3)}
START = """
import os, pathlib, sys
from routing.state_file import StateFile
state = StateFile(pathlib.Path(sys.argv[1]), print)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A topology file in its initial state, written by hand, in a folder of its own."""
    path = tmp_path / "folder" / "mine.json"
    path.parent.mkdir()
    path.write_text(INITIAL)
    return path


@contextmanager
def in_service(path: Path, warnings: list[str], text: str | None = None) -> Iterator[StateFile]:
    """A state file as a router holds it; given up at the end as if the router had crashed."""
    state = StateFile(path, warnings.append)
    state.begin(path.read_text() if text is None else text)
    try:
        yield state
    finally:
        crash(state)


def ignore(warning: str) -> None:
    """Take a warning that another test looks at."""


def crash(state: StateFile) -> None:
    """Let go of the lock and leave everything else as it is: what the kernel does when a process dies."""
    if state._lock is not None:
        os.close(state._lock)
        state._lock = None


def crashed_on(path: Path) -> None:
    """Leave the file and its side file as a router does that is killed after a promotion."""
    with in_service(path, []) as state:
        assert state.write(PROMOTED)


def picture_in(path: Path) -> dict[str, tuple[bool, int]]:
    """Each predictor's status and load, as the file has them."""
    return {name: (entry["status"], entry["load"]) for name, entry in json.loads(path.read_text()).items()}


def files_beside(path: Path) -> set[str]:
    """The names of the other files in the folder."""
    return {file.name for file in path.parent.iterdir()} - {path.name}


# Writing


def test_write_puts_status_and_load_into_the_file(path: Path) -> None:
    """The file shows what the router counts."""
    with in_service(path, []) as state:
        assert state.write(PROMOTED)
        assert picture_in(path) == PROMOTED
        assert state.write(AT_FIRST)
        assert picture_in(path) == AT_FIRST


def test_write_keeps_unknown_keys_order_and_the_ports_type(path: Path) -> None:
    """Only status and load change: names, order, other keys and the port's type stay."""
    with in_service(path, []) as state:
        state.write(PROMOTED)
        document = json.loads(path.read_text())
    for entry, initial in zip(document.values(), json.loads(INITIAL).values(), strict=True):
        assert {**initial, "status": entry["status"], "load": entry["load"]} == entry
    assert list(document) == ["predict1", "predict2", "predict3"]
    assert [document[name]["port"] for name in document] == ["9696", 9697, "9698"]


def test_write_same_picture_again_does_not_touch_the_file(path: Path) -> None:
    """A picture that stands there already is not written again."""
    with in_service(path, []) as state:
        state.write(PROMOTED)
        before = path.stat()
        assert state.write(dict(PROMOTED))
        assert path.stat() == before


def test_write_keeps_the_files_mode(path: Path) -> None:
    """Whoever could read the file before can read it afterwards."""
    path.chmod(0o600)
    with in_service(path, []) as state:
        state.write(PROMOTED)
        assert path.stat().st_mode & 0o777 == 0o600


def test_write_under_a_concurrent_reader_is_atomic(path: Path) -> None:
    """A reader at full speed never sees anything but a whole picture."""
    pictures = [dict.fromkeys(AT_FIRST, (number % 2 == 0, number)) for number in range(300)]
    bad: list[Any] = []
    seen: set[int] = set()
    done = threading.Event()

    def read_on() -> None:
        while not done.is_set():
            text = path.read_text()
            try:
                loads = {entry.get("load") for entry in json.loads(text).values()} - {None}
            except ValueError:
                bad.append(text)
                continue
            seen.update(loads)
            if len(loads) > 1:
                bad.append(text)

    reader = threading.Thread(target=read_on)
    with in_service(path, []) as state:
        reader.start()
        written = [state.write(picture) for picture in pictures]
        done.set()
        reader.join()
    assert all(written)
    assert bad == []
    assert len(seen) > 1


def test_write_while_a_reader_holds_the_old_file_leaves_that_whole(path: Path) -> None:
    """Who opened the file before a write reads the old picture to its end."""
    with in_service(path, []) as state, path.open() as opened:
        first = opened.read(20)
        state.write(PROMOTED)
        assert first + opened.read() == INITIAL


# Restoring


def test_restore_gives_the_initial_text_byte_for_byte(path: Path) -> None:
    """A clean stop leaves the file as its owner wrote it, and nothing beside it."""
    before = path.read_bytes()
    with in_service(path, []) as state:
        state.write(PROMOTED)
        assert path.read_bytes() != before
        state.restore()
    assert path.read_bytes() == before
    assert files_beside(path) == set()


def test_restore_keeps_the_line_endings(path: Path) -> None:
    """A file with Windows line endings has them again after a clean stop."""
    path.write_bytes(INITIAL.replace("\n", "\r\n").encode())
    before = path.read_bytes()
    with in_service(path, [], read(path, threshold=10).text) as state:
        state.write(PROMOTED)
        state.restore()
    assert path.read_bytes() == before


def test_restore_without_a_write_does_not_touch_the_file(path: Path) -> None:
    """A router that changed nothing leaves the very same file."""
    before = path.stat()
    with in_service(path, []) as state:
        state.restore()
    assert path.stat() == before


def test_restore_initial_loads_above_0_become_0(path: Path) -> None:
    """Loads that somebody else left in the file, as the post's router does, are restored as 0; no more is changed."""
    text = INITIAL.replace('"load": 0', '"load": 9')
    path.write_text(text)
    warnings: list[str] = []
    with in_service(path, warnings) as state:
        state.write(PROMOTED)
        state.restore()
    expected = json.loads(INITIAL)
    expected["predict3"]["load"] = 0
    assert json.loads(path.read_text()) == expected
    assert warnings == []


def test_restore_file_removed_puts_it_back(path: Path) -> None:
    """A clean stop puts the file back, even one that somebody has removed."""
    with in_service(path, []) as state:
        state.write(PROMOTED)
        path.unlink()
        state.restore()
    assert path.exists()
    assert path.read_text() == INITIAL


def test_restore_lets_the_next_router_start(path: Path) -> None:
    """The lock is gone with the router."""
    with in_service(path, []) as state:
        state.restore()
        with in_service(path, []) as successor:
            assert successor.write(PROMOTED)


# After a crash


def test_start_after_a_crash_restores_the_initial_text(path: Path) -> None:
    """The side file that a crash leaves behind brings the file back, byte for byte."""
    crashed_on(path)
    assert picture_in(path) == PROMOTED
    assert files_beside(path) == {".mine.json.router"}
    warnings: list[str] = []
    state = StateFile(path, warnings.append)
    assert path.read_text() == INITIAL
    assert warnings == []
    crash(state)


def test_start_after_two_crashes_restores_the_initial_text(path: Path) -> None:
    """A crash after a recovery loses nothing: the initial state is still known."""
    crashed_on(path)
    crashed_on(path)
    with in_service(path, []) as state:
        state.restore()
    assert path.read_text() == INITIAL
    assert files_beside(path) == set()


def test_start_after_a_kill_restores_the_initial_text(path: Path) -> None:
    """The same with a process that is really killed."""
    script = f"{START}state.begin(state.path.read_text()); state.write({PROMOTED!r}); os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", script, path], cwd=ROOT, timeout=30)
    assert killed.returncode == -9
    assert picture_in(path) == PROMOTED
    with in_service(path, []):
        assert path.read_text() == INITIAL


def test_start_after_a_crash_file_removed_restores_it(path: Path) -> None:
    """A file that is gone after a crash is brought back."""
    crashed_on(path)
    path.unlink()
    crash(StateFile(path, ignore))
    assert path.read_text() == INITIAL


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


def test_start_after_a_crash_corrupt_file_is_untouched(path: Path) -> None:
    """A file that is no topology is left for its owner to see, and the initial text stays in reserve."""
    crashed_on(path)
    path.write_text("{broken")
    state = StateFile(path, ignore)
    assert path.read_text() == "{broken"
    state.release()
    path.unlink()
    crash(StateFile(path, ignore))
    assert path.read_text() == INITIAL


@pytest.mark.parametrize("left", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "initial": 7}'])
def test_start_with_a_broken_side_file_takes_the_file_as_it_is(path: Path, left: str) -> None:
    """A side file that was only half written had not been needed yet."""
    path.with_name(".mine.json.router").write_text(left)
    warnings: list[str] = []
    with in_service(path, warnings) as state:
        assert path.read_text() == INITIAL
        state.restore()
    assert warnings == []
    assert files_beside(path) == set()


def test_release_before_begin_leaves_nothing(path: Path) -> None:
    """A router that finds it cannot use the file leaves no trace."""
    StateFile(path, ignore).release()
    assert files_beside(path) == set()
    assert path.read_text() == INITIAL


# One router per file


def test_second_state_file_is_refused_naming_file_and_holder(path: Path) -> None:
    """Two routers on one file would write over each other: the second is told whom to stop."""
    with in_service(path, []) as state:
        state.write(PROMOTED)
        with pytest.raises(StateFileError) as refused:
            StateFile(path, ignore)
        assert str(path) in str(refused.value)
        assert f"process {os.getpid()}" in str(refused.value)
        assert "another topology" in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1
        assert picture_in(path) == PROMOTED


def test_second_state_file_of_another_process_is_refused(path: Path) -> None:
    """The same between processes: the holder's id is told, and its file is not touched."""
    with in_service(path, []) as state:
        state.write(PROMOTED)
        second = subprocess.run(
            [sys.executable, "-c", START, path], cwd=ROOT, timeout=30, capture_output=True, text=True
        )
        assert f"StateFileError: {path}: another router (process {os.getpid()})" in second.stderr
        assert picture_in(path) == PROMOTED


def test_state_files_of_one_folder_do_not_meet(path: Path) -> None:
    """Each file has its own lock."""
    other = path.with_name("other.json")
    other.write_text(INITIAL)
    with in_service(path, []) as one, in_service(other, []) as two:
        assert one.write(PROMOTED)
        assert two.write(AT_FIRST)


# Others in the file


def test_foreign_edit_while_running_is_kept_aside_and_told_once(path: Path) -> None:
    """Who writes into the live file loses nothing: the text is set aside, and one line says where."""
    warnings: list[str] = []
    with in_service(path, warnings) as state:
        state.write(PROMOTED)
        path.write_text('{"mine": 1}')
        for load in range(5):
            assert state.write({**PROMOTED, "predict1": (True, load)})
        assert picture_in(path)["predict1"] == (True, 4)
    assert path.with_name(".mine.json.edited").read_text() == '{"mine": 1}'
    assert len(warnings) == 1
    assert ".mine.json.edited" in warnings[0]
    assert len(warnings[0].splitlines()) == 1


def test_foreign_edit_is_noticed_without_a_change_of_load(path: Path) -> None:
    """Memory is the truth: even an idle router puts its picture back."""
    with in_service(path, []) as state:
        state.write(PROMOTED)
        path.write_text("{}")
        state.write(PROMOTED)
        assert picture_in(path) == PROMOTED


def test_foreign_edit_before_the_stop_is_kept_aside(path: Path) -> None:
    """An edit just before a clean stop is not lost either."""
    warnings: list[str] = []
    with in_service(path, warnings) as state:
        state.write(PROMOTED)
        path.write_text('{"mine": 1}')
        state.restore()
    assert path.read_text() == INITIAL
    assert path.with_name(".mine.json.edited").read_text() == '{"mine": 1}'
    assert len(warnings) == 1


def test_foreign_bytes_before_the_stop_are_kept_aside(path: Path) -> None:
    """A clean stop restores the file whatever somebody else has put there, text or not."""
    with in_service(path, []) as state:
        state.write(PROMOTED)
        path.write_bytes(b"\xff\xfe")
        state.restore()
    assert path.read_bytes() == INITIAL.encode()
    assert path.with_name(".mine.json.edited").read_bytes() == b"\xff\xfe"


def test_file_removed_while_running_is_written_again(path: Path) -> None:
    """A file that somebody removes comes back with the next look."""
    warnings: list[str] = []
    with in_service(path, warnings) as state:
        state.write(PROMOTED)
        path.unlink()
        assert state.write(PROMOTED)
        assert picture_in(path) == PROMOTED
    assert warnings == []


# Failing writes


def test_write_folder_removed_warns_once_and_recovers(path: Path) -> None:
    """Requests go on without the file: one warning when it fails, one line when it is well again."""
    warnings: list[str] = []
    with in_service(path, warnings) as state:
        shutil.move(path.parent, path.parent.with_name("away"))
        assert [state.write({**PROMOTED, "predict1": (True, load)}) for load in range(5)] == [False] * 5
        assert len(warnings) == 1
        assert f"{path}: cannot be written" in warnings[0]
        assert len(warnings[0].splitlines()) == 1
        shutil.move(path.parent.with_name("away"), path.parent)
        assert state.write(PROMOTED)
        assert picture_in(path) == PROMOTED
        state.restore()
    assert len(warnings) == 2
    assert "can be written again" in warnings[1]
    assert path.read_text() == INITIAL
    assert files_beside(path) == set()


def test_write_folder_replaced_by_a_file_warns_once(path: Path) -> None:
    """The same where a file stands in the folder's place."""
    warnings: list[str] = []
    with in_service(path, warnings) as state:
        shutil.rmtree(path.parent)
        path.parent.write_text("")
        assert not state.write(PROMOTED)
        assert not state.write(AT_FIRST)
    assert len(warnings) == 1


def test_start_without_a_folder_for_the_side_file_warns_and_goes_on(tmp_path: Path) -> None:
    """Where no side file can be made, the router starts without its guard, and says so."""
    warnings: list[str] = []
    state = StateFile(tmp_path / "gone" / "mine.json", warnings.append)
    state.begin(INITIAL)
    assert not state.write(PROMOTED)
    state.restore()
    assert "nothing guards mine.json against a second router" in warnings[0]
    assert len(warnings) == 2


def limit_file_size(size_bytes: int) -> None:
    """Let no file of this process grow beyond this."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def writes_without_room(path: Path) -> None:
    """Write, then with no room left, then with room again, and stop; tell what came of it."""
    state = StateFile(path, lambda text: print("warning:", text))
    state.begin(path.read_text())
    print(state.write(PROMOTED))
    limit_file_size(40)
    print(state.write(AT_FIRST), state.write({**AT_FIRST, "predict1": (True, 5)}))
    print(picture_in(path) == PROMOTED)
    limit_file_size(resource.RLIM_INFINITY)
    print(state.write(AT_FIRST), picture_in(path) == AT_FIRST)
    state.restore()


def start_without_room(path: Path) -> None:
    """Start with no room for the side file's text."""
    state = StateFile(path, lambda text: print("warning:", text))
    text = path.read_text()
    limit_file_size(40)
    state.begin(text)


def output_of(function: str, path: Path) -> list[str]:
    """The lines that a function of this file prints in a process of its own."""
    script = (
        "import sys, pathlib, importlib.util as u; spec = u.spec_from_file_location('t', sys.argv[1]);"
        "t = u.module_from_spec(spec); spec.loader.exec_module(t); getattr(t, sys.argv[2])(pathlib.Path(sys.argv[3]))"
    )
    arguments = [sys.executable, "-c", script, __file__, function, str(path)]
    ran = subprocess.run(arguments, cwd=ROOT, timeout=30, capture_output=True, text=True)
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def test_write_no_room_left_warns_once_and_recovers(path: Path) -> None:
    """A write that is cut short never reaches the file; requests go on, with one warning."""
    lines = output_of("writes_without_room", path)
    told = [line for line in lines if line.startswith("warning:")]
    assert [line for line in lines if line not in told] == ["True", "False False", "True", "True True"]
    assert len(told) == 2
    assert "cannot be written" in told[0]
    assert "can be written again" in told[1]
    assert path.read_text() == INITIAL
    assert files_beside(path) == set()


def test_begin_no_room_left_for_the_initial_text_warns(path: Path) -> None:
    """A side file that could take only a part guards nothing: a crash would lose the plan, so it is told."""
    lines = output_of("start_without_room", path)
    assert len(lines) == 1
    assert "warning:" in lines[0]
