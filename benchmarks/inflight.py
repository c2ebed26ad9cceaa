"""500 requests in flight: 50 predictors of capacity 10 that take a second for each, all slots taken all the time."""

from collections.abc import Sequence

from benchmarks import wrk
from benchmarks.contenders import SAMPLE, start_router
from benchmarks.options import parse, parser
from benchmarks.programs import Programs, require
from benchmarks.records import RunFolder, Target
from benchmarks.stubs import start_waiting
from experiments.interruption import stop_on_signals
from experiments.options import whole_number

CAPACITY = 10
SERVICE_TIME_S = 1.0
P99_S = 1.25


def main(arguments: Sequence[str]) -> None:
    """Hold them, record, and print the figure. Raises ExperimentError."""
    made = parser("inflight", "Hold every slot of many predictors for a while.", seconds=60.0)
    made.add_argument("--predictors", type=whole_number, default=50, help="how many (default: %(default)d)")
    options = parse(made, arguments)
    require("wrk")
    folder = RunFolder.make(options.out)
    in_flight = options.predictors * CAPACITY
    with stop_on_signals() as stop, Programs(folder.path, stop) as programs:
        stubs = start_waiting(programs, options.predictors, SERVICE_TIME_S)
        served = start_router(programs, stubs, name="inflight", capacity=CAPACITY)
        burst = wrk.run(served.url, wrk.write_script(folder.path, "POST", SAMPLE), in_flight, options.seconds)
    figure = f"p99 {burst.p99_ms / 1000:.3f} s, slowest {burst.max_ms / 1000:.3f} s; {burst.errors} of "
    folder.add_target(
        Target(
            f"{in_flight} requests in flight, held for {burst.seconds:.0f} s",
            f"{figure}{burst.requests:,} failed",
            f"p99 under {P99_S:g} s, none failed",
            burst.p99_ms / 1000 < P99_S and burst.errors == 0,
            "python -m benchmarks inflight",
        )
    )
