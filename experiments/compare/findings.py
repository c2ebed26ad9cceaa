"""The result of a comparison in sentences: what was measured, beside theory and beside the post."""

from collections.abc import Iterator, Sequence

from experiments.compare.agreement import Comparison
from experiments.compare.blog_post import has_same_pace
from experiments.compare.records import NO_FAILURE, YOUNGEST_S, CompareSettings
from experiments.compare.summary import ERROR_BUDGET, SATURATED, PairVerdict, TopologyFigures
from experiments.options import DEFAULT_ENGINE
from experiments.page.text import join_words, no_theory, percent_text, service_time_text
from experiments.results.statistics import rounded
from experiments.theory.verdicts import FEWEST_TO_DIFFER, MOST_REPEATS, Verdict


def findings(
    settings: CompareSettings, summaries: Sequence[TopologyFigures], pairs: Sequence[PairVerdict]
) -> list[str]:
    """The sentences of the report's headline, the main one first."""
    if not summaries:
        return ["No run was finished, so there is nothing to report."]
    words = pace(settings)
    return [
        _main_sentence(settings, summaries),
        *_planning_sentences(summaries),
        f"Measured {words[0].lower()}{words[1:]}{', medians of the runs' if settings.repeats > 1 else ''}.",
        *(verdict.sentence for verdict in pairs if _is_notable(verdict, summaries)),
        *_theory_sentences(summaries),
        *no_theory(settings),
        *_disturbed(summaries),
        *_other_endings(summaries),
        *(_post_sentences(summaries) if has_same_pace(settings) else ()),
    ]


def pace(settings: CompareSettings) -> str:
    """The pace of the swarm in words."""
    wait = f"a wait of {settings.wait_s[0]:g} to {settings.wait_s[1]:g} s"
    users = f"{settings.spawn_rate_per_s:g} new user{'' if settings.spawn_rate_per_s == 1 else 's'}/s"
    engine = "" if settings.engine == DEFAULT_ENGINE else f", {settings.engine} as the router's engine"
    figures = f"{users}, {wait}, {service_time_text(settings)}{engine}"
    return f"At the post's pace ({figures})" if has_same_pace(settings) else f"At {figures}"


def _main_sentence(settings: CompareSettings, summaries: Sequence[TopologyFigures]) -> str:
    """The headline."""
    figures = [
        f"{summary.topology} {'at once' if summary.failed_at_once else f'at {rate.median:.1f}'}"
        for summary in summaries
        if (rate := summary.rate_at_first_failure_per_s) is not None
    ]
    if not figures:
        return f"Nothing failed within {settings.run_time_s:g} s."
    unit = "" if figures[-1].endswith("at once") else " requests/s"
    return f"The first request failed for {join_words(figures)}{unit}."


