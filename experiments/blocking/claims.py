"""Topologies that got the same arrivals, in sentences: which saturates later, which serves more, the post's claim."""

from collections.abc import Mapping, Sequence

from experiments.blocking.pairs import ClaimVerdict, Pair, SlotsApart
from experiments.page.text import join_words
from experiments.theory.verdicts import Verdict

CLAIM = "the 3-active system will saturate later and continue to serve requests for a longer duration"
SUBJECT = "3active"
"""The topology that the claim is about."""

HOLDS, FAILS, NOT_DECIDED = "holds", "does not hold", "not decided"

SATURATES: Mapping[str, str] = {
    Verdict.BETTER: "saturates later than {against}",
    Verdict.WORSE: "saturates earlier than {against}",
    Verdict.EQUAL: "saturates at the same rate as {against}",
    Verdict.NOT_DECIDED: "may saturate later or earlier than {against}",
}
SERVES: Mapping[str, str] = {
    Verdict.BETTER: "serves more beyond that",
    Verdict.WORSE: "serves less beyond that",
    Verdict.EQUAL: "serves the same beyond that",
    Verdict.NOT_DECIDED: "may serve more or less beyond that",
}
ABOUT, BEYOND = "About the first failures", "Beyond them"


def verdict_of(part: SlotsApart | None) -> str:
    """The verdict of a part; not decided where no load of it is valid."""
    return Verdict.NOT_DECIDED if part is None else part.verdict


def judge_claim(pairs: Sequence[Pair]) -> list[ClaimVerdict]:
    """The verdict on the post's claim; none where its topology is not among the pairs.

    It holds where its topology is better in both parts than each other one, and does not where it is worse or equal.
    """
    parts = {p.against: (verdict_of(p.saturation), verdict_of(p.beyond)) for p in pairs if p.topology == SUBJECT}
    if not parts:
        return []
    refuting = [name for name, verdicts in parts.items() if {Verdict.EQUAL, Verdict.WORSE} & {*verdicts}]
    undecided = [name for name, verdicts in parts.items() if Verdict.NOT_DECIDED in verdicts]
    verdict = FAILS if refuting else NOT_DECIDED if undecided else HOLDS
    reasons = [
        f"{SUBJECT} {SATURATES[saturates].format(against=name)} and {SERVES[serves]}"
        for name, (saturates, serves) in parts.items()
        if name in (refuting or undecided or parts)
    ]
    return [ClaimVerdict(CLAIM, verdict, "; ".join(reasons))]


def claim_sentence(claim: ClaimVerdict) -> str:
    """The post's claim, its verdict and why."""
    verdict = "is not decided" if claim.verdict == NOT_DECIDED else claim.verdict
    return f'The post\'s claim "{claim.claim}" {verdict}: {claim.reason}.'


def headline(pairs: Sequence[Pair], margin_slots: float) -> str:
    """Who saturates later and serves more, in one sentence."""
    if not pairs:
        return "Fewer than two topologies have a finished point, so nothing is compared."
    if all(verdict_of(part) == Verdict.EQUAL for pair in pairs for part in (pair.saturation, pair.beyond)):
        names = join_words(list(dict.fromkeys(name for pair in pairs for name in (pair.against, pair.topology))))
        return f"{names} saturate at the same rate and serve the same beyond it, within {count_slots(margin_slots)}."
    said: dict[tuple[str, str, str], list[str]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.topology != SUBJECT):
        key = (pair.topology, verdict_of(pair.saturation), verdict_of(pair.beyond))
        said.setdefault(key, []).append(pair.against)
    return (
        "; ".join(
            f"{topology} {SATURATES[saturates].format(against=join_words(against))} and {SERVES[serves]}"
            for (topology, saturates, serves), against in said.items()
        )
        + "."
    )


def pair_sentences(pair: Pair, margin_slots: float) -> list[str]:
    """How many slots apart two topologies are, about the first failure and beyond it."""
    parts = {ABOUT: (pair.saturation, SATURATES), BEYOND: (pair.beyond, SERVES)}
    sentences = [_part_sentence(pair, where, *part, margin_slots) for where, part in parts.items()]
    if pair.saturation is not None:
        low, high = (end * pair.rate_per_slot_per_s for end in (pair.saturation.low, pair.saturation.high))
        span = span_text(low, high, "lower", "higher", ".1f")
        sentences[0] += f" In requests per second, the rate at which it refuses 1 % is {span}."
    return sentences


def _part_sentence(
    pair: Pair, where: str, part: SlotsApart | None, words: Mapping[str, str], margin_slots: float
) -> str:
    if part is None:
        return f"{where} nothing is known of {pair.topology} and {pair.against}: at no load are both points valid."
    loads = join_words([f"{100 * share:.0f} %" for share in part.aimed_blockings])
    plan = f"; by plan {pair.planned_slots_more:+d}" if pair.planned_slots_more else ""
    more_or_fewer = f"{abs(part.refused_less):,} {'fewer' if part.refused_less > 0 else 'more'}"
    refused = more_or_fewer if part.refused_less else "as many"
    verdict = verdict_text(part, words, pair.against, margin_slots)
    slots = f"{abs(part.slots):.2f} slots {'more' if part.slots >= 0 else 'less'} than {pair.against}"
    return (
        f"{where} ({loads} refused): {pair.topology} acts as if it had {slots} (95 %: "
        f"{span_text(part.low, part.high, 'less', 'more')}{plan}). It refused {refused} of the same "
        f"{part.arrivals:,} requests: {verdict}."
    )


def span_text(low: float, high: float, below: str, above: str, form: str = ".2f") -> str:
    """The interval of a difference, each end with the word for its direction."""
    if low < 0 < high:
        return f"{-low:{form}} {below} to {high:{form}} {above}"
    return f"{low:{form}} to {high:{form}} {above}" if low >= 0 else f"{-high:{form}} to {-low:{form}} {below}"


def verdict_text(part: SlotsApart, words: Mapping[str, str], against: str, margin_slots: float) -> str:
    """The verdict: in words, with the margin of an equality or what an open one would need."""
    if part.verdict == Verdict.EQUAL:
        return f"equal within {count_slots(margin_slots)}"
    if part.verdict != Verdict.NOT_DECIDED:
        return f"it {words[part.verdict].format(against=against)}"
    if part.more_arrivals is None:
        return "not decided, and no reasonable number of arrivals would decide it"
    return f"not decided: about {part.more_arrivals:,} more arrivals at each load would do"


def count_slots(slots: float) -> str:
    """A number of slots."""
    return f"{slots:g} slot{'' if slots == 1 else 's'}"
