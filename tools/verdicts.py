"""`python -m tools.verdicts`: how often verdicts err and how often they decide, by simulation, as Markdown tables."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from cli import Parser, whole_number
from experiments.theory.simulation import Floats
from experiments.theory.verdicts import Verdict, judge, next_look

SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Floats]] = {
    "normal": lambda random, size: random.normal(size=size),
    "skewed (exponential)": lambda random, size: random.exponential(size=size),
    "counts (Poisson, mean 2)": lambda random, size: random.poisson(2.0, size) / np.sqrt(2.0),
}
"""Name -> draws values whose standard deviation is 1."""

REPEATS = (3, 4, 5, 6, 8, 10, 20)
MOST_REPEATS = 10
"""Of an experiment that goes on until it has a verdict."""

MARGIN = 1.0
"""In standard deviations of a repeat's value, as every difference here."""

LARGE = 2.0
"""The true difference of which a rule worth having calls most."""

EXPERIMENTS = 2000


def shares(verdicts: Sequence[Verdict]) -> dict[Verdict, float]:
    """Returns how often each verdict was given."""
    counts = Counter(verdicts)
    return {verdict: counts[verdict] / len(verdicts) for verdict in Verdict}


def simulate(
    shape: str, repeats: int, experiments: int, common: float, seed: int, difference: float
) -> dict[Verdict, float]:
    """Returns how often each verdict is given on so many repeats.

    `difference`: of the true means. `common`: the share of the variance that both have in common in a repeat.
    """
    return shares([_judge(a, b) for a, b in _experiments(shape, repeats, difference, experiments, common, seed)])


def simulate_until_decided(shape: str, experiments: int, seed: int, difference: float) -> dict[Verdict, float]:
    """Returns how often each verdict ends an experiment of at most MOST_REPEATS repeats, two looks running."""
    drawn = _experiments(shape, MOST_REPEATS, difference, experiments, 0.0, seed)
    return shares([_judge_until_decided(a, b) for a, b in drawn])


def _experiments(
    shape: str, repeats: int, difference: float, experiments: int, common: float, seed: int
) -> Iterator[tuple[Floats, Floats]]:
    draw, random = SHAPES[shape], np.random.default_rng(seed)
    for _ in range(experiments):
        own, shared = draw(random, (2, repeats)), draw(random, (repeats,))
        values = np.sqrt(1 - common) * own + np.sqrt(common) * shared
        yield values[0] + difference, values[1]


def _judge(a: Floats, b: Floats) -> Verdict:
    return judge(a.tolist(), b.tolist(), MARGIN, more_is_better=True).verdict


def _judge_until_decided(a: Floats, b: Floats) -> Verdict:
    before, repeats = Verdict.NOT_DECIDED, next_look(0)
    while repeats <= len(a):
        verdict = _judge(a[:repeats], b[:repeats])
        if verdict is before is not Verdict.NOT_DECIDED:
            return verdict
        before, repeats = verdict, next_look(repeats)
    return Verdict.NOT_DECIDED


Found = Callable[[float], dict[Verdict, float]]
"""A true difference -> how often each verdict was given."""


def tables(experiments: int, seed: int) -> Iterator[str]:
    """Yields the lines of both tables."""
    yield from _head("repeats")
    for shape, common in [*((name, 0.0) for name in SHAPES), ("normal", 0.5)]:
        for repeats in REPEATS:
            name = f"{shape}, half of the variance in common" if common else shape
            yield _row(name, str(repeats), partial(simulate, shape, repeats, experiments, common, seed))
    yield ""
    yield from _head("until decided")
    for shape in SHAPES:
        yield _row(shape, f"at most {MOST_REPEATS}", partial(simulate_until_decided, shape, experiments, seed))


def _head(repeats: str) -> Iterator[str]:
    heads = (
        "values", repeats, "no difference: better or worse, falsely", "of the margin: equal, falsely",
        "2 sd: better", "no difference: equal",
    )  # fmt: skip
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"


def _row(shape: str, repeats: str, found: Found) -> str:
    none, margin, large = (found(difference) for difference in (0.0, MARGIN, LARGE))
    found_shares = (
        none[Verdict.BETTER] + none[Verdict.WORSE], margin[Verdict.EQUAL], large[Verdict.BETTER], none[Verdict.EQUAL],
    )  # fmt: skip
    return f"| {' | '.join([shape, repeats, *(f'{share:.1%}' for share in found_shares)])} |"


def main() -> None:
    """Simulates and prints."""
    parser = Parser(
        prog="python -m tools.verdicts",
        description="Simulate experiments whose true difference is known, and count the verdicts (a minute or two).",
    )
    parser.add_argument("--experiments", type=whole_number, default=EXPERIMENTS, metavar="N",
        help="simulated experiments per line (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=whole_number, default=1, metavar="N", help="of the values (default: 1)")
    options = parser.parse_args()
    for line in tables(options.experiments, options.seed):
        print(line)


if __name__ == "__main__":
    main()
