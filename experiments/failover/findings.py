"""The result of a failover run in sentences: the headline first, grouped by what differs."""

from collections.abc import Iterable, Iterator, Sequence

from experiments.failover.faults import FAULTS
from experiments.failover.impacts import Impact
from experiments.failover.pairs import PairVerdict
from experiments.failover.records import FailoverSettings
from experiments.failover.summary import LoadScorecard, TopologyScorecard, TopologyUnderLoad
from experiments.page.text import join_words, no_theory, percent_text, service_time_text
from experiments.theory.verdicts import Verdict

NOTHING = "No fault of predictors was measured in every topology, so there is nothing to compare."
CRASH = "crash"
"""The fault that the headline tells the cost of, where it struck."""

MOST_NAMED = 6
"""The figures of more deployments than these stand in the tables alone."""

JUDGED_BY = "lost_per_fault"
"""The metric by whose verdicts topologies stand together or apart."""


def findings(
    settings: FailoverSettings,
    topologies: Sequence[TopologyScorecard],
    loads: Sequence[LoadScorecard],
    pairs: Sequence[PairVerdict],
) -> list[str]:
    """The result in sentences, the main one first."""
    sentences = [sentence for load in loads for sentence in _of_load(load, pairs, several=len(loads) > 1)]
    server = [f"The predictors: {service_time_text(settings)}."] if settings.server else []
    left_out = [f"{fault} is left out: {why}." for fault, why in settings.left_out.items()]
    of_faults = [*_not_refused(topologies), *_missed(topologies), *_skips(topologies), *left_out]
    silent = list(_never_answered(topologies))
    return [*silent, *(sentences or [NOTHING]), *server, *no_theory(settings), *_of_foreign(settings), *of_faults]


def _of_foreign(settings: FailoverSettings) -> list[str]:
    """What is not known of routers that are not this project's, and what is done otherwise."""
    names = list(dict.fromkeys(settings.router_of(each) for each in settings.topologies if settings.is_foreign(each)))
    if not names:
        return []
    they_have = "they have" if len(names) > 1 else "it has"
    known = f"Of {join_words(names)} the clients' records tell all that is known: slots, reserve, reaction and theory"
    return [f"{known} have no figure; {they_have} no drain here, so an upgrade is a polite stop and a start."]


def _never_answered(topologies: Sequence[TopologyScorecard]) -> Iterator[str]:
    """Predictors that took no part, so that the loss of one costs nothing: what that seems to prove is not proven."""
    for each in topologies:
        if names := each.never_answered:
            yield (
                f"In {each.topology} {join_words(names)} never answered, though others did: faults that strike "
                f"{'it' if len(names) == 1 else 'them'} prove nothing."
            )


def _of_load(load: LoadScorecard, pairs: Sequence[PairVerdict], *, several: bool) -> Iterator[str]:
    """What a load's faults cost, planned ones and the router's own too, and may have cost unseen.

    Of several loads each sentence names its own: the same words with other figures would contradict each other.
    """
    found = [headline(load, pairs) if load.compared else NOTHING, *_beside_headline(load)]
    if not several:
        yield from found
        return
    yield f"Under the load {load.load} ({load.rate_per_s:g} requests/s): {found[0]}"
    yield from (f"Load {load.load}: {sentence}" for sentence in found[1:])


def _beside_headline(load: LoadScorecard) -> Iterator[str]:
    """The other sentences on a load."""
    yield from _details(load)
    yield from _planned(load)
    yield from _not_compared(load)
    yield from _invalid_windows(load)
    yield from _predictions(load)
    yield from _of_router(load)


def headline(load: LoadScorecard, pairs: Sequence[PairVerdict]) -> str:
    """What faults of predictors cost: overloaded topologies, those that lose nothing, then groups of the others.

    Those that the repeats do not tell apart stand together, for figures side by side would read as a ranking.
    """
    overloaded = [each for each in load.topologies if each.overloaded]
    lossless = [each for each in load.topologies if not each.overloaded and not each.average.lost_total]
    lossy = [each for each in load.topologies if not each.overloaded and each.average.lost_total]
    parts = [
        f"{each.topology} is overloaded: it refuses {percent_text(each.refused_share, 0)} with everything up"
        for each in overloaded
    ]
    if lossless:
        names = [each.topology for each in lossless]
        parts.append(f"{join_words(names)} {'lose' if len(names) > 1 else 'loses'} nothing in {_faults(load)}")
    apart = told_apart(load.load, pairs)
    parts += [f"{_loss_of_group(load, group)}{_near(group, lossless, apart)}" for group in _groups(lossy, apart)]
    text = "; ".join(parts)
    return f"{text}{_one_run(load)}."


