"""The live topology file at full rate: how often it is written, and the CPU time of the threads that write it."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil

from benchmarks import wrk
from benchmarks.benchmark import benchmark_run, cpu_s, new_parser
from benchmarks.contenders import SAMPLE, start_router
from benchmarks.records import Target
from benchmarks.stubs import start_instant

CONNECTIONS = 8
POLL_INTERVAL_S = 0.002
MAX_WRITES_PER_S = 20
MAX_CPU_SHARE = 0.02


class WriteMonitor:
    """Records when a file is replaced (monotonic seconds): each write of the router's makes a new file."""

    def __init__(self, path: Path) -> None:
        self.times_s: list[float] = []
        self._path = path
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def max_per_s(self) -> int:
        """Returns the most writes in any window of one second."""
        ends = self.times_s
        return max((sum(end - 1.0 < time_s <= end for time_s in ends) for end in ends), default=0)

    def _run(self) -> None:
        before = self._path.stat()
        while not self._stopped.wait(POLL_INTERVAL_S):
            now = self._path.stat()
            if (now.st_ino, now.st_mtime_ns) != (before.st_ino, before.st_mtime_ns):
                before = now
                self.times_s.append(time.monotonic())


def main(arguments: Sequence[str]) -> None:
    """Measures at full rate, records, and prints the figure. Raises CommandError."""
    options = new_parser("state", "Writes of the topology file under full load.", seconds=20.0).parse_args(arguments)
    with benchmark_run(options.out, "wrk", "haproxy") as (folder, programs):
        router = start_router(programs, start_instant(programs), name="state")
        script = wrk.write_script(folder.path, "POST", SAMPLE)
        wrk.run(router.url, script, CONNECTIONS, 0.5)
        whole_s, others_s = cpu_s(router.pid), _writers_s(router.pid)
        with WriteMonitor(folder.path / "topology" / "3active-state.json") as monitor:
            burst = wrk.run(router.url, script, CONNECTIONS, options.seconds)
        share = (_writers_s(router.pid) - others_s) / (cpu_s(router.pid) - whole_s)
    writes_per_s = monitor.max_per_s()
    name = f"topology file at {burst.requests / burst.seconds:,.0f} requests/s"
    figure = f"at most {writes_per_s} writes in a second, {100 * share:.1f} % of the CPU time"
    wanted = f"at most {MAX_WRITES_PER_S} writes/s, under {100 * MAX_CPU_SHARE:g} %"
    reached = writes_per_s <= MAX_WRITES_PER_S and share < MAX_CPU_SHARE
    folder.add_target(Target(name, figure, wanted, reached, "python -m benchmarks state"))


def _writers_s(pid: int) -> float:
    """Returns the CPU time of all threads but the main one: they write the file, and do nothing else."""
    return sum(thread.user_time + thread.system_time for thread in psutil.Process(pid).threads() if thread.id != pid)
