"""The live topology file: written atomically, locked against a second router, restorable after a crash.

Memory is the truth and the file its copy. What stands in it is decided elsewhere.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

States = Mapping[str, tuple[bool, int]]
"""Each predictor's status and load."""


class StateFileError(Exception):
    """The topology file belongs to another router; the text names the file and the holder."""


class StateFile:
    """A topology file and its side file `.NAME.json.router`, which holds the lock and the initial text."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        """Locks the file and, if a router crashed on it, puts it back to its initial state.

        Raises StateFileError when another router holds it. Where no side file can be made, warns and goes on unlocked.
        """
        self.path = path
        self._warn = warn
        self._side = path.with_name(f".{path.name}.router")
        self._new = path.with_name(f".{path.name}.new")
        self._lock: int | None = None
        self._initial: str | None = None
        self._document: dict[str, Any] = {}
        self._last_signature: tuple[int, int, int] | None = None
        self._written: States | None = None
        self._failing = False
        self.pending_initial: str | None = None
        """The initial text that a crash left and that could not be put back: it is still what the file stands for."""
        try:
            self._lock = _locked(path, self._side)
        except OSError as error:
            warn(f"{self._side}: cannot be made ({error.strerror}): nothing guards {path.name} against a second router")
        else:
            self._recover()

    def begin(self, text: str) -> None:
        """Takes `text` as the initial state, which `restore` and the next start put back."""
        self._document = json.loads(text)
        self._initial = _without_loads(text)
        self._last_signature = signature(self.path)
        if self._lock is not None and text != self.pending_initial:
            with self._failures_logged():
                os.ftruncate(self._lock, 0)
                _write_whole(self._lock, json.dumps({"pid": os.getpid(), "initial": self._initial}))
                os.fsync(self._lock)

    def write(self, states: States) -> bool:
        """Puts status and load into the file; a failure is logged once and gives False."""
        if states == self._written and self._is_unchanged():
            return True
        document = {**self._document}
        for name, (status, load) in states.items():
            document[name] = {**document[name], "status": status, "load": load}
        with self._failures_logged():
            self._replace(json.dumps(document, indent=4) + "\n")
            self._written = states
            return True
        return False

    def restore(self) -> bool:
        """Puts the initial text back and releases the file; returns whether it holds the initial text now."""
        restored = False
        with self._failures_logged():
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
            if not self._failing and (self._initial is not None or os.fstat(self._lock).st_size == 0):
                self._side.unlink()
        os.close(self._lock)
        self._lock = None

    def _recover(self) -> None:
        """Puts the initial text back that a crash left in the side file, unless the file was edited since."""
        left = _field_of(self._side, "initial")
        if not isinstance(left, str):
            return
        with self._failures_logged():
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

    @contextlib.contextmanager
    def _failures_logged(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeDecodeError) as error:
            if not self._failing:
                self._warn(f"{self.path}: cannot be written ({error}); requests go on, the file falls behind")
            self._failing = True
        else:
            if self._failing:
                self._warn(f"{self.path}: can be written again")
            self._failing = False


def _locked(path: Path, side: Path) -> int:
    """Opens and locks the side file of `path`; StateFileError names its holder."""
    while True:
        descriptor = os.open(side, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            fault = f"{path}: another router (process {_field_of(side, 'pid') or 'unknown'}) runs on it"
            raise StateFileError(f"{fault}: stop that one, or give this one another topology") from error
        if side.exists() and side.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
        os.close(descriptor)  # its holder removed it between our open and our lock


def _field_of(side: Path, name: str) -> Any:
    """Returns what a router left in its side file, or None; a half-written side file was never needed."""
    try:
        return json.loads(side.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError):
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
