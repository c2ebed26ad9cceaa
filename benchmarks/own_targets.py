"""The router against its own targets, each a command: choosing, memory, writes of the topology file, slots held."""

import statistics
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil

from benchmarks import wrk
from benchmarks.benchmark import benchmark_run, cpu_s, new_parser, pss_mib
from benchmarks.contenders import SAMPLE, start_router
from benchmarks.records import RunFolder, Target, progress
from benchmarks.stubs import start_instant, start_waiting
from cli import whole_number
from routing.balancer import Balancer
from routing.topology import Entry, Role, Topology

CAPACITY = 10
CONNECTIONS = 8

FEW, MANY = 3, 1000
MAX_RATIO = 3.0

BURST_S = 5.0
FLAT_MIB = 1.0

POLL_INTERVAL_S = 0.002
MAX_WRITES_PER_S = 20
MAX_CPU_SHARE = 0.02

SERVICE_TIME_S = 1.0
P99_S = 1.25


def choosing(arguments: Sequence[str]) -> None:
    """Measures choosing among few predictors and among many. No processes: the balancer alone."""
    options = new_parser("choosing", "Choose and release, at half load.", seconds=0.5, repeats=9).parse_args(arguments)
    folder = RunFolder.make(options.out)
    pairs = [(choice_us(FEW, options.seconds), choice_us(MANY, options.seconds)) for _ in range(options.repeats)]
    few, many = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = [slow / fast for fast, slow in pairs]
    ratio = statistics.median(ratios)
    name, wanted = f"choosing among {MANY:,} by among {FEW}", f"at most {MAX_RATIO:g}"
    figure = f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}): {many:.1f} us, {few:.1f} us"
    folder.add_target(Target(name, figure, wanted, ratio <= MAX_RATIO, "python -m benchmarks choosing"))


def choice_us(predictors: int, seconds: float) -> float:
    """Returns the microseconds for one choice and one release, with half of all slots taken."""
    entries = tuple(Entry(f"p{number}", "h", number, CAPACITY, Role.ACTIVE) for number in range(1, predictors + 1))
    balancer = Balancer(Topology("bench", Path("bench.json"), entries, {}, "{}"), 0.0)
    held = deque(balancer.choose(0.0) for _ in range(predictors * CAPACITY // 2))
    steps, end_s = 0, time.perf_counter() + seconds
    began_s = time.perf_counter()
    while time.perf_counter() < end_s:
        for _ in range(200):
            held.append(balancer.choose(0.0))
            balancer.release(held.popleft(), 0.0)
        steps += 200
    return (time.perf_counter() - began_s) / steps * 1e6


def memory(arguments: Sequence[str]) -> None:
    """Measures memory: what the router holds after a tenth of very many requests is what it may hold at the end.

    Raises CommandError.
    """
    parser = new_parser("memory", "Memory (PSS) after a tenth of the requests, and after all.")
    parser.add_argument("--requests", type=whole_number, default=300_000, help="how many (default: %(default)d)")
    options = parser.parse_args(arguments)
    samples: list[tuple[int, float]] = []
    with benchmark_run(options.out, "wrk", "haproxy") as (folder, programs):
        router = start_router(programs, start_instant(programs), name="memory")
        script = wrk.write_script(folder.path, "POST", SAMPLE)
        sent = 0
        while sent < options.requests:
            programs.stop.check()
            sent += wrk.run(router.url, script, CONNECTIONS, BURST_S).requests
            samples.append((sent, pss_mib(router.pid)))
            progress(f"{sent:,} of {options.requests:,} requests: {samples[-1][1]:.1f} MiB")
    progress("")
    early = next(held for count, held in samples if count >= options.requests / 10)
    growth = samples[-1][1] - early
    figure = f"{growth:+.2f} MiB, from {early:.1f} MiB after the first tenth to {samples[-1][1]:.1f} MiB"
    name, wanted = f"memory over {sent:,} requests", f"flat: at most {FLAT_MIB:g} MiB more"
    folder.add_target(Target(name, figure, wanted, growth <= FLAT_MIB, "python -m benchmarks memory"))


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


def state(arguments: Sequence[str]) -> None:
    """Measures writes of the live topology file at full rate, and the CPU time of the threads that write it.

    Raises CommandError.
    """
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


def inflight(arguments: Sequence[str]) -> None:
    """Measures many predictors of capacity 10 that take a second for each request, all slots taken all the time.

    The clients come over the first second: all in one moment, they would stay in step, a burst of 500 each second.
    Raises CommandError.
    """
    parser = new_parser("inflight", "Hold every slot of many predictors for a while.", seconds=60.0)
    parser.add_argument("--predictors", type=whole_number, default=50, help="how many (default: %(default)d)")
    parser.add_argument("--in-step", action="store_true", help="all begin in one moment, and so end in one")
    options = parser.parse_args(arguments)
    in_flight = options.predictors * CAPACITY
    with benchmark_run(options.out, "wrk") as (folder, programs):
        stubs = start_waiting(programs, options.predictors, SERVICE_TIME_S)
        router = start_router(programs, stubs, name="inflight", capacity=CAPACITY)
        script = wrk.write_script(folder.path, "POST", SAMPLE, 0.0 if options.in_step else SERVICE_TIME_S, in_flight)
        burst = wrk.run(router.url, script, in_flight, options.seconds)
    folder.add_target(_inflight_target(burst, in_flight, options.in_step))


def _inflight_target(burst: wrk.Burst, in_flight: int, in_step: bool) -> Target:
    p99_s = burst.p99_ms / 1000
    held = burst.requests > in_flight * (burst.seconds - 2 * SERVICE_TIME_S) / P99_S
    good = held and burst.errors == 0
    figure = f"p99 {p99_s:.3f} s, slowest {burst.max_ms / 1000:.3f} s; {burst.errors} of {burst.requests:,} failed"
    name = f"{in_flight} requests in flight, held for {burst.seconds:.0f} s"
    if in_step:
        command = "python -m benchmarks inflight --in-step"
        return Target(f"{name}, all sent in one moment", figure, "none failed", good, command)
    wanted = f"p99 under {P99_S:g} s, none failed"
    return Target(name, figure, wanted, p99_s < P99_S and good, "python -m benchmarks inflight")
