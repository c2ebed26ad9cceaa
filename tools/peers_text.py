"""The sentences of docs/peers.md: where another router is better than this project's, and how that was judged."""

from collections.abc import Iterable, Iterator, Sequence

from experiments.page.text import join_words, percent_text
from experiments.theory.verdicts import LEVEL, Verdict
from tools.peers_figures import LEAST_WAIT_S, OWN, Comparison, Kind

HEADS = {
    Kind.LOST: ("Fewer requests lost", "{:.1f}", " requests per fault"),
    Kind.WAIT: (
        "Shorter longest waits",
        "{:.2f}",
        " s, the mean of the windows' longest (a request lost at once waits short)",
    ),
    Kind.RATE: ("More answers per second", "{:,.0f}", " answers/s"),
    Kind.ADDED: ("Less latency added", "{:.2f}", " ms (median of all requests)"),
}
"""What is better; how its figures are written; their unit."""

NOTHING = "nothing measured here was, beyond chance."


def where_others_are_better(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yields the lines: of each kind, for each of this project's engines, who is better where, by which figures."""
    for kind in HEADS:
        for own in OWN:
            found = [each for each in comparisons if (each.kind, each.own) == (kind, own)]
            if found:
                yield from _of_engine(kind, own, found)
                yield ""
    yield how_judged(comparisons) if comparisons else "Nothing was measured of this project's router and of others."


def _of_engine(kind: Kind, own: str, found: Sequence[Comparison]) -> Iterator[str]:
    head, _, unit = HEADS[kind]
    better = [each for each in found if each.verdict is Verdict.BETTER]
    yield f"**{head} than with `{own}`**{f', in{unit}:' if better else f': {NOTHING}'}"
    if better:
        yield ""
        yield from (f"- {line}" for line in _by_place(better))
    chance = [each for each in found if each.other_may_be_better]
    if chance:
        yield ""
        yield f"By so little that it may be chance: {'; '.join(_by_place(chance))}."


def _by_place(comparisons: Iterable[Comparison]) -> Iterator[str]:
    """Each fault or load with this project's figure, and those of the others, the best first."""
    places: dict[str, list[Comparison]] = {}
    for each in comparisons:
        places.setdefault(each.where, []).append(each)
    for where, found in places.items():
        best_first = sorted(found, key=lambda each: each.other_value, reverse=found[0].kind is Kind.RATE)
        others = [f"{each.other} {_figure(each, each.other_value)}" for each in best_first]
        yield f"{where} ({_figure(found[0], found[0].own_value)}): {join_words(others)}"


def _figure(comparison: Comparison, value: float) -> str:
    """The value; of two that look alike with as many decimals more as tell them apart."""
    form = HEADS[comparison.kind][1]
    alike = form.format(comparison.own_value) == form.format(comparison.other_value)
    return f"{value:.3g}" if alike else form.format(value)


def how_judged(comparisons: Sequence[Comparison]) -> str:
    """How many comparisons there were, how they came out, and how many would by chance alone."""
    counts = {each: sum(one.verdict is each for one in comparisons) for each in Verdict}
    return (
        f"Judged: {len(comparisons)} comparisons, each by itself, by an exact permutation test over the windows or "
        f"repeats at {percent_text(LEVEL, 0)}: in {counts[Verdict.BETTER]} the other router is better, "
        f"in {counts[Verdict.WORSE]} this project's, in {counts[Verdict.EQUAL]} both are equal (waits, within "
        f"{LEAST_WAIT_S:g} s), {counts[Verdict.NOT_DECIDED]} are not decided. Were no two routers different, chance "
        f"alone would put up to {len(comparisons) * LEVEL / 2:.0f} into each of the first two."
    )
