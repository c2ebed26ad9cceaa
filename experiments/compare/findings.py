"""The result of a comparison in sentences: what was measured, beside theory and beside the post."""

from collections.abc import Iterator, Sequence

from experiments.compare.agreement import AGREE, DIFFER, NOT_DECIDED, Comparison
from experiments.compare.blog_post import has_same_pace
from experiments.compare.records import NO_FAILURE, CompareSettings
from experiments.compare.summary import SATURATED, YOUNGEST_S, PairVerdict, TopologyFigures
from experiments.experiment import Figure
from experiments.options import DEFAULT_ENGINE
from experiments.page.text import join_words
from experiments.results.statistics import chance_of_separation, rounded


def findings(
    settings: CompareSettings, summaries: Sequence[TopologyFigures], pairs: Sequence[PairVerdict]
) -> list[str]:
    """The sentences of the report's headline, the main one first."""
    if not summaries:
        return ["No run was finished, so there is nothing to report."]
    words = pace(settings)
    return [
        _main_sentence(settings, summaries),
        f"Measured {words[0].lower()}{words[1:]}{', medians of the runs' if settings.repeats > 1 else ''}.",
        *(verdict.sentence for verdict in pairs if _is_notable(verdict, summaries)),
        *_theory_sentences(summaries),
        *_disturbed(summaries),
        *_other_endings(summaries),
        *(_post_sentences(summaries) if has_same_pace(settings) else ()),
    ]


def pace(settings: CompareSettings) -> str:
    """The pace of the swarm in words."""
    wait = f"a wait of {settings.wait_s[0]:g} to {settings.wait_s[1]:g} s"
    users = f"{settings.spawn_rate_per_s:g} new user{'' if settings.spawn_rate_per_s == 1 else 's'}/s"
    engine = "" if settings.engine == DEFAULT_ENGINE else f", {settings.engine} as the router's engine"
    figures = f"{users}, {wait}, service time {settings.service_time_s:g} s{engine}"
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


def _is_notable(verdict: PairVerdict, summaries: Sequence[TopologyFigures]) -> bool:
    """Unequal slots that differ are what the main sentence shows; all else could be misread as a ranking."""
    slots = {summary.topology: summary.slots for summary in summaries}
    first, second = verdict.topologies
    return slots[first] == slots[second] or verdict.verdict != DIFFER


def _theory_sentences(summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    judged = [run for summary in summaries for run in summary.runs if run.inside_theory is not None]
    if not judged:
        return
    inside = sum(run.inside_theory is True for run in judged)
    if inside == len(judged):
        which = f"All {inside} runs lie" if inside > 1 else "The run lies"
        yield f"{which} inside the range that, by queueing theory, holds 90 % of runs at these slots and this pace."
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
                    "saturation, so its rate says nothing about capacity and it is not compared."
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
    return PairVerdict(
        topologies=(pair.a.subject, pair.b.subject),
        verdict=pair.verdict,
        difference_per_s=pair.difference,
        single_runs_vary_by_per_s=rounded(pair.single_runs_vary_by, 3),
        medians_vary_by_per_s=rounded(pair.medians_vary_by, 3),
        sentence=_pair_sentence(pair),
    )


def _pair_sentence(pair: Comparison) -> str:
    a, b, one_each = pair.a, pair.b, pair.a.stats.count == pair.b.stats.count == 1
    slots = f"the same {a.slots} slots" if a.slots == b.slots else f"{a.slots} and {b.slots} slots"
    subject = f"{a.subject} and {b.subject} ({slots})"
    finding = f"Not decided: {subject}" if pair.verdict == NOT_DECIDED else f"{subject} {pair.verdict}"
    rates = f"{a.stats.median:.1f} and {b.stats.median:.1f} requests/s, {pair.difference:.1f} apart"
    runs = "one run of each" if one_each else f"medians of {a.stats.count} and {b.stats.count} runs"
    return f"{finding}: {rates} ({runs}); {_reason(pair, one_each)}.{_caution(a, b, pair.verdict)}"


def _reason(pair: Comparison, one_each: bool) -> str:
    if pair.ranges_separate:
        chance = chance_of_separation(pair.a.stats.count, pair.b.stats.count)
        return f"the ranges do not overlap, which chance alone brings about in {chance:.1%} of cases"
    noise = pair.medians_vary_by
    if noise is None:
        return "too few runs, and no theory at these settings to say how far runs vary"
    pairs = "single runs" if one_each else "such medians"
    by_chance = f"by theory, 9 in 10 pairs of {pairs} are up to {noise:.1f} apart by chance"
    return by_chance + (", so this may be more than chance: repeat the runs" if pair.verdict == NOT_DECIDED else "")


def _caution(a: Figure, b: Figure, verdict: str) -> str:
    if verdict == AGREE:
        return " This is no ranking: which of the two is ahead changes from run to run."
    if verdict == DIFFER and a.slots == b.slots:
        return " Equal slots should do alike, so look for a cause before reading this as a property of the layout."
    return ""
