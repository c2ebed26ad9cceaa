"""Throughput, latency, CPU time and memory of every contender: same run, same stubs, interleaved, repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks import wrk
from benchmarks.contenders import CONTENDERS, RAY, SAMPLE, Served, SkippedError
from benchmarks.options import parse, parser
from benchmarks.programs import Programs, cpu_s, pss_mib, require, version_of
from benchmarks.records import Measurement, RunFolder, progress
from benchmarks.report import markdown
from benchmarks.stubs import Stubs, start_instant
from cli import UsageError
from experiments.testbed.signals import StopRequest, stop_on_signals

WARM_UP_S = 0.3


@dataclass(frozen=True)
class Cell:
    """One kind of load."""

    method: str
    connections: int


CELLS = (Cell("POST", 1), Cell("POST", 8), Cell("POST", 64), Cell("GET", 8))


def main(arguments: Sequence[str]) -> None:
    """Measure, record, and print the tables. Raises CommandError."""
    made = parser("throughput", "Every contender in front of the same stubs, burst by burst.", seconds=1.5, repeats=5)
    made.add_argument("--contenders", metavar="A,B", help=f"only these of: {', '.join(CONTENDERS)}")
    made.add_argument("--connections", metavar="N,N", help="only these of: 1, 8, 64")
    options = parse(made, arguments)
    names = _chosen(options.contenders, list(CONTENDERS), "--contenders")
    wanted = _chosen(options.connections, ["1", "8", "64"], "--connections")
    cells = [cell for cell in CELLS if str(cell.connections) in wanted]
    require("wrk", "haproxy")
    folder = RunFolder.make(options.out)
    folder.note_program("haproxy", version_of(["haproxy", "-v"]))
    folder.note_program("wrk", version_of(["wrk", "-v"]))
    with stop_on_signals() as stop, Programs(folder.path, stop) as programs:
        stubs = start_instant(programs)
        served = _start(programs, stubs, names, folder)
        if RAY in served:
            folder.note_program("ray", version("ray"))
        _measure(folder, served, cells, options.seconds, options.repeats, stop)
    progress("")
    print(markdown(folder))
    print(f"records: {folder.path}")


def _chosen(text: str | None, known: list[str], option: str) -> list[str]:
    if text is None:
        return known
    chosen = [name.strip() for name in text.split(",")]
    for name in chosen:
        if name not in known:
            raise UsageError(f"argument {option}: {name!r}: give some of {', '.join(known)}")
    return chosen


def _start(programs: Programs, stubs: Stubs, names: list[str], folder: RunFolder) -> dict[str, Served]:
    served = {}
    for name in names:
        try:
            served[name] = CONTENDERS[name](programs, stubs)
        except SkippedError as reason:
            folder.note_skipped(name, str(reason))
    return served


def _measure(
    folder: RunFolder,
    served: dict[str, Served],
    cells: Sequence[Cell],
    seconds: float,
    repeats: int,
    stop: StopRequest,
) -> None:
    scripts = {"POST": wrk.write_script(folder.path, "POST", SAMPLE), "GET": wrk.write_script(folder.path, "GET")}
    for contender in served.values():
        wrk.run(contender.url, scripts["POST"], 8, min(seconds, WARM_UP_S))
    for repeat in range(1, repeats + 1):
        order = list(served)[repeat % len(served) :] + list(served)[: repeat % len(served)]
        for cell in cells:
            for name in order:
                stop.check()
                progress(f"repeat {repeat} of {repeats}: {cell.method}, {cell.connections} connections: {name}")
                folder.add(_burst(name, served[name], scripts[cell.method], cell, repeat, seconds))


def _burst(name: str, served: Served, script: Path, cell: Cell, repeat: int, seconds: float) -> Measurement:
    before_s = cpu_s(served.pid)
    burst = wrk.run(served.url, script, cell.connections, seconds)
    return Measurement(
        contender=name,
        method=cell.method,
        connections=cell.connections,
        repeat=repeat,
        seconds=burst.seconds,
        requests=burst.requests,
        errors=burst.errors,
        p50_ms=burst.p50_ms,
        p99_ms=burst.p99_ms,
        cpu_s=cpu_s(served.pid) - before_s,
        pss_mib=pss_mib(served.pid),
    )
