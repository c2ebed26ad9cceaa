"""The result of a comparison in sentences: what was measured, beside theory and beside the post."""

from collections.abc import Iterator, Sequence

from experiments.compare.agreement import Comparison
from experiments.compare.blog_post import has_same_pace
from experiments.compare.records import NO_FAILURE, YOUNGEST_S, CompareSettings
from experiments.compare.summary import ERROR_BUDGET, PairVerdict, TopologyFigures
from experiments.options import DEFAULT_ENGINE
from experiments.page.text import join_words, no_theory, percent_text, service_time_text
from experiments.results.statistics import rounded
from experiments.theory.verdicts import FEWEST_TO_DIFFER, MOST_REPEATS, Verdict

LATENCY_DIFFERS = 0.1
"""A latency in the runs that differs by more than this share of the one alone is told."""

MOST_PAIRS = 6
"""Of more pairs the sentences of those alone stand there that are decided."""

BUSY = "busy"
"""The cause of a first failure where every predictor said that it is full."""


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
        *_other_latency(settings, summaries),
        *_of_pairs([verdict for verdict in pairs if _is_notable(verdict, summaries)]),
        *_theory_sentences(settings, summaries),
        *no_theory(settings),
        *_disturbed(summaries),
        *_at_once(summaries),
        *_other_endings(summaries),
        *(_post_sentences(summaries) if has_same_pace(settings) else ()),
    ]


def pace(settings: CompareSettings) -> str:
    """The pace of the swarm in words."""
    wait = f"a wait of {settings.wait_s[0]:g} to {settings.wait_s[1]:g} s"
    users = f"{settings.spawn_rate_per_s:g} new user{'' if settings.spawn_rate_per_s == 1 else 's'}/s"
    figures = f"{users}, {wait}, {service_time_text(settings)}{payload_text(settings)}{_router_text(settings)}"
    return f"At the post's pace ({figures})" if has_same_pace(settings) else f"At {figures}"


def _router_text(settings: CompareSettings) -> str:
    """What stands behind that where one router carried all requests, and it was not the Flask engine."""
    names = {settings.router_of(plan) for plan in settings.topologies}
    if len(names) > 1 or names == {DEFAULT_ENGINE}:
        return ""
    what = "the router's engine" if settings.has_own_router_alone else "the router"
    return f", {names.pop()} as {what}"


def payload_text(settings: CompareSettings) -> str:
    """What stands behind the service time where users sent a payload: its name and size, and what it took of it."""
    if settings.payload is None:
        return ""
    payload = f"{settings.payload.file}, {settings.payload.size_bytes:,} bytes"
    if not settings.service_time_per_mb_s:
        return f" for {payload}"
    return f" for {payload} ({settings.fixed_service_time_s:g} s and {settings.service_time_per_mb_s:g} s per MB)"


def _main_sentence(settings: CompareSettings, summaries: Sequence[TopologyFigures]) -> str:
    """The headline."""
    at_once = [each.topology for each in summaries if each.failed_at_once]
    rates = [
        f"{each.topology} at {rate.median:.1f}"
        for each in summaries
        if (rate := each.rate_at_first_failure_per_s) is not None and not each.failed_at_once
    ]
    parts = [f"{join_words(at_once)} at once"] * bool(at_once) + [f"{join_words(rates)} requests/s"] * bool(rates)
    if not parts:
        return f"Nothing failed within {settings.run_time_s:g} s."
    return f"The first request failed for {', and for '.join(parts)}."


