"""The sentences of docs/peers.md: where another router is better than the one in question, and how that was judged."""

from collections.abc import Iterable, Iterator, Sequence

from experiments.options import DEFAULT_ENGINE, HAPROXY
from experiments.page.text import NONE, join_words, percent_text
from experiments.theory.verdicts import FEWEST_TO_DIFFER, LEVEL, Verdict
from tools.peers_figures import (
    LEAST_PERCENT,
    LEAST_REFUSAL_S,
    LEAST_SHARE,
    LEAST_WAIT_S,
    OF_FAULTS,
    Comparison,
    Kind,
)

HEADS = {
    Kind.LOST: ("Fewer requests lost", "requests per fault", "{:.1f}", ""),
    Kind.OUTAGE: ("Shorter outages", "means", "{:.2f}", " s"),
    Kind.WAIT: (
        "Shorter longest waits",
        "mean of the windows' longest; what is lost at once waits short",
        "{:.2f}",
        " s",
    ),
    Kind.REFUSED: (
        "Less refused at saturation",
        "mean share of what was offered; what waits in its place may be lost otherwise",
        "{:.1f}",
        " %",
    ),
    Kind.REFUSED_AFTER: ("Sooner refusals", "mean of the windows' median times", "{:.3f}", " s"),
    Kind.RATE: ("More answers per second", "means of the repeats", "{:,.0f}", ""),
    Kind.ADDED: ("Less latency added", "mean of the repeats' medians", "{:.2f}", " ms"),
    Kind.ADDED_P99: ("Less added to the slowest 1 %", "mean of the repeats' p99", "{:.2f}", " ms"),
}
"""What is better; what its figures are; how they are written; their unit."""

MAYBE = "better, but not told apart from chance"

WHOSE = {DEFAULT_ENGINE: "this router", HAPROXY: "this router", "haproxy-plain": "HAProxy"}
"""What stands behind a name that could be taken for another's."""


BAR = r"\|"
"""A `|` that is text."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yields the lines of a Markdown table; a `|` in a cell, as a router's name may have it, ends none."""
    for cells in [head, ["---"] * len(head), *rows]:
        yield f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


def joined(text: str) -> str:
    """The text, never broken into lines."""
    return text.replace(" ", "&nbsp;").replace("-", "&#8209;")


def count_text(value: float) -> str:
    """A mean of counts, or an end of its interval: 0 only where it is 0, and with a decimal where one tells."""
    if 0 < value < 0.05:
        return "< 0.1"
    return f"{value:.1f}" if 0 < value < 9.95 else f"{value:.0f}"


def full_name(name: str) -> str:
    """The router's name, and whose it is where that could be mistaken."""
    return f"`{name}` ({WHOSE[name]})" if name in WHOSE else f"`{name}`"


def where_others_are_better(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yields the lines: of each kind, for each router in question, who is better where, by which figures."""
    for kind in HEADS:
        for beside in dict.fromkeys(each.beside for each in comparisons):
            found = [each for each in comparisons if (each.kind, each.beside) == (kind, beside)]
            if found:
                yield from _of_router(kind, beside, found)
                yield ""
    yield how_judged(comparisons) if comparisons else "No two routers were measured in the same."


def _of_router(kind: Kind, beside: str, found: Sequence[Comparison]) -> Iterator[str]:
    better, maybe = ([each for each in found if test(each)] for test in (_is_better, _may_be_better))
    yield f"**{HEADS[kind][0]} than with {full_name(beside)}**{_outcome(kind, found)}"
    columns = {name: each for name, each in (("better", better), (MAYBE, maybe)) if each}
    if columns:
        yield ""
        place = "fault" if kind in OF_FAULTS else "load"
        places = [where for where in dict.fromkeys(each.where for each in found) if _at([*better, *maybe], where)]
        yield from table([place, f"`{beside}`", *columns], (_row(where, found, columns.values()) for where in places))


def _row(where: str, found: Sequence[Comparison], columns: Iterable[Sequence[Comparison]]) -> list[str]:
    """The fault or load, the figure of the router in question, and those of the others."""
    first = _at(found, where)[0]
    others = (_others(_at(each, where)) for each in columns)
    return [joined(where), joined(_figure(first.kind, first.beside_value)), *others]


def _is_better(comparison: Comparison) -> bool:
    return comparison.verdict is Verdict.BETTER


def _may_be_better(comparison: Comparison) -> bool:
    return comparison.may_be_better


def _outcome(kind: Kind, found: Sequence[Comparison]) -> str:
    """What follows the head: what the figures are, or why none is better."""
    if any(map(_is_better, found)):
        return f" ({HEADS[kind][1]}):"
    if not any(each.can_differ for each in found):
        unit = "windows per cell" if kind in OF_FAULTS else "repeats"
        most = max(min(each.counts) for each in found)
        return f" ({HEADS[kind][1]}): cannot be decided: the test needs {FEWEST_TO_DIFFER} {unit}, and has {most}."
    return f" ({HEADS[kind][1]}): nothing measured here was, beyond chance."


def _at(comparisons: Iterable[Comparison], where: str) -> list[Comparison]:
    return [each for each in comparisons if each.where == where]


def _others(found: Sequence[Comparison]) -> str:
    """The other routers with their figures, the best first."""
    best_first = sorted(found, key=lambda each: each.other_value, reverse=bool(found) and found[0].kind is Kind.RATE)
    return ", ".join(joined(f"{each.other} {_beside_own(each)}") for each in best_first) or NONE


def _figure(kind: Kind, value: float) -> str:
    return HEADS[kind][2].format(value) + HEADS[kind][3]


def _beside_own(comparison: Comparison) -> str:
    """The other's figure; one that looks like the one beside it with as many decimals more as tell them apart."""
    kind, value = comparison.kind, comparison.other_value
    alike = _figure(kind, value) == _figure(kind, comparison.beside_value)
    return f"{value:.3g}{HEADS[kind][3]}" if alike else _figure(kind, value)


def how_judged(comparisons: Sequence[Comparison]) -> str:
    """How many comparisons there were, how they came out, and how many would by chance alone."""
    counts = {each: sum(one.verdict is each for one in comparisons) for each in Verdict}
    can_differ = sum(each.can_differ for each in comparisons)
    beside = join_words([f"`{name}`" for name in dict.fromkeys(each.beside for each in comparisons)])
    return (
        f"Judged: {len(comparisons)} comparisons with {beside}, each by itself, by an exact permutation test over the "
        f"windows or repeats at {percent_text(LEVEL, 0)}: in {counts[Verdict.BETTER]} the other router is better, "
        f"in {counts[Verdict.WORSE]} worse, in {counts[Verdict.EQUAL]} both are equal (outages and waits within "
        f"{LEAST_WAIT_S:g} s, shares refused within {LEAST_PERCENT:g} percentage point, times to refusals within "
        f"{LEAST_REFUSAL_S:g} s), {counts[Verdict.NOT_DECIDED]} are not decided. Were no two routers different, chance "
        f"alone would put up to {can_differ * LEVEL / 2:.0f} into each of the first two. Shown as not told apart from "
        f"chance is what differs by anything (lost), by more than these, or by more than "
        f"{percent_text(LEAST_SHARE, 0)} (speeds)."
    )
