"""The ways to forward a request, without a server in front: one process, greenlets, the same stubs, in turn."""

import subprocess
from collections.abc import Sequence

from benchmarks.benchmark import benchmark_run, new_parser, python
from benchmarks.forwarding_clients import CLIENTS
from benchmarks.records import progress
from benchmarks.report import ways_table
from benchmarks.stubs import start_instant
from cli import CommandError
from experiments.results.folders import PROJECT


def main(arguments: Sequence[str]) -> None:
    """Measures every way in turn, records, and prints a table. Raises CommandError."""
    options = new_parser("clients", "Forwarding alone, 8 at a time.", seconds=2.0, repeats=5).parse_args(arguments)
    with benchmark_run(options.out, "haproxy") as (folder, programs):
        port = start_instant(programs).ports[0]
        for repeat in range(1, options.repeats + 1):
            for way in CLIENTS:
                programs.stop.check()
                progress(f"repeat {repeat} of {options.repeats}: {way}")
                folder.add_way(way, repeat, _rate_per_s(way, port, options.seconds))
    progress("")
    print(ways_table(folder.ways()))
    print(f"\nrecords: {folder.path}")


def _rate_per_s(way: str, port: int, seconds: float) -> float:
    command = python("-m", "benchmarks.forwarding_clients", way, port, seconds)
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if ended.returncode:
        raise CommandError(f"{way}: {ended.stderr.strip().splitlines()[-1]}")
    return float(ended.stdout)