def told_apart(load: str, pairs: Sequence[PairVerdict]) -> set[frozenset[str]]:
    """The pairs of topologies of which the repeats say that one loses more."""
    sure = (Verdict.BETTER, Verdict.WORSE)
    return {
        frozenset((each.a, each.b))
        for each in pairs
        if (each.load, each.figure) == (load, JUDGED_BY) and each.verdict in sure
    }


def _groups(topologies: Sequence[TopologyUnderLoad], apart: set[frozenset[str]]) -> list[list[TopologyUnderLoad]]:
    """The topologies in groups, in order: two that are not told apart are in one, and so is what links them."""
    groups: list[list[TopologyUnderLoad]] = []
    for own in topologies:
        near = [g for g in groups if any(frozenset((own.topology, other.topology)) not in apart for other in g)]
        merged = [*(other for group in near for other in group), own]
        groups = [*(group for group in groups if group not in near), merged]
    return sorted(groups, key=lambda group: topologies.index(group[0]))


def _near(group: Sequence[TopologyUnderLoad], lossless: Sequence[TopologyUnderLoad], apart: set[frozenset[str]]) -> str:
    """Which of those that lost nothing the group is not told apart from; empty for none, and where all ran once."""
    if _ran_once([*group, *lossless]):
        return ""
    names = [
        own.topology
        for own in lossless
        if any(frozenset((own.topology, other.topology)) not in apart for other in group)
    ]
    return f"{', nor' if len(group) > 1 else ', not told apart'} from {join_words(names)}" if names else ""


def _loss_of_group(load: LoadScorecard, group: Sequence[TopologyUnderLoad]) -> str:
    """The equivalent downtime of one, per crash, or else by its costliest fault; of a group the range."""
    if len(group) > 1:
        times_s = [f"{each.average.downtime_s or 0.0:.2g}" for each in group]
        names, least, most = (
            join_words([each.topology for each in group]) if len(group) <= MOST_NAMED else f"{len(group)} deployments",
            min(times_s, key=float),
            max(times_s, key=float),
        )
        return f"{names} lose {least}{f' to {most}' if most != least else ''} s per fault, not told apart"
    [topology] = group
    of_fault = [(each.downtime_s, each.fault) for each in topology.faults if each.fault in load.compared]
    cost_s, fault = max(((s, name) for s, name in of_fault if s is not None), key=lambda each: (each[1] == CRASH, each))
    text = f"{topology.topology} loses {cost_s:.2g} s of requests per {fault}"
    return text if len(of_fault) == 1 else f"{text}, {topology.average.downtime_s:.2g} s per fault in the mean"


def _faults(load: LoadScorecard) -> str:
    if len(load.compared) < 4:
        return join_words(load.compared)
    return f"any of the {len(load.compared)} faults that all met" if load.not_compared else "any fault of predictors"


def _one_run(load: LoadScorecard) -> str:
    several = len(load.topologies) > 1
    return "; one run of each decides no ranking" if several and _ran_once(load.topologies) else ""


def _ran_once(topologies: Iterable[TopologyUnderLoad]) -> bool:
    """Whether no fault struck any of them twice."""
    return max((each.windows for topology in topologies for each in topology.faults), default=0) == 1


def _details(load: LoadScorecard) -> Iterator[str]:
    """Lost, delayed and downtime of each topology, and what nothing lost still leaves possible."""
    if not load.compared:
        return
    parts = [f"{each.topology} {_cost(each.average)}" for each in load.topologies if not each.overloaded]
    if len(parts) <= MOST_NAMED:
        yield f"Per fault of a predictor ({', '.join(load.compared)}): {'; '.join(parts)}."
    lossless = [t for t in load.topologies if not t.overloaded and t.average.most_share_losing is not None]
    if lossless:
        fewest = min(lossless, key=lambda each: each.average.windows).average
        most = percent_text(fewest.most_share_losing, 0)
        faults = f"{fewest.windows} fault{'' if fewest.windows == 1 else 's'}"
        yield (
            f"None lost in {faults} does not mean never: up to {most} of such "
            "faults could lose something (95 % confidence)."
        )


def _not_compared(load: LoadScorecard) -> Iterator[str]:
    """The losses in faults that some topology did not meet, or not on time: they are in no mean."""
    for fault in load.not_compared:
        lost = [
            f"{topology.topology} {impact.lost:.1f}"
            for topology in load.topologies
            if not topology.overloaded and (impact := topology.impact_of(fault)) and impact.lost is not None
        ]
        if lost:
            yield (
                f"{fault!r} does not count in every topology, so it is in none of these means; lost in it: "
                f"{', '.join(lost)}."
            )


def _planned(load: LoadScorecard) -> Iterator[str]:
    """What planned work lost, which is in no mean; nothing where it lost nothing, or all the time."""
    usual = [topology for topology in load.topologies if not topology.overloaded]
    for fault in dict.fromkeys(each.fault for topology in usual for each in lossy_work(topology)):
        impacts = [(each.topology, impact) for each in usual if (impact := each.impact_of(fault)) and impact.windows]
        lost = ", ".join(f"{name} {impact.lost:.1f}{with_invalid(impact)}" for name, impact in impacts)
        yield f"Planned work ({fault}) is in none of these figures; requests lost in it: {lost}."