def _planning_sentences(summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    """What the rate at first failure is not, and what to plan with."""
    held = [summary for summary in summaries if summary.refused_share_if_held is not None]
    if not held:
        return
    alone = len(held) == 1 and not any(each.foreign for each in summaries)
    of = {each.topology: "" if alone else f" ({each.topology})" for each in held}
    refused = join_words([f"{percent_text(each.refused_share_if_held)}{of[each.topology]}" for each in held])
    to_plan_with = [
        f"{rate:.1f}{of[each.topology]}" for each in held if (rate := each.rate_to_plan_with_per_s) is not None
    ]
    plan = f" To plan with: {percent_text(ERROR_BUDGET)} are refused at {join_words(to_plan_with)} requests/s."
    yield (
        f"The rate at first failure is no rate to run at, and depends on how fast users come: held there, {refused} of "
        f"the requests would be refused, by Erlang's B formula.{plan if to_plan_with else ''}"
    )
    yield from _nothing_to_plan_with(summaries)


def _nothing_to_plan_with(summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    """Those that failed at a lower rate than theory gives to plan with: the one or the other is not to be relied on."""
    for each in summaries:
        rate, theory = each.rate_at_first_failure_per_s, each.rate_at_budget_per_s
        if rate is None or theory is None or each.rate_to_plan_with_per_s is not None or each.failed_at_once:
            continue
        yield (
            f"No figure to plan with for {each.topology}: it failed at {rate.median:.1f} requests/s, below the "
            f"{theory:.1f} at which theory refuses {percent_text(ERROR_BUDGET)}; repeat (--repeats 5)."
        )


def _of_pairs(notable: Sequence[PairVerdict]) -> list[str]:
    """The verdicts in words; of more pairs than a reader takes in those that are decided."""
    decided = [each.sentence for each in notable if each.verdict != Verdict.NOT_DECIDED]
    if len(notable) <= MOST_PAIRS or len(decided) == len(notable):
        return [each.sentence for each in notable]
    return [
        *decided,
        f"Not decided: {len(notable) - len(decided)} of {len(notable)} pairs (agreement in summary.json).",
    ]


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


def _other_latency(settings: CompareSettings, summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    """A user's server whose predictions took longer or shorter in the runs than alone: theory goes by the runs."""
    alone_s = settings.service_time_s
    others = [each for each in summaries if abs(each.theory_latency_s - alone_s) > LATENCY_DIFFERS * alone_s]
    if settings.server is None or settings.why_no_theory or not others:
        return
    times_s = {each.topology: each.theory_latency_s for each in others}
    if len(others) == len(summaries) and len({*times_s.values()}) == 1:
        took = f"{others[0].theory_latency_s:g} s"
    else:
        took = join_words([f"{time_s:g} s ({name})" for name, time_s in times_s.items()])
    yield f"Alone before the runs a prediction took {alone_s:g} s, in them {took}, which theory uses."


def _theory_sentences(settings: CompareSettings, summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    if foreign := [each.topology for each in summaries if each.foreign and each.theory.rate_per_s is not None]:
        yield (
            f"Theory is of a router that fills every slot and refuses at once; beside {join_words(foreign)} it stands "
            "as a yardstick."
        )
    summaries = [each for each in summaries if not each.foreign]
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
        f"{summary.topology} run {run.repeat} ({run.first_failure.rate_at_first_failure_per_s:.{summary.decimals}f})"
        for summary in summaries
        for run in summary.runs
        if run.first_failure is not None and run.inside_theory is False
    ]
    lie = "lies" if len(outside) == 1 else "lie"
    yield (
        f"{len(outside)} of {len(judged)} runs {lie} outside the range that, by queueing theory, holds 90 % of runs: "
        f"{join_words(outside)}. One run in ten does by chance; where more do, look for a slow generator or a lost "
        f"slot first.{_busy_machine(settings)}"
    )


def _busy_machine(settings: CompareSettings) -> str:
    """A sentence on the machine's load when the runs began, where it was more than its cores carry; else empty."""
    load, cores = settings.load_average, settings.cores
    if load is None or cores is None or load <= cores:
        return ""
    of_cores = f"{cores} core{'' if cores == 1 else 's'}"
    return f" The machine was busy when they began: its load average was {load:.2f} on {of_cores}."


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
        for cause, runs in summary.causes.items():
            first = f"{summary.topology}: the first failure of {runs} of {len(summary.runs)} runs was {cause!r}"
            if cause == BUSY:
                yield f"{first}: the server refused before its capacity was in flight: it carries less than that."
            elif cause not in summary.refusals:
                yield f"{first}, not saturation, so its rate says nothing about capacity."


def _at_once(summaries: Sequence[TopologyFigures]) -> Iterator[str]:
    names = [
        each.topology
        for each in summaries
        if any(run.first_failure is not None and run.first_failure.is_at_once for run in each.runs)
    ]
    if names:
        yield (
            f"{join_words(names)}: the first failure came within {YOUNGEST_S:g} s of the start, when users who come "
            "together make any rate; choose a lower spawn rate."
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
    elif pair.a.slots == pair.b.slots and pair.a.router == pair.b.router:
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
