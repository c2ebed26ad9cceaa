"""The live topology file at full rate: how often it is written, and the CPU time of the threads that write it."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil

from benchmarks import wrk
from benchmarks.contenders import SAMPLE, start_router
from benchmarks.options import parse, parser
from benchmarks.programs import Programs, cpu_s, require
from benchmarks.records import RunFolder, Target
from benchmarks.stubs import start_instant
from experiments.testbed.signals import stop_on_signals

CONNECTIONS = 8
LOOK_EVERY_S = 0.002
MOST_PER_S = 20
MOST_SHARE = 0.02


class WriteWatch:
    """Notes when a file is replaced: each write of the router's makes a new file."""

    def __init__(self, path: Path) -> None:
        self.moments_s: list[float] = []
        self._path = path
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def most_in_a_second(self) -> int:
        """The most writes in any window of one second."""
        ends = self.moments_s
        return max((sum(end - 1.0 < moment <= end for moment in ends) for end in ends), default=0)

    def _run(self) -> None:
        seen = self._mark()
        while not self._stopped.wait(LOOK_EVERY_S):
            if (mark := self._mark()) != seen:
                seen = mark
                self.moments_s.append(time.monotonic())

    def _mark(self) -> tuple[int, int]:
        status = self._path.stat()
        return status.st_ino, status.st_mtime_ns


def main(arguments: Sequence[str]) -> None:
    """Measure at full rate, record, and print the figure. Raises CommandError."""
    options = parse(parser("state", "Writes of the topology file under full load.", seconds=20.0), arguments)
    require("wrk", "haproxy")
    folder = RunFolder.make(options.out)
    with stop_on_signals() as stop, Programs(folder.path, stop) as programs:
        served = start_router(programs, start_instant(programs), name="state")
        script = wrk.write_script(folder.path, "POST", SAMPLE)
        wrk.run(served.url, script, CONNECTIONS, 0.5)
        whole_s, others_s = cpu_s(served.pid), _writers_s(served.pid)
        with WriteWatch(folder.path / "topology" / "3active-state.json") as watch:
            burst = wrk.run(served.url, script, CONNECTIONS, options.seconds)
        share = (_writers_s(served.pid) - others_s) / (cpu_s(served.pid) - whole_s)
    folder.add_target(
        Target(
            f"topology file at {burst.requests / burst.seconds:,.0f} requests/s",
            f"at most {watch.most_in_a_second()} writes in a second, {100 * share:.1f} % of the CPU time",
            f"at most {MOST_PER_S} writes/s, under {100 * MOST_SHARE:g} %",
            watch.most_in_a_second() <= MOST_PER_S and share < MOST_SHARE,
            "python -m benchmarks state",
        )
    )


def _writers_s(pid: int) -> float:
    """CPU time of all threads but the main one: they write the file, and do nothing else."""
    return sum(thread.user_time + thread.system_time for thread in psutil.Process(pid).threads() if thread.id != pid)
