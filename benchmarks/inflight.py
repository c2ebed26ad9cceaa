"""500 requests in flight: 50 predictors of capacity 10 that take a second for each, all slots taken all the time.

The clients come over the first second: all in one moment, they would stay in step, a burst of 500 each second.
"""

from collections.abc import Sequence

from benchmarks import wrk
from benchmarks.benchmark import benchmark_run, new_parser
from benchmarks.contenders import SAMPLE, start_router
from benchmarks.records import Target
from benchmarks.stubs import start_waiting
from cli import whole_number

CAPACITY = 10
SERVICE_TIME_S = 1.0
P99_S = 1.25


def main(arguments: Sequence[str]) -> None:
    """Holds them, records, and prints the figure. Raises CommandError."""
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
    folder.add_target(_target(burst, in_flight, options.in_step))


def _target(burst: wrk.Burst, in_flight: int, in_step: bool) -> Target:
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
