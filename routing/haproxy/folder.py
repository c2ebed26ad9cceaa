"""The folder of an HAProxy: nobody removes it while HAProxy and its guard hold the lock of a file in it."""

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

PREFIX, LOCK = "router-haproxy-", "in-use"


class Folder:
    """A folder and its lock, which can be had only where all who inherited it have ended: no process id is needed."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock
        """The descriptor of the file that is locked."""
        self._removed = False

    @classmethod
    def make(cls) -> Self:
        """Makes a folder, in use by this process until `give_away`; removes those that others left. Raises OSError."""
        _remove_leftovers()
        path = Path(tempfile.mkdtemp(prefix=PREFIX))  # mode 700: nobody else's
        new = path / "new"
        folder = cls(path, os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        fcntl.flock(folder.lock, fcntl.LOCK_EX)
        new.rename(path / LOCK)  # others only ever see it locked
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens a folder that another router has made. Raises OSError."""
        return cls(path, os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC))

    @classmethod
    def in_use_with(cls, name: str, content: bytes) -> list[Self]:
        """Opens the folders of this user that are in use and have a file of this name and content."""
        found = []
        for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError):
                status = path.lstat()  # nobody else can have put anything into a folder of mode 700
                own = status.st_uid == os.getuid() and stat.S_IMODE(status.st_mode) == 0o700
                if own and stat.S_ISDIR(status.st_mode) and (path / name).read_bytes() == content:
                    found.append(cls.open(path))
        for folder in found:
            if not folder.in_use():
                folder.remove()
        return [folder for folder in found if folder.in_use()]

    def give_away(self) -> None:
        """Leaves the lock to those who have inherited it. Raises OSError."""
        inherited, self.lock = self.lock, os.open(self.path / LOCK, os.O_RDWR | os.O_CLOEXEC)
        os.close(inherited)

    def in_use(self) -> bool:
        """Whether anybody else holds the lock; where nobody does this process has it from then on."""
        if self._removed:
            return False
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    def holder(self) -> int | None:
        """The process id that the guard has written: its own for as long as the folder is in use."""
        text = os.pread(self.lock, 20, 0).strip()
        return int(text) if text.isdigit() else None

    def store(self, name: str, content: bytes) -> Path:
        """Puts a file into the folder. Raises OSError."""
        file = self.path / name
        file.write_bytes(content)
        return file

    def read(self, name: str) -> bytes | None:
        """Returns what a file in the folder holds, None where there is none."""
        try:
            return (self.path / name).read_bytes()
        except OSError:
            return None

    def remove(self) -> None:
        """Removes it, once it is in use no more."""
        if not self._removed:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self.lock)
            self._removed = True


def _remove_leftovers() -> None:
    """Removes the folders of HAProxys that have ended without their router."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), open(lock, opener=_without_waiting) as file:  # another user's, or one that is in use
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent)


def _without_waiting(path: str, flags: int) -> int:
    """Opens what may be no file: anybody may put a pipe there, on which opening would wait."""
    return os.open(path, flags | os.O_NONBLOCK)
