"""Throughput, latency, CPU time and memory of every contender: same run, same stubs, interleaved, repeated."""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks import peers, wrk
from benchmarks.benchmark import (
    Programs,
    Server,
    SkippedError,
    benchmark_run,
    cpu_s,
    new_parser,
    pss_mib,
    version_of,
)
from benchmarks.contenders import CONTENDERS, RAY, SAMPLE
from benchmarks.records import CONNECTIONS, LOADS, Measurement, RunFolder, progress
from benchmarks.report import markdown
from benchmarks.stubs import Stubs, start_instant
from cli import UsageError
from experiments.testbed.signals import StopRequest

WARM_UP_S = 0.3


def main(arguments: Sequence[str]) -> None:
    """Measures, records, and prints the tables. Raises CommandError."""
    parser = new_parser(
        "throughput", "Every contender in front of the same stubs, burst by burst.", seconds=1.5, repeats=5
    )
    parser.add_argument("--contenders", metavar="A,B", help=f"only these of: {', '.join(CONTENDERS)}")
    parser.add_argument("--connections", metavar="N,N", help="only these of: 1, 8, 64")
    options = parser.parse_args(arguments)
    names = _chosen(options.contenders, list(CONTENDERS), "--contenders")
    wanted = _chosen(options.connections, [str(number) for number in CONNECTIONS], "--connections")
    loads = [(method, connections) for method, connections in LOADS if str(connections) in wanted]
    with comparison_run(options.out) as (folder, programs):
        servers = _start(programs, start_instant(programs), names, folder)
        for name in peers.PEERS.keys() & servers.keys():
            folder.note("versions", name, version_of(peers.version_command(name)))
        if RAY in servers:
            folder.note("versions", "ray", version("ray"))
        measure(folder, servers, loads, options, programs.stop)
    print_tables(folder)


@contextmanager
def comparison_run(out: Path | None) -> Iterator[tuple[RunFolder, Programs]]:
    """Makes the folder of a run that compares servers by wrk, and notes its client's and its stubs' versions.

    Raises UsageError, also where the folder holds another comparison's measurements.
    """
    with benchmark_run(out, "wrk", "haproxy") as (folder, programs):
        folder.require_unmeasured()
        for program in ("haproxy", "wrk"):
            folder.note("versions", program, version_of([program, "-v"]))
        yield folder, programs


def print_tables(folder: RunFolder) -> None:
    """Prints what came of it, and where the records are."""
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
            folder.note("skipped", name, str(reason))
    return servers


def measure(
    folder: RunFolder,
    servers: Mapping[str, Server],
    loads: Sequence[tuple[str, int]],
    options: Namespace,
    stop: StopRequest,
) -> None:
    """Asks all servers in turn, a burst at a time, in another order in each repeat; adds the records.

    Raises CommandError.
    """
    scripts = {"POST": wrk.write_script(folder.path, "POST", SAMPLE), "GET": wrk.write_script(folder.path, "GET")}
    for server in servers.values():
        wrk.run(server.url, scripts["POST"], 8, min(options.seconds, WARM_UP_S))
    names = list(servers)
    for repeat in range(1, options.repeats + 1):
        first = repeat % len(names)
        for method, connections in loads:
            for name in names[first:] + names[:first]:
                stop.check()
                progress(f"repeat {repeat} of {options.repeats}: {method}, {connections} connections: {name}")
                server = servers[name]
                before_s = cpu_s(server.pid)
                burst = wrk.run(server.url, scripts[method], connections, options.seconds)
                measurement = Measurement(
                    name, method, connections, repeat, burst.seconds, burst.requests, burst.errors,
                    burst.p50_ms, burst.p99_ms, cpu_s=cpu_s(server.pid) - before_s, pss_mib=pss_mib(server.pid),
                )  # fmt: skip
                folder.add(measurement)
