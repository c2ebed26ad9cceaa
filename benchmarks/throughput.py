"""Throughput, latency, CPU time and memory of every contender: same run, same stubs, interleaved, repeated."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks import wrk
from benchmarks.benchmark import benchmark_run, new_parser
from benchmarks.contenders import CONTENDERS, RAY, SAMPLE, SkippedError
from benchmarks.programs import Programs, Server, cpu_s, pss_mib, version_of
from benchmarks.records import Measurement, RunFolder, progress
from benchmarks.report import markdown
from benchmarks.stubs import Stubs, start_instant
from cli import UsageError
from experiments.testbed.signals import StopRequest

WARM_UP_S = 0.3


@dataclass(frozen=True)
class Cell:
    """One kind of load."""

    method: str
    connections: int


CELLS = (Cell("POST", 1), Cell("POST", 8), Cell("POST", 64), Cell("GET", 8))


def main(arguments: Sequence[str]) -> None:
    """Measures, records, and prints the tables. Raises CommandError."""
    parser = new_parser(
        "throughput", "Every contender in front of the same stubs, burst by burst.", seconds=1.5, repeats=5
    )
    parser.add_argument("--contenders", metavar="A,B", help=f"only these of: {', '.join(CONTENDERS)}")
    parser.add_argument("--connections", metavar="N,N", help="only these of: 1, 8, 64")
    options = parser.parse_args(arguments)
    names = _chosen(options.contenders, list(CONTENDERS), "--contenders")
    wanted = _chosen(options.connections, ["1", "8", "64"], "--connections")
    cells = [cell for cell in CELLS if str(cell.connections) in wanted]
    with benchmark_run(options.out, "wrk", "haproxy") as (folder, programs):
        for program in ("haproxy", "wrk"):
            folder.note_program(program, version_of([program, "-v"]))
        servers = _start(programs, start_instant(programs), names, folder)
        if RAY in servers:
            folder.note_program("ray", version("ray"))
        _measure(folder, servers, cells, options, programs.stop)
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


def _start(programs: Programs, stubs: Stubs, names: list[str], folder: RunFolder) -> dict[str, Server]:
    servers = {}
    for name in names:
        try:
            servers[name] = CONTENDERS[name](programs, stubs)
        except SkippedError as reason:
            folder.note_skipped(name, str(reason))
    return servers


def _measure(
    folder: RunFolder, servers: dict[str, Server], cells: Sequence[Cell], options: Namespace, stop: StopRequest
) -> None:
    scripts = {"POST": wrk.write_script(folder.path, "POST", SAMPLE), "GET": wrk.write_script(folder.path, "GET")}
    for server in servers.values():
        wrk.run(server.url, scripts["POST"], 8, min(options.seconds, WARM_UP_S))
    names = list(servers)
    for repeat in range(1, options.repeats + 1):
        first = repeat % len(names)
        for cell in cells:
            for name in names[first:] + names[:first]:
                stop.check()
                progress(f"repeat {repeat} of {options.repeats}: {cell.method}, {cell.connections} connections: {name}")
                folder.add(_burst(name, servers[name], scripts[cell.method], cell, repeat, options.seconds))


def _burst(name: str, server: Server, script: Path, cell: Cell, repeat: int, seconds: float) -> Measurement:
    before_s = cpu_s(server.pid)
    burst = wrk.run(server.url, script, cell.connections, seconds)
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
        cpu_s=cpu_s(server.pid) - before_s,
        pss_mib=pss_mib(server.pid),
    )
