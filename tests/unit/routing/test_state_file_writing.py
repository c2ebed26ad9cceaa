"""The live topology file on a real file system: atomic writes, edits by others, writes that fail."""

import json
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from routing.state_file import StateFile
from tests.unit.routing.state_files import AT_FIRST, INITIAL, PROMOTED, ROOT, files_beside, states_in

# Writing


def test_write_puts_status_and_load_into_the_file(path: Path, state: StateFile) -> None:
    """The file shows what the router counts."""
    assert state.write(PROMOTED)
    assert states_in(path) == PROMOTED
    assert state.write(AT_FIRST)
    assert states_in(path) == AT_FIRST


def test_write_keeps_unknown_keys_order_and_the_ports_type(path: Path, state: StateFile) -> None:
    """Only status and load change: names, order, other keys and the port's type stay."""
    state.write(PROMOTED)
    document = json.loads(path.read_text())
    for entry, initial in zip(document.values(), json.loads(INITIAL).values(), strict=True):
        assert {**initial, "status": entry["status"], "load": entry["load"]} == entry
    assert list(document) == ["predict1", "predict2", "predict3"]
    assert [document[name]["port"] for name in document] == ["9696", 9697, "9698"]


def test_write_same_picture_again_does_not_touch_the_file(path: Path, state: StateFile) -> None:
    """A picture that stands there already is not written again."""
    state.write(PROMOTED)
    before = path.stat()
    assert state.write(dict(PROMOTED))
    assert path.stat() == before


def test_write_keeps_the_files_mode(path: Path, state: StateFile) -> None:
    """Whoever could read the file before can read it afterwards."""
    path.chmod(0o600)
    state.write(PROMOTED)
    assert path.stat().st_mode & 0o777 == 0o600


def test_write_under_a_concurrent_reader_is_atomic(path: Path, state: StateFile) -> None:
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
    reader.start()
    written = [state.write(picture) for picture in pictures]
    done.set()
    reader.join()
    assert all(written)
    assert bad == []
    assert len(seen) > 1


def test_write_while_a_reader_holds_the_old_file_leaves_that_whole(path: Path, state: StateFile) -> None:
    """Who opened the file before a write reads the old picture to its end."""
    with path.open() as opened:
        first = opened.read(20)
        state.write(PROMOTED)
        assert first + opened.read() == INITIAL


# Others in the file


def test_foreign_edit_while_running_is_kept_aside_and_told_once(
    path: Path, state: StateFile, warnings: list[str]
) -> None:
    """Who writes into the live file loses nothing: the text is set aside, and one line says where."""
    state.write(PROMOTED)
    path.write_text('{"mine": 1}')
    for load in range(5):
        assert state.write({**PROMOTED, "predict1": (True, load)})
    assert states_in(path)["predict1"] == (True, 4)
    assert path.with_name(".mine.json.edited").read_text() == '{"mine": 1}'
    assert len(warnings) == 1
    assert ".mine.json.edited" in warnings[0]
    assert len(warnings[0].splitlines()) == 1


@pytest.mark.parametrize("change", [lambda path: path.write_text("{}"), Path.unlink], ids=["edited", "removed"])
def test_file_changed_while_running_is_written_again(
    path: Path, state: StateFile, warnings: list[str], change: Callable[[Path], object]
) -> None:
    """Memory is the truth: even an idle router puts its picture back; only an edit is worth a warning."""
    state.write(PROMOTED)
    change(path)
    assert state.write(PROMOTED)
    assert states_in(path) == PROMOTED
    assert len(warnings) == (change is not Path.unlink)


@pytest.mark.parametrize("edit", [b'{"mine": 1}', b"\xff\xfe"], ids=["text", "no_text"])
def test_foreign_edit_before_the_stop_is_kept_aside(
    path: Path, state: StateFile, warnings: list[str], edit: bytes
) -> None:
    """A clean stop restores the file whatever somebody else has put there, which is not lost either."""
    state.write(PROMOTED)
    path.write_bytes(edit)
    state.restore()
    assert path.read_bytes() == INITIAL.encode()
    assert path.with_name(".mine.json.edited").read_bytes() == edit
    assert len(warnings) == 1


# Failing writes


def test_write_folder_removed_warns_once_and_recovers(path: Path, state: StateFile, warnings: list[str]) -> None:
    """Requests go on without the file: one warning when it fails, one line when it is well again."""
    shutil.move(path.parent, path.parent.with_name("away"))
    assert [state.write({**PROMOTED, "predict1": (True, load)}) for load in range(5)] == [False] * 5
    assert len(warnings) == 1
    assert f"{path}: cannot be written" in warnings[0]
    assert len(warnings[0].splitlines()) == 1
    shutil.move(path.parent.with_name("away"), path.parent)
    assert state.write(PROMOTED)
    assert states_in(path) == PROMOTED
    state.restore()
    assert len(warnings) == 2
    assert "can be written again" in warnings[1]
    assert path.read_text() == INITIAL
    assert files_beside(path) == set()


def test_write_folder_replaced_by_a_file_warns_once(path: Path, state: StateFile, warnings: list[str]) -> None:
    """The same where a file stands in the folder's place."""
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
    """Lets no file of this process grow beyond this."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def writes_without_room(path: Path) -> None:
    """Writes, then with no room left, then with room again, and stops; prints what came of it."""
    state = StateFile(path, lambda text: print("warning:", text))
    state.begin(path.read_text())
    print(state.write(PROMOTED))
    limit_file_size(40)
    print(state.write(AT_FIRST), state.write({**AT_FIRST, "predict1": (True, 5)}))
    print(states_in(path) == PROMOTED)
    limit_file_size(resource.RLIM_INFINITY)
    print(state.write(AT_FIRST), states_in(path) == AT_FIRST)
    state.restore()


def start_without_room(path: Path) -> None:
    """Starts with no room for the side file's text."""
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