def lossy_work(topology: TopologyUnderLoad) -> list[Impact]:
    """The planned work in which it lost requests; none of one that is overloaded, which loses all the time."""
    return (
        []
        if topology.overloaded
        else [impact for impact in topology.faults if FAULTS[impact.fault].planned and impact.lost_total]
    )


def _cost(impact: Impact) -> str:
    """Lost, with the invalid windows too where there are some, delayed and downtime."""
    lost = f"{impact.lost:.1f} requests lost{with_invalid(impact)}"
    delayed = f"{impact.delayed:.1f} delayed, " if impact.delayed is not None else ""
    return f"{lost}, {delayed}{impact.downtime_s:.2f} s of downtime"


def with_invalid(impact: Impact) -> str:
    """The losses with the windows that were left out; empty where none was."""
    if not impact.invalid or impact.lost_with_invalid is None:
        return ""
    windows = f"{impact.invalid} invalid window{'s' if impact.invalid > 1 else ''}"
    return f" (with the {windows}: {impact.lost_with_invalid:.1f})"


def _invalid_windows(load: LoadScorecard) -> Iterator[str]:
    impacts = [each for topology in load.topologies for each in (*topology.faults, *topology.router)]
    late, invalid = sum(each.late for each in impacts), sum(each.invalid for each in impacts)
    if late:
        yield (
            f"Invalid windows: {late}. There the generator lagged (more than 1 % of the requests over 0.1 s late), "
            f"and they are in no time and no delay{_left_out(invalid)}."
        )


def _left_out(invalid: int) -> str:
    if not invalid:
        return ""
    verb = "is" if invalid == 1 else "are"
    return f"; {invalid} of them, late by 1 s or more, {verb} in no loss but those given with the invalid windows"


def _predictions(load: LoadScorecard) -> Iterator[str]:
    inside, cells = count_inside(load)
    if cells:
        yield (f"{inside} of {cells} cells lie inside theory's 5 to 95 % range (about 9 in 10 are expected).")


def count_inside(load: LoadScorecard) -> tuple[int, int]:
    """How many cells lie inside theory's range, and how many have one."""
    impacts = [each for topology in load.topologies for each in (*topology.faults, *topology.router)]
    cells = [cell for each in impacts for cell in (each.predicted_lost, each.predicted_delayed) if cell is not None]
    return sum(cell.inside for cell in cells), len(cells)


def _of_router(load: LoadScorecard) -> Iterator[str]:
    """The router's own faults, which cost every topology alike; one that is overloaded loses all the time."""
    usual = [topology for topology in load.topologies if not topology.overloaded]
    for fault in dict.fromkeys(each.fault for topology in usual for each in topology.router):
        lost = [f"{t.topology} {each.lost:.1f}" for t in usual if (each := t.impact_of(fault)) and each.lost]
        aside = "" if len(usual) == len(load.topologies) else " where the topology is not overloaded"
        yield (
            f"The router's own fault ({fault}) is in none of these figures; requests lost in it{aside}: "
            f"{', '.join(lost)}."
            if lost
            else f"The router's own fault ({fault}) lost no request{aside}."
        )


def _not_refused(scorecards: Sequence[TopologyScorecard]) -> list[str]:
    """Bodies over the limit that were answered otherwise than 413: then their fault says nothing of the limit."""
    found = [window for scorecard in scorecards for window in scorecard.windows if window.oversize_sent]
    sent, refused = sum(window.oversize_sent for window in found), sum(window.oversize_refused for window in found)
    if refused == sent:
        return []
    return [f"{sent - refused} of {sent} bodies over the limit were not refused for their size (413)."]


def _missed(scorecards: Sequence[TopologyScorecard]) -> Iterator[str]:
    """Faults of which it is not proven that they struck, or met a request: their windows are in no figure."""
    for scorecard in scorecards:
        for fault in dict.fromkeys(window.fault for window in scorecard.windows if window.missed):
            reasons = [window.missed for window in scorecard.windows if window.fault == fault and window.missed]
            several = f"{len(reasons)} windows" if len(reasons) > 1 else "a window"
            yield f"Invalid: {fault} in {several} of {scorecard.topology}: {reasons[0]}."


def _skips(scorecards: Sequence[TopologyScorecard]) -> list[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for scorecard in scorecards:
        for fault, reason in scorecard.skipped.items():
            reasons.setdefault((fault, reason), []).append(scorecard.topology)
    return [
        f"Fault {fault!r} was skipped for {', '.join(names)}: {reason}." for (fault, reason), names in reasons.items()
    ]
