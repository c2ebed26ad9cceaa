"""The live topology file: written atomically, locked against a second router, restorable after a crash.

Memory is the truth and the file its copy. What stands in it is decided elsewhere.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

POLL_S = 0.005
"""How often the end of a router that is stopping is looked for."""

States = Mapping[str, tuple[bool, int]]
"""Each predictor's status and load."""


class StateFileError(Exception):
    """The topology file belongs to another router; the text names the file and the holder."""


class StateFile:
    """A topology file and its side file `.NAME.json.router`, which holds lock, initial text and memory.

    Both files are only ever replaced whole: a crash at any instant leaves one text or the other.
    """

    def __init__(self, path: Path, warn: Callable[[str], None], holder: int | None = None) -> None:
        """Locks the file and, if a router crashed on it, puts it back to its initial state.

        `holder` is the process to stop for another router to start: this one unless said. Raises StateFileError when
        another router holds the file. Where no side file can be made, warns and goes on unlocked.
        """
        self.path = path
        self._warn = warn
        self._holder = os.getpid() if holder is None else holder
        self._side = _side_of(path)
        self._new_side = path.with_name(f".{path.name}.router.new")
        self._new = path.with_name(f".{path.name}.new")
        self._lock: int | None = None
        self._initial: str | None = None
        self._document: dict[str, Any] = {}
        self._last_signature: tuple[int, int, int] | None = None
        self._written: States | None = None
        self._failing: set[Path] = set()
        self._kept: dict[str, Any] = {}
        self._texts: dict[str, tuple[Any, str]] = {}  # what values of the side file are as JSON: events are many
        self.pending_initial: str | None = None
        """The initial text that a crash left and that could not be put back: it is still what the file stands for."""
        self.memory: dict[str, Any] = {}
        """What the router before this one had remembered when it crashed or handed over; empty after a clean stop."""
        self.is_continued = False
        """Whether that router had the same holder, which had this one follow at once: `memory` is of just now."""
        try:
            self._lock = _locked(path, self._side, warn)
        except OSError as error:
            warn(f"{self._side}: cannot be made ({error.strerror}): nothing guards {path.name} against a second router")
        else:
            self._recover()

    def begin(self, text: str) -> None:
        """Takes `text` as the initial state, which `restore` and the next start put back."""
        self._document = json.loads(text)
        self._initial = _without_loads(text)
        self._last_signature = signature(self.path)
        self._keep(pid=self._holder, initial=self._initial, memory=self.memory)

    def remember(self, memory: dict[str, Any]) -> None:
        """Keeps this, in place of what was kept, for the router that follows after a crash or a hand-over."""
        self._keep(memory=memory)

    def announce_stop(self, grace_s: float) -> None:
        """Has a router that starts from now on wait for this one's end, for so long at most, in place of refusing."""
        self._keep(stops_within_s=grace_s)

    def hand_over(self) -> None:
        """Unlocks the file as it stands, for a router that goes on where this one leaves it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, states: States) -> bool:
        """Puts status and load into the file; a failure is logged once and gives False."""
        if states == self._written and self._is_unchanged():
            return True
        document = {**self._document}
        for name, (status, load) in states.items():
            document[name] = {**document[name], "status": status, "load": load}
        with self._failures_logged(self.path):
            self._replace(json.dumps(document, indent=4) + "\n")
            self._written = states
            return True
        return False

    def restore(self) -> bool:
        """Puts the initial text back and releases the file; returns whether it holds the initial text now."""
        restored = False
        with self._failures_logged(self.path):
            if self._initial is not None and _bytes_of(self.path) != self._initial.encode():
                self._replace(self._initial)
            restored = True
        self.release()
        return restored

    def release(self) -> None:
        """Unlocks; the side file goes unless it still holds what the next start needs."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            self._new.unlink(missing_ok=True)
            self._new_side.unlink(missing_ok=True)
            if self.path not in self._failing and (self._initial is not None or os.fstat(self._lock).st_size == 0):
                self._side.unlink()
        os.close(self._lock)
        self._lock = None

    def _recover(self) -> None:
        """Puts the initial text back that a crash left in the side file, unless the file was edited since."""
        left, memory = _field_of(self._side, "initial"), _field_of(self._side, "memory")
        if not isinstance(left, str):
            return
        self.memory = memory if isinstance(memory, dict) else {}
        self.is_continued = bool(self.memory) and _field_of(self._side, "pid") == self._holder
        with self._failures_logged(self.path):
            present = _bytes_of(self.path)
            if present is None or _plan(present) == _plan(left.encode()):
                self.pending_initial = left
                self._replace(left)
                self.pending_initial = None
            elif _plan(present) is not None:
                self._warn(f"{self.path}: was edited after a crash of the router: taken as it stands")

    def _replace(self, text: str) -> None:
        self._set_foreign_edit_aside()
        mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o644
        descriptor = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            _write_whole(descriptor, text)
        finally:
            os.close(descriptor)
        self._new.replace(self.path)
        self._last_signature = signature(self.path)

    def _is_unchanged(self) -> bool:
        return self._last_signature is None or signature(self.path) == self._last_signature

    def _set_foreign_edit_aside(self) -> None:
        """Sets aside, with a warning, what somebody else wrote into the live file: nothing is lost."""
        if self._is_unchanged() or not self.path.exists():
            return
        kept = self.path.with_name(f".{self.path.name}.edited")
        kept.unlink(missing_ok=True)
        try:
            os.link(self.path, kept)  # no copy: whoever is still writing goes on writing there
        except OSError:
            shutil.copyfile(self.path, kept)
        self._warn(f"{self.path}: was changed while the router runs on it; that text is kept as {kept.name}")

    def _keep(self, **values: Any) -> None:
        """Has the side file hold these besides; the new one is locked before it takes its place."""
        if self._lock is None:
            return
        self._kept |= values
        memory = _json_object((name, self._text(name, value)) for name, value in self._kept["memory"].items())
        rest = [(name, json.dumps(value)) for name, value in self._kept.items() if name != "memory"]
        with self._failures_logged(self._side):
            self._new_side.unlink(missing_ok=True)
            descriptor = os.open(self._new_side, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                _write_whole(descriptor, _json_object([*rest, ("memory", memory)]))
                os.fsync(descriptor)
                self._new_side.replace(self._side)
            except OSError:
                os.close(descriptor)
                raise
            os.close(self._lock)
            self._lock = descriptor

    def _text(self, name: str, value: Any) -> str:
        """Returns the value as JSON; what has not changed since the last time is not encoded again."""
        known = self._texts.get(name)
        if known is None or known[0] != value:
            known = self._texts[name] = value, json.dumps(value)
        return known[1]

    @contextlib.contextmanager
    def _failures_logged(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeDecodeError) as error:
            if not self._failing:  # both files fail together as a rule: told once
                self._warn(f"{path}: cannot be written ({error}); requests go on, the file falls behind")
            self._failing.add(path)
        else:
            was_failing = bool(self._failing)
            self._failing.discard(path)
            if was_failing and not self._failing:
                self._warn(f"{path}: can be written again")


def put_back(path: Path, warn: Callable[[str], None]) -> None:
    """Puts a topology file back that a router has left for another one, and forgets what was remembered of it.

    Raises StateFileError when a router holds it.
    """
    initial = initial_text(path)
    state = StateFile(path, warn)
    if initial is None:
        state.release()
    else:
        state.begin(initial)
        state.restore()


def initial_text(path: Path) -> str | None:
    """Returns what a topology file is by plan while a router runs, or has crashed, on it; None: as it stands."""
    text = _field_of(_side_of(path), "initial")
    return text if isinstance(text, str) else None


def _side_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.router")


def _locked(path: Path, side: Path, warn: Callable[[str], None]) -> int:
    """Opens and locks the side file of `path`; waits for a holder that is stopping. StateFileError names any other."""
    end_s: float | None = None
    while True:
        descriptor = os.open(side, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            grace_s = _field_of(side, "stops_within_s")
            if end_s is None and isinstance(grace_s, int | float):
                warn(f"{path}: process {_field_of(side, 'pid')} still ends its requests on it: waited for")
                end_s = time.monotonic() + grace_s
            if end_s is not None and time.monotonic() < end_s:
                time.sleep(POLL_S)
                continue
            fault = f"{path}: another router (process {_field_of(side, 'pid') or 'unknown'}) runs on it"
            raise StateFileError(f"{fault}: stop that one, or give this one another topology") from error
        if side.exists() and side.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
        os.close(descriptor)  # its holder removed it between our open and our lock


def _field_of(side: Path, name: str) -> Any:
    """Returns what a router left in its side file, or None; a half-written side file was never needed."""
    try:
        return json.loads(side.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _bytes_of(path: Path) -> bytes | None:
    """Returns what the file holds, None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _plan(text: bytes) -> Any:
    """Returns what the file says apart from live state, None if it is not such a file."""
    try:
        document = json.loads(text)
        return [
            (name, {k: v for k, v in entry.items() if k not in ("status", "load")}) for name, entry in document.items()
        ]
    except (ValueError, AttributeError, RecursionError):
        return None


def _without_loads(text: str) -> str:
    """Returns the text itself if every load is 0, else the same document with loads of 0."""
    document = json.loads(text)
    if not any(entry.get("load") for entry in document.values()):
        return text
    for entry in document.values():
        entry["load"] = 0
    return json.dumps(document, indent=4) + "\n"


def _json_object(fields: Iterable[tuple[str, str]]) -> str:
    """Returns the object of these fields, whose values are JSON already."""
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in fields) + "}"


def _write_whole(descriptor: int, text: str) -> None:
    whole = text.encode()
    if os.pwrite(descriptor, whole, 0) < len(whole):
        raise OSError(errno.ENOSPC, "the disk took only a part of it")


def signature(path: Path) -> tuple[int, int, int] | None:
    """Returns what differs whenever a file was written again, None where there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
