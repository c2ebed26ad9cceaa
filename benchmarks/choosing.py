"""How long choosing takes among few predictors and among many. No processes: the balancer alone."""

import statistics
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from benchmarks.benchmark import new_parser
from benchmarks.records import RunFolder, Target
from routing.balancer import Balancer
from routing.topology import Entry, Role, Topology

FEW, MANY = 3, 1000
CAPACITY = 10
MAX_RATIO = 3.0


def main(arguments: Sequence[str]) -> None:
    """Measures both in turn, records, and prints the figure."""
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
