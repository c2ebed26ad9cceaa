"""The result of a blocking run in sentences: does the router refuse as often as it must; which topology serves more."""

from collections.abc import Sequence

from experiments.blocking.claims import claim_sentence, headline, pair_sentences
from experiments.blocking.figures import PointFigures, mean_gap
from experiments.blocking.pairs import Comparison
from experiments.blocking.records import BlockingSettings
from experiments.page.text import join_words, no_theory, service_time_text


def findings(settings: BlockingSettings, points: Sequence[PointFigures]) -> list[str]:
    """The result in sentences, the main one first."""
    if settings.why_no_theory:
        return [_refused_shares(points), *_of_server(settings), *_invalid(points)]
    valid = [point for point in points if not point.invalid]
    inside = sum(point.inside is True for point in valid)
    sentences = [_headline(inside, len(valid), len(points))]
    if valid:
        gap, chance = (100 * value for value in mean_gap(valid))
        beyond = "" if abs(gap) <= chance else ": more than chance, though each point alone may not show it"
        sentences.append(f"Erlang B lies inside the 95 % interval of {inside} of {len(valid)} points.")
        sentences.append(
            f"The refused share less Erlang B: {gap:+.2f} percentage points in the mean of the points; by chance it is "
            f"within {chance:.2f} in 95 % of such runs{beyond}."
        )
        if inside < len(valid) - 1:
            sentences.append(
                "By chance 1 point in 20 lies outside. More do here: look at the holding time, at the machine's other "
                "work and for a lost slot, in this order."
            )
    return [*sentences, *_of_server(settings), *_invalid(points)]


def comparison_findings(
    settings: BlockingSettings, comparison: Comparison, points: Sequence[PointFigures]
) -> list[str]:
    """The result of topologies that got the same arrivals, the main sentence first."""
    if settings.why_no_theory:
        return [_goodput_at_most(comparison), *_of_server(settings), *_invalid(points)]
    margin_slots = settings.margins.slots
    valid = [point for point in points if not point.invalid]
    inside = sum(point.inside is True for point in valid)
    return [
        headline(comparison.pairs, margin_slots),
        *(sentence for pair in comparison.pairs for sentence in pair_sentences(pair, margin_slots)),
        *map(claim_sentence, comparison.claims),
        f"Erlang B lies inside the 95 % interval of the refused share at {inside} of {len(valid)} points.",
        *_of_server(settings),
        *_invalid(points),
    ]


def _refused_shares(points: Sequence[PointFigures]) -> str:
    """What was refused of numbers of slots, where there is no theory to set beside it."""
    shares = [
        f"{100 * each.refused_share:.1f} % of {each.arrival_rate_per_s:.1f}/s with {each.slots} slots"
        for each in points
        if not each.invalid
    ]
    return f"Refused: {join_words(shares)}." if shares else _headline(0, 0, len(points))


def _goodput_at_most(comparison: Comparison) -> str:
    """What each topology serves of the greatest load, where there is no theory by which to tell them apart in slots."""
    most_per_s = max(each.arrival_rate_per_s for each in comparison.goodput)
    aimed = max(each.aimed_blocking for each in comparison.goodput)
    served = [
        f"{each.goodput_per_s:.1f} by {each.topology} ({each.low_per_s:.1f} to {each.high_per_s:.1f})"
        for each in comparison.goodput
        if each.aimed_blocking == aimed
    ]
    return f"Of {most_per_s:.1f} requests/s, good answers per second (95 % intervals): {join_words(served)}."


def _of_server(settings: BlockingSettings) -> list[str]:
    """What the predictors were, where they were not the rig's own; and why no theory stands beside the figures."""
    server = [f"The predictors: {service_time_text(settings)}."] if settings.server else []
    return server + no_theory(settings)


def _invalid(points: Sequence[PointFigures]) -> list[str]:
    return [
        f"Invalid: {point.topology or f'{point.slots} slots'} at {point.arrival_rate_per_s:.1f}/s: {point.invalid}."
        for point in points
        if point.invalid
    ]


def _headline(inside: int, valid: int, points: int) -> str:
    if not valid:
        return f"None of the {points} points is valid, so nothing is known of the router."
    where = f"at each of {valid} loads" if inside == valid else f"at {inside} of {valid} loads"
    left_out = f"; {points - valid} more points are invalid" if points > valid else ""
    return f"The router refuses as often as theory says it must, within 95 % intervals, {where}{left_out}."
