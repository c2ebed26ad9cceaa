"""What a comparison of so many repeats can show at all: the smallest difference that it would find. No I/O here."""

from math import comb, floor, sqrt

from experiments.theory.erlang import erlang_b, erlangs_at_blocking
from experiments.theory.paired import student_t
from experiments.theory.verdicts import FEWEST_TO_DIFFER, LEVEL, MOST_ARRANGEMENTS, PAIRS_FROM, POWER


def detectable_difference(deviation: float, repeats: int) -> float | None:
    """The true difference that so many repeats call better or worse in 4 of 5 experiments; None where they cannot.

    The power of Student's test, at the level that the number of arrangements allows: the exact test that
    `verdicts.judge` makes has nearly the same (a test checks it on simulated first failures).

    Args:
        deviation: standard deviation of the difference of two single values.
        repeats: values of each.
    """
    if repeats < FEWEST_TO_DIFFER:
        return None
    in_pairs = repeats >= PAIRS_FROM
    arrangements = min(MOST_ARRANGEMENTS, 2**repeats if in_pairs else comb(2 * repeats, repeats))
    level, freedom = floor(LEVEL / 2 * arrangements) / arrangements, (repeats - 1) * (1 if in_pairs else 2)
    return (student_t(1 - level, freedom) + student_t(POWER, freedom)) * deviation / sqrt(repeats)


def slots_apart(slots: int, rate_per_s: float, latency_s: float, difference_per_s: float) -> int | None:
    """How many slots fewer lower the rate by this much, at which an equal share is refused; None: more than there are.

    Args:
        slots: of the system that has the rate.
        rate_per_s: requests per second.
        latency_s: how long each holds its slot.
        difference_per_s: by how much the rate is to be lower.
    """
    share = erlang_b(slots, rate_per_s * latency_s)
    for fewer in range(1, slots):
        if rate_per_s - erlangs_at_blocking(slots - fewer, share) / latency_s >= difference_per_s:
            return fewer
    return None
