"""Many tests at once: by chance alone some find a difference. No I/O here."""

from collections.abc import Sequence


def corrected(p_values: Sequence[float]) -> list[float]:
    """The p-values, each such that at a level of 5 % any false finding at all is made in at most 5 % of cases.

    S. Holm, "A simple sequentially rejective multiple test procedure" (1979): the smallest times their number, the
    next times one fewer, and so on; none below a smaller one's.
    """
    found = [1.0] * len(p_values)
    so_far = 0.0
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for rank, place in enumerate(order):
        so_far = max(so_far, min(1.0, p_values[place] * (len(p_values) - rank)))
        found[place] = so_far
    return found
