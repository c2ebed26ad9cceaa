"""The ways to forward a request, without a server in front: one process, greenlets, the same stubs, in turn."""

import subprocess
import sys
from collections.abc import Sequence

from benchmarks.forward_ways import WAYS
from benchmarks.options import parse, parser
from benchmarks.programs import Programs, require
from benchmarks.records import RunFolder, progress
from benchmarks.report import ways_table
from benchmarks.stubs import start_instant
from cli import CommandError
from experiments.results.folders import PROJECT
from experiments.testbed.signals import stop_on_signals


def main(arguments: Sequence[str]) -> None:
    """Measure every way in turn, record, and print a table. Raises CommandError."""
    options = parse(parser("clients", "Forwarding alone, 8 at a time.", seconds=2.0, repeats=5), arguments)
    require("haproxy")
    folder = RunFolder.make(options.out)
    with stop_on_signals() as stop, Programs(folder.path, stop) as programs:
        port = start_instant(programs).ports[0]
        for repeat in range(1, options.repeats + 1):
            for way in WAYS:
                stop.check()
                progress(f"repeat {repeat} of {options.repeats}: {way}")
                folder.add_way(way, repeat, _rate_per_s(way, port, options.seconds))
    progress("")
    print(ways_table(folder.ways()))
    print(f"\nrecords: {folder.path}")


def _rate_per_s(way: str, port: int, seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.forward_ways", way, str(port), str(seconds)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if ended.returncode:
        raise CommandError(f"{way}: {ended.stderr.strip().splitlines()[-1]}")
    return float(ended.stdout)