def _planning_sentences(summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    """What the rate at first failure is not, and what to plan with."""
    held = [
        (f" ({summary.topology})", percent_text(summary.refused_share_if_held), f"{summary.rate_at_budget_per_s:.1f}")
        for summary in summaries
        if summary.refused_share_if_held is not None and summary.rate_at_budget_per_s is not None
    ]
    if not held:
        return
    several = len(held) > 1
    refused = join_words([f"{share}{of if several else ''}" for of, share, _ in held])
    budget = join_words([f"{rate}{of if several else ''}" for of, _, rate in held])
    yield (
        f"The rate at first failure is no rate to run at, and depends on how fast users come: held there, {refused} of "
        f"the requests would be refused, by Erlang's B formula. To plan with: {percent_text(ERROR_BUDGET)} are refused "
        f"at {budget} requests/s."
    )


def _is_notable(verdict: PairVerdict, summaries: Sequence[TopologyFigures]) -> bool:
    """Unequal slots that differ as theory expects are in the main sentence; all else could be misread as a ranking."""
    slots = {summary.topology: summary.slots for summary in summaries}
    first, second = verdict.topologies
    by_chance = verdict.means_vary_by_per_s
    is_far = verdict.verdict in (Verdict.BETTER, Verdict.WORSE) or (
        by_chance is not None and abs(verdict.difference_per_s) > by_chance
    )
    is_as_expected = is_far and (verdict.difference_per_s > 0) == (slots[first] > slots[second])
    return slots[first] == slots[second] or not is_as_expected


def _theory_sentences(summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    judged = [run for summary in summaries for run in summary.runs if run.inside_theory is not None]
    if not judged:
        return
    inside = sum(run.inside_theory is True for run in judged)
    if inside == len(judged):
        which = f"All {inside} runs lie" if inside > 1 else "The run lies"
        yield (
            f"{which} inside the range that, by queueing theory, holds 90 % of runs at these slots, this pace and the "
            "measured latency."
        )
        return
    outside = [
        f"{summary.topology} run {run.repeat} ({run.first_failure.rate_at_first_failure_per_s:.1f})"
        for summary in summaries
        for run in summary.runs
        if run.first_failure is not None and run.inside_theory is False
    ]
    lie = "lies" if len(outside) == 1 else "lie"
    yield (
        f"{len(outside)} of {len(judged)} runs {lie} outside the range that, by queueing theory, holds 90 % of runs: "
        f"{join_words(outside)}. One run in ten does by chance; where more do, look for a slow generator or a lost "
        "slot first."
    )


def _disturbed(summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    ejections = sum(run.ejections for summary in summaries for run in summary.runs)
    if ejections:
        yield (
            f"{ejections} time{'s' if ejections > 1 else ''} a predictor was taken for down, though nobody stopped it: "
            "the machine was too busy with other work; repeat the runs."
        )


def _other_endings(summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    for summary in summaries:
        unfailed = sum(run.outcome == NO_FAILURE for run in summary.runs)
        if unfailed:
            others = "; its figures are of the others" if unfailed < len(summary.runs) else ""
            which = f"{unfailed} of {len(summary.runs)} runs"
            yield f"{summary.topology}: nothing failed within the run time in {which}{others}."
        failures = [run.first_failure for run in summary.runs if run.first_failure is not None]
        if any(failure.time_s < YOUNGEST_S for failure in failures):
            yield (
                f"{summary.topology}: the first failure came within {YOUNGEST_S:g} s of the start, when users who come "
                "together make any rate; choose a lower spawn rate."
            )
        for cause, runs in summary.causes.items():
            if cause != SATURATED:
                yield (
                    f"{summary.topology}: the first failure of {runs} of {len(summary.runs)} runs was {cause!r}, not "
                    "saturation, so its rate says nothing about capacity."
                )


def _post_sentences(summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    figures = [
        f"{summary.post.rate_at_failure_per_s:.1f} for {summary.topology}"
        for summary in summaries
        if summary.post.rate_at_failure_per_s is not None
    ]
    if figures:
        why = "a race for the topology file ended the runs, not saturation"
        yield f"The post gives {join_words(figures)}; there {why}."


def pair_verdict(pair: Comparison) -> PairVerdict:
    """A comparison of two topologies with its sentence."""
    judgement = pair.judgement
    return PairVerdict(
        topologies=(pair.a.topology, pair.b.topology),
        verdict=judgement.verdict,
        difference_per_s=round(judgement.difference, 3),
        low_per_s=rounded(judgement.low, 3),
        high_per_s=rounded(judgement.high, 3),
        p_value=round(judgement.p_value, 5),
        margin_per_s=round(judgement.margin, 3),
        more_repeats=pair.more_repeats,
        single_runs_vary_by_per_s=rounded(pair.vary_by(1), 3),
        means_vary_by_per_s=rounded(pair.vary_by(pair.runs), 3),
        detectable_per_s=rounded(pair.detectable, 3),
        detectable_slots=pair.detectable_slots,
        sentence=" ".join(_pair_sentences(pair)),
    )


def _pair_sentences(pair: Comparison) -> Iterator[str]:
    verdict = pair.judgement.verdict
    yield f"{_verdict(pair)}: {_rates(pair)}{_more(pair)}."
    if pair.runs < FEWEST_TO_DIFFER:
        yield from _by_theory(pair)
    if verdict in (Verdict.EQUAL, Verdict.NOT_DECIDED):
        yield from _power(pair)
    elif pair.a.slots == pair.b.slots:
        yield "Equal slots should do alike, so look for a cause before reading this as a property of the layout."
    if remarks := [*pair.a.remarks, *pair.b.remarks]:
        yield f"Note: {'; '.join(remarks)}."


def _verdict(pair: Comparison) -> str:
    a, b, judgement = pair.a, pair.b, pair.judgement
    slots = f"the same {a.slots} slots" if a.slots == b.slots else f"{a.slots} and {b.slots} slots"
    if judgement.verdict is Verdict.EQUAL:
        more = f" ({pair.margin_slots} slots make more)" if pair.margin_slots else ""
        return f"{a.topology} and {b.topology} ({slots}) are equal within {judgement.margin:.1f} requests/s{more}"
    if judgement.verdict is Verdict.NOT_DECIDED:
        return f"Not decided: {a.topology} and {b.topology} ({slots})"
    return f"{a.topology} is {judgement.verdict} than {b.topology} ({slots})"


def _rates(pair: Comparison) -> str:
    a, b, judgement = pair.a, pair.b, pair.judgement
    if a.runs == b.runs == 1:
        return f"{a.mean:.1f} and {b.mean:.1f} requests/s, {abs(judgement.difference):.1f} apart, in one run of each"
    runs = f"{a.runs} runs each" if a.runs == b.runs else f"{a.runs} and {b.runs} runs"
    rates = f"{a.mean:.1f} and {b.mean:.1f} requests/s (means of {runs}), difference {judgement.difference:+.1f}"
    if judgement.low is None or judgement.high is None:
        return rates
    return f"{rates} (90 % interval {judgement.low:+.1f} to {judgement.high:+.1f})"


def _more(pair: Comparison) -> str:
    if pair.judgement.verdict is not Verdict.NOT_DECIDED:
        return ""
    more = pair.more_repeats
    if more is None:
        return f"; more than {MOST_REPEATS:,} repeats would be needed"
    return f"; {more} repeat{'' if more == 1 else 's'} more would do in 4 of 5 cases"


def _by_theory(pair: Comparison) -> Iterator[str]:
    """What theory says of so few runs."""
    by_chance = pair.vary_by(pair.runs)
    if by_chance is None:
        yield "Too few runs, and no theory of such failures to say how far runs vary."
        return
    runs = "single runs" if pair.runs == 1 else f"means of {pair.runs} runs"
    so = "these are further apart" if pair.is_beyond_chance else "so this is no ranking"
    yield f"By theory, 9 in 10 pairs of {runs} are up to {by_chance:.1f} requests/s apart by chance; {so}."


def _power(pair: Comparison) -> Iterator[str]:
    """What a comparison of so many runs could have shown."""
    if pair.runs < FEWEST_TO_DIFFER:
        yield f"Runs alone show a difference from {FEWEST_TO_DIFFER} of each on."
    elif pair.detectable is not None:
        slots = f", {pair.detectable_slots} slots" if pair.detectable_slots else ""
        yield (
            f"{pair.runs} runs of each would show a difference of {pair.detectable:.1f} requests/s{slots}, in 4 of 5 "
            "cases, a smaller one less often."
        )
