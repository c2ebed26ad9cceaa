"""Programs as child processes: any, the router, a router that ends by itself; and how much memory one takes."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from tests.harness.http_client import Answer, fetch
from tests.harness.project import ROOT
from tests.harness.waiting import Background, wait_until

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 20.0
ANY_PORTS = ("--port", "0", "--admin-port", "0")
SAMPLE_PERIOD_S = 0.005
MIB = 1024 * 1024


class Process:
    """A child in a process group of its own; what it prints goes to files, or all of it to one."""

    _number = count()

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        cwd: str | Path = "/",
        env: dict[str, str] | None = None,
        one_file: bool = False,
    ) -> None:
        base = folder / f"{name}-{next(self._number)}"
        self.name = name
        self._out, self._err = base.with_suffix(".out"), base.with_suffix(".err")
        with self._out.open("w") as out, self._err.open("w") as err:
            self._child = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out if one_file else err,
                start_new_session=True,
            )  # fmt: skip
        self.pid = self._child.pid

    def addresses(self, wanted: int) -> list[str]:
        """Waits until it serves on this many addresses, and returns them."""

        def printed() -> list[str]:
            assert self._child.poll() is None, f"{self.name} ended at its start: {self.errors()}"
            lines = [line for line in self.output().splitlines(keepends=True) if "serving on http" in line]
            found = [line.split()[-1].strip('"}') for line in lines if line.endswith("\n")]
            return found if len(found) == wanted else []

        return wait_until(printed, START_DEADLINE_S)

    def output(self) -> str:
        """What it has printed on stdout."""
        return self._out.read_text()

    def errors(self) -> str:
        """What it has printed on stderr."""
        return self._err.read_text()

    def signal(self, signum: signal.Signals) -> None:
        """Sends the signal to its whole group."""
        os.killpg(self.pid, signum)

    def wait(self, deadline_s: float = STOP_DEADLINE_S) -> int:
        """Waits for its end; returns the exit status."""
        return self._child.wait(deadline_s)

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._child.poll() is None

    def stop(self) -> int:
        """Ends it politely; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Ends its group surely; no error if it has ended."""
        if self.running():
            with suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
            self.wait()


class Router(Process):
    """A running router on free ports; `prefix` is a program that starts it, such as `sh -c "ulimit ..."`."""

    def __init__(self, folder: Path, options: Sequence[str], tree: Path = ROOT, prefix: Sequence[str] = ()) -> None:
        super().__init__("router", [*prefix, *_command(tree), *ANY_PORTS, *options], folder)
        try:
            self.url, self.admin_url = self.addresses(2)
        except BaseException:
            self.kill()
            raise

    def snapshot(self) -> dict[str, Any]:
        """GET /topology of the admin port."""
        snapshot: dict[str, Any] = fetch(self.admin_url, "/topology").json()
        return snapshot

    def predictors(self, field: str) -> list[Any]:
        """One field of every predictor, in the topology's order, from the admin port."""
        return [predictor[field] for _, predictor in sorted(self.snapshot()["predictors"].items())]

    def loads(self) -> list[int]:
        """Every predictor's load, from the admin port."""
        return self.predictors("load")

    def events(self, predictor: str) -> list[str]:
        """The predictor's events so far, oldest first."""
        return [event["event"] for event in self.snapshot()["events"] if event["predictor"] == predictor]

    def event_time_s(self, predictor: str, kind: str, earlier: int = 0) -> float:
        """Waits for an event of this kind after the first `earlier` events of all; returns its epoch time."""

        def times() -> list[float]:
            events = self.snapshot()["events"][earlier:]
            return [e["time"] for e in events if (e["predictor"], e["event"]) == (predictor, kind)]

        return wait_until(times)[0]

    def order(self, predictor: str, order: str) -> Answer:
        """POST drain or ready for this predictor to the admin port."""
        return fetch(self.admin_url, f"/predictors/{predictor}/{order}", body=b"")


def run_router(*arguments: str, tree: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Runs a router that is expected to end by itself."""
    return run([*_command(tree), *arguments])


def run(command: Sequence[str], cwd: str | Path = "/") -> "subprocess.CompletedProcess[str]":
    """Runs a program that is expected to end by itself."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=2 * START_DEADLINE_S)


def assert_mistake(ended: "subprocess.CompletedProcess[str]", *parts: str, name: str = "router") -> None:
    """Checks for a user's mistake: exit status 2, never served, one line on stderr that holds `parts`."""
    assert ended.returncode == 2, ended.stderr
    assert "serving on" not in ended.stdout
    assert ended.stderr.startswith(f"{name}: ")
    assert ended.stderr.endswith("\n")
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert [part for part in parts if part not in ended.stderr] == [], ended.stderr


def _command(tree: Path) -> list[str]:
    return [sys.executable, str(tree / "router.py")]


class PeakMemory(Background):
    """The most that a process's resident memory grows while the block runs, in MiB."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._process = psutil.Process(pid)
        self._before = self._peak = self._process.memory_info().rss

    @property
    def peak_growth_mib(self) -> float:
        """The highest sample less the first."""
        return round((self._peak - self._before) / MIB, 1)

    @property
    def growth_mib(self) -> float:
        """What is held now, less the first sample."""
        return round((self._process.memory_info().rss - self._before) / MIB, 1)

    def _work(self) -> None:
        while not self._ended.wait(SAMPLE_PERIOD_S):
            self._peak = max(self._peak, self._process.memory_info().rss)
