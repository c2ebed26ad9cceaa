"""HAProxy as a program: found, checked, started as a child that cannot be orphaned, and stopped."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cli import UsageError
from routing.engine import EngineError

MIN_VERSION = (2, 6)
START_TIMEOUT_S = 5.0
VERSION = re.compile(r"HAProxy version (\d+)\.(\d+)")
REQUIRED_FEATURES = {"Lua": r"USE_LUA=1", "PCRE2 or PCRE": r"USE_(STATIC_)?PCRE2?=1"}
INSTALL = "install HAProxy 2.6 or newer (Debian: apt install haproxy), or use --engine flask"
PREFIX, LOCK = "router-haproxy-", "in-use"
GUARD = Path(__file__).with_name("guard.py")


def find_haproxy() -> str:
    """Returns the path of an HAProxy that is new enough. Raises UsageError."""
    path = shutil.which("haproxy")
    if path is None:
        raise UsageError(f"no haproxy on PATH: {INSTALL}")
    try:
        ended = subprocess.run([path, "-vv"], check=False, capture_output=True, text=True, timeout=START_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{path} does not run ({error}): {INSTALL}") from error
    fault = why_unsupported(ended.stdout)
    if fault is not None:
        raise UsageError(f"{path} {fault}: {INSTALL}")
    return path


def why_unsupported(description: str) -> str | None:
    """Returns what is wrong with an HAProxy that describes itself so (`haproxy -vv`); None: nothing."""
    found = VERSION.search(description)
    if found is None:
        return "does not say its version"
    if (int(found[1]), int(found[2])) < MIN_VERSION:
        return f"is version {found[1]}.{found[2]}"
    missing = [name for name, built in REQUIRED_FEATURES.items() if not re.search(built, description)]
    return f"was built without {missing[0]}" if missing else None


class HAProxyProcess:
    """A running HAProxy with a folder of its own for its configuration and sockets."""

    def __init__(self, path: str) -> None:
        """Makes the folder. Raises EngineError where none can be made."""
        self._path = path
        _remove_leftovers()
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # mode 700: nobody else's
            self._lock: int | None = _locked(self.folder)
        except OSError as error:
            raise EngineError(f"HAProxy's folder cannot be made: {error}") from error
        self.runtime_socket = str(self.folder / "runtime.sock")
        self.sample_socket = str(self.folder / "sample.sock")
        self._child: subprocess.Popen[bytes] | None = None

    def store(self, name: str, content: bytes) -> Path:
        """Puts a file into the folder. Raises EngineError."""
        file = self.folder / name
        try:
            file.write_bytes(content)
        except OSError as error:
            raise EngineError(f"HAProxy cannot be started: {error}") from error
        return file

    def start(self, configuration: str, inherited: int, variables: Mapping[str, str]) -> None:
        """Checks the configuration and runs it, with these environment variables besides. Raises EngineError.

        HAProxy inherits the descriptor `inherited`.
        """
        file = self.store("haproxy.cfg", configuration.encode())
        try:
            self._start(file, inherited, {**os.environ, **variables})
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"HAProxy cannot be started: {error}") from error

    def _start(self, file: Path, inherited: int, environment: dict[str, str]) -> None:
        check = subprocess.run(
            [self._path, "-c", "-f", str(file)],
            check=False,
            capture_output=True,
            text=True,
            pass_fds=[inherited],
            process_group=0,  # the terminal's Ctrl-C is the router's
            timeout=START_TIMEOUT_S,
            env=environment,
        )
        if check.returncode:
            raise EngineError(f"HAProxy refuses its configuration: {_first_alert(check.stderr)}")
        guarded = [sys.executable, "-I", str(GUARD), str(os.getpid())]
        self._child = subprocess.Popen(
            [*guarded, self._path, "-q", "-db", "-f", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[inherited],
            process_group=0,  # likewise: the router stops it politely
            env=environment,
        )

    def running(self) -> bool:
        """Whether it still runs."""
        return self._child is not None and self._child.poll() is None

    def request_stop(self) -> None:
        """Has it take nothing new, and end after its last request."""
        self._signal(signal.SIGUSR1)

    def stop(self, grace_s: float) -> None:
        """Lets requests in flight end, but no longer than `grace_s`; then ends it surely and removes its folder."""
        if self._child is not None:
            self.request_stop()
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(grace_s)
            self._signal(signal.SIGKILL)
            self._child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _signal(self, signum: signal.Signals) -> None:
        if self._child is not None and self._child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signum)


def _locked(folder: Path) -> int:
    """Marks the folder as in use for as long as this process lives."""
    new = folder / "new"
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    new.rename(folder / LOCK)  # others only ever see it locked
    return descriptor


def _remove_leftovers() -> None:
    """Removes the folders of routers that were killed."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), open(lock, opener=_without_waiting) as file:  # another user's, or one that is in use
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent)


def _without_waiting(path: str, flags: int) -> int:
    """Opens what may be no file: anybody may put a pipe there, on which opening would wait."""
    return os.open(path, flags | os.O_NONBLOCK)


def _first_alert(text: str) -> str:
    alerts = [line.partition(" : ")[2] or line for line in text.splitlines() if "[ALERT]" in line]
    return (alerts or ["it gives no reason"])[0]
