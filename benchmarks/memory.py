"""The router's memory over very many requests: what it holds after the first tenth is what it may hold at the end."""

from collections.abc import Sequence

from benchmarks import wrk
from benchmarks.benchmark import benchmark_run, new_parser, pss_mib
from benchmarks.contenders import SAMPLE, start_router
from benchmarks.records import Target, progress
from benchmarks.stubs import start_instant
from cli import whole_number

CONNECTIONS = 8
BURST_S = 5.0
FLAT_MIB = 1.0


def main(arguments: Sequence[str]) -> None:
    """Sends, samples, records, and prints the figure. Raises CommandError."""
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
