"""The result of a failover run in sentences: the headline first, which says no more than the verdicts do."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from experiments.failover.records import FailoverSettings
from experiments.failover.summary import TopologyScorecard
from experiments.page.text import join_words, median_text
from experiments.results.statistics import RunStats, ranges_separate


def findings(settings: FailoverSettings, scorecards: Sequence[TopologyScorecard], pooled: Collection[str]) -> list[str]:
    """The result in sentences, the main one first."""
    faults = [name for name in settings.faults if name in pooled]
    answered = {each.topology: share for each in scorecards if (share := each.figures["availability"]) is not None}
    lost = {each.topology: median_text(each.figures["lost_per_fault"], "{:.3g}") for each in scorecards}
    sentences = ["No fault was measured in every topology, so there is nothing to compare."]
    if answered:
        parts = [
            f"{name} answered {share.median:.2%} (requests lost per fault: {lost[name]})"
            for name, share in answered.items()
        ]
        sentences = [
            headline(answered),
            f"Through {', '.join(faults)}: {'; '.join(parts)}; {_runs(answered.values())}.",
            *_who_lost(scorecards, faults),
        ]
    lagging = sum(not window.valid for s in scorecards for window in s.windows)
    if lagging:
        sentences.append(
            f"Invalid windows: {lagging}. There the generator lagged (more than 1 % of the requests sent over 0.1 s "
            "late), and they are in no figure; a fault is pooled where every topology has a valid window."
        )
    return [*sentences, *_not_refused(scorecards), *_skips(scorecards)]


def headline(answered: Mapping[str, RunStats]) -> str:
    """The share of requests that each topology lost, as far as the runs separate the topologies.

    Those that they do not separate stand together, with the range of all their runs: medians side by side would read
    as a ranking. A single run of each separates nothing, so the sentence says that it is one.
    """
    if len(answered) > 1 and all(each.count == 1 for each in answered.values()):
        shares = [f"{name} {_one_in(1 - each.median)}" for name, each in answered.items()]
        return (
            f"Requests lost while faults struck, in one run of each: {join_words(shares)}; one run decides no ranking."
        )
    groups = [_share_of_group(group, [answered[name] for name in group]) for group in _groups(answered)]
    return f"Requests lost while faults struck: {'; '.join(groups)}."


def _groups(answered: Mapping[str, RunStats]) -> list[list[str]]:
    """The topologies in groups, in order: two that the runs do not separate are in one, and so is what links them."""
    groups: list[list[str]] = []
    for name, own in answered.items():
        near = [group for group in groups if any(not ranges_separate(own, answered[other]) for other in group)]
        merged = [*(other for group in near for other in group), name]
        groups = [*(group for group in groups if group not in near), merged]
    order = list(answered)
    return sorted(groups, key=lambda group: order.index(group[0]))


def _share_of_group(names: Sequence[str], answered: Sequence[RunStats]) -> str:
    """The share lost of a topology, by its median; of several in a group, by the range of all their runs."""
    if len(names) == 1:
        return f"{names[0]} {_one_in(1 - answered[0].median)}"
    best, worst = _one_in(1 - max(each.high for each in answered)), _one_in(1 - min(each.low for each in answered))
    if best == worst:
        return f"{join_words(names)} {best}"
    return f"{join_words(names)} {best} to {worst}, not told apart"


def _one_in(share: float) -> str:
    if share <= 0:
        return "none"
    return f"1 in {1 / share:.2g}" if share > 0.3 else f"1 in {1 / share:.0f}"


def _runs(answered: Iterable[RunStats]) -> str:
    counts = sorted({each.count for each in answered})
    if counts == [1]:
        return "one run of each"
    return f"medians of {' to '.join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))} runs"


def _who_lost(scorecards: Sequence[TopologyScorecard], faults: Sequence[str]) -> list[str]:
    """In which of the pooled faults topologies lost requests at all, those with the same faults together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for scorecard in scorecards:
        lossy = (f for f in faults if any(window.lost for window in scorecard.valid_windows(f)))
        alike.setdefault(tuple(lossy), []).append(scorecard.topology)
    return [f"{join_words(names)} lost {_where(lossy, faults)}." for lossy, names in alike.items()]


def _where(lossy: Sequence[str], faults: Sequence[str]) -> str:
    lossless = [fault for fault in faults if fault not in lossy]
    if not lossy:
        return "none in any of these faults"
    if not lossless:
        return "requests in every one of these faults" if len(faults) > 1 else f"requests in {faults[0]}"
    if len(lossless) <= len(lossy):
        return f"requests in every fault but {join_words(lossless)}"
    return f"requests in {join_words(lossy)} only"


def _not_refused(scorecards: Sequence[TopologyScorecard]) -> list[str]:
    """Bodies over the limit that were answered otherwise than 413: then their fault says nothing of the limit."""
    found = [window for scorecard in scorecards for window in scorecard.windows if window.oversize_sent]
    sent, refused = sum(window.oversize_sent for window in found), sum(window.oversize_refused for window in found)
    if refused == sent:
        return []
    return [f"{sent - refused} of {sent} bodies over the limit were not refused for their size (413)."]


def _skips(scorecards: Sequence[TopologyScorecard]) -> list[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for scorecard in scorecards:
        for fault, reason in scorecard.skipped.items():
            reasons.setdefault((fault, reason), []).append(scorecard.topology)
    return [
        f"Fault {fault!r} was skipped for {', '.join(names)}: {reason}; it is left out of the pooled figures."
        for (fault, reason), names in reasons.items()
    ]
