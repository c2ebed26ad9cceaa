"""The tables of a failover run for a terminal of 80 columns; the report shows the same cells in HTML."""

from collections.abc import Sequence
from statistics import median

from rich.table import Table

from experiments.failover.claims import CLAIMS
from experiments.failover.faults import FAULTS, what_is_done
from experiments.failover.impacts import Impact, Predicted
from experiments.failover.metrics import METRIC, METRICS, Metric
from experiments.failover.pairs import PairVerdict
from experiments.failover.records import FailoverSettings
from experiments.failover.summary import FailoverSummary, LoadScorecard, TopologyScorecard, TopologyUnderLoad
from experiments.failover.window_metrics import COLUMNS, NUMBER, OUTAGE, SECONDS, Form, WindowFigures, WindowMetric
from experiments.page.tables import new_table, stats_cell
from experiments.page.text import NONE, percent_text
from experiments.theory.verdicts import FEWEST_TO_BE_EQUAL, MOST_REPEATS, Verdict

LAGGED = "invalid"
ALWAYS = "always"
"""A topology that has no reserve by plan is without one all the time."""

IMPACT_HEADS = ["Topology", "Lost", "Delayed", "Downtime", "Outage", "Below\nneed", "No\nreserve", "Wait\np99"]
"""The heads of the table of what faults cost."""

PAGE_HEADS = [*IMPACT_HEADS, "Longest wait", "Lost, sum (theory)", "Delayed, sum (theory)"]
"""Those of the report's table, which has room for more."""

BY_CLIENTS = ["Topology", "Lost", "Delayed", "Outage", "Wait\np99"]
"""Those of them for which a terminal has room beside the names of several routers; all are by the clients' records."""

NAME_WIDTH, DEPLOYMENT_WIDTH = 14, 24
COLUMNS_AT_ONCE = 3
"""A terminal has room for the metrics of so many deployments."""

HEADS_MEAN = (
    "Means per fault. Delayed: good answers over 0.5 s late. Downtime: lost by offered rate. Below need, no reserve: "
    "time with fewer slots than the load needs, now or after one more failure. Wait: less the service time."
)
CLIENTS_HEADS_MEAN = (
    f"Means per fault. Delayed: good answers over 0.5 s late. Outage: {OUTAGE}. Wait: less the service time."
)
OVERLOADED = "* overloaded:"
MEAN = "mean"
SURGES = "surge_availability"
FEW = 20
"""A share of fewer requests is given with their numbers: one more or less would make another."""

WINDOW_HEADS = ["Fault", *(metric.label for metric in COLUMNS)]
"""The heads of the table of every fault."""

LOSS_SHADES = ((0.0, "none lost"), (0.01, "up to 1 %"), (0.05, "up to 5 %"), (0.2, "up to 20 %"), (1.0, "more"))
"""The share of requests lost up to which a cell has a shade, and its words; the first shade's class is heat0."""


def impact_tables(summary: FailoverSummary) -> list[Table]:
    """A table for each load; what the heads mean stands below the first."""
    settings = summary.settings
    found = [impact_table(load, settings) for load in summary.loads]
    heads_mean = HEADS_MEAN if settings.has_own_router_alone else CLIENTS_HEADS_MEAN
    for table in found[:1]:
        table.caption = f"{table.caption}{heads_mean}\n"
    return found


def impact_table(load: LoadScorecard, settings: FailoverSettings) -> Table:
    """What each fault costs each topology, fault after fault; then the mean over the compared faults."""
    title = f"What a fault costs, load {load.load} ({load.rate_per_s:g} requests/s)"
    own = settings.has_own_router_alone
    shown = [n for n, head in enumerate(IMPACT_HEADS) if (head != "Outage" if own else head in BY_CLIENTS)]
    groups = [
        [[name if number == 0 else "", *at(cells, shown)] for number, cells in enumerate(rows)]
        for name, _, rows in impact_groups(load, settings)
    ]
    heads = ["Fault", *at(page_heads(settings), shown)]
    width = NAME_WIDTH if own else DEPLOYMENT_WIDTH
    table = new_table(title, heads, groups, text=(0, 1), folds=(0, 1), max_width=width)
    return _with_caption(table, [load])


def _with_caption(table: Table, loads: Sequence[LoadScorecard]) -> Table:
    """The table with a line below it that says which topologies are overloaded, where some are."""
    overloaded = [
        f"{each.topology} refuses {percent_text(each.refused_share, 0)} with everything up (load {load.load})"
        for load in loads
        for each in load.topologies
        if each.overloaded
    ]
    table.caption, table.caption_justify = "".join(f"{OVERLOADED} {text}\n" for text in overloaded), "left"
    return table


def marked(topology: TopologyUnderLoad) -> str:
    """The topology's name, with a mark where the load is more than it carries."""
    return f"{topology.topology}*" if topology.overloaded else topology.topology


def impact_groups(load: LoadScorecard, settings: FailoverSettings) -> list[tuple[str, str, list[list[str]]]]:
    """Fault, what it is, and the cells of each topology, of PAGE_HEADS.

    The mean over the compared faults comes last but for the router's own faults: of topologies that met them all, which
    an overloaded one may not have.
    """
    struck = {each.fault for topology in load.topologies for each in topology.faults}
    names = [name for name in FAULTS if name in struck]
    of_router = list(dict.fromkeys(each.fault for topology in load.topologies for each in topology.router))
    what = {name: what_is_done(name, settings) for name in [*names, *of_router]}
    found = [(name, what[name], _fault_rows(load, name)) for name in names]
    if load.compared:
        met_all = [each for each in load.topologies if all(map(each.impact_of, load.compared))]
        rows = [impact_cells(each, each.average, load) for each in met_all]
        found.append((MEAN, f"the mean over {', '.join(load.compared)}", rows))
    return found + [(name, f"the router's own: {what[name]}", _fault_rows(load, name)) for name in of_router]


def page_heads(settings: FailoverSettings) -> list[str]:
    """PAGE_HEADS; where several routers take part the rows are deployments."""
    of_several = any(plan.topology for plan in settings.topologies)
    return ["Deployment", *PAGE_HEADS[1:]] if of_several else PAGE_HEADS


def of_others_alone(settings: FailoverSettings) -> bool:
    """Whether none of the routers is this project's."""
    return all(map(settings.is_foreign, settings.topologies))


def page_columns(loads: Sequence[LoadScorecard], settings: FailoverSettings) -> list[int]:
    """The numbers of PAGE_HEADS that the report shows; none that has no figure, where all routers are others."""
    if not of_others_alone(settings):
        return [*range(len(PAGE_HEADS))]
    rows = [cells for load in loads for _, _, group in impact_groups(load, settings) for cells in group]
    return [number for number in range(len(PAGE_HEADS)) if any(cells[number] != NONE for cells in rows)]


def at(cells: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """The cells that have these numbers."""
    return [cells[number] for number in numbers]


def _fault_rows(load: LoadScorecard, fault: str) -> list[list[str]]:
    return [impact_cells(each, impact, load) for each in load.topologies if (impact := each.impact_of(fault))]


def impact_cells(topology: TopologyUnderLoad, impact: Impact, load: LoadScorecard) -> list[str]:
    """The cells of one fault and topology; a second line of the losses gives them with the invalid windows."""
    reserve = ALWAYS if topology.has_reserve is False else _cell(impact.without_reserve_s, SECONDS)
    if impact in topology.router:
        reserve = NONE
    with_all = f"\n{_cell(impact.lost_with_invalid, NUMBER)} with\n{impact.invalid} invalid" if impact.invalid else ""
    lagged = impact.invalid or impact.missed
    return [
        marked(topology),
        (LAGGED if lagged and not impact.windows else _cell(impact.lost, NUMBER)) + with_all,
        _cell(impact.delayed, NUMBER),
        _cell(impact.downtime_s, SECONDS),
        _cell(impact.outage_s, SECONDS),
        _cell(impact.below_need_s, SECONDS),
        reserve,
        _cell(impact.added_wait_p99_s, SECONDS),
        _cell(impact.longest_added_wait_s, SECONDS),
        *(_theory(each) for each in (impact.predicted_lost, impact.predicted_delayed)),
    ]


def _theory(predicted: Predicted | None) -> str:
    """The measured sum beside theory's range, and whether it lies inside."""
    if predicted is None:
        return NONE
    expected = predicted.expected
    word = "" if predicted.inside else "\noutside"
    return f"{predicted.measured} ({expected.p5:g}-{expected.p95:g}){word}"


def _cell(value: float | None, form: Form) -> str:
    return NONE if value is None else form(value)


def scorecard_tables(summary: FailoverSummary) -> list[Table]:
    """The post's metrics of each deployment, of several routers some at a time.

    A second line of a cell is the range over the repeats.
    """
    rows, heads = [cells for cells, _ in scorecard_rows(summary)], topology_heads(summary)
    own = summary.settings.has_own_router_alone
    at_once = len(heads) if own else COLUMNS_AT_ONCE
    found = []
    for first in range(1, len(heads) + 1, at_once):
        part = [[cells[0], *cells[first : first + at_once]] for cells in rows]
        columns = ["Metric", *(head.replace(" / ", " /\n") for head in heads[first - 1 : first - 1 + at_once])]
        folds = range(0 if own else 1, len(columns))
        found.append(new_table("The post's six metrics", columns, [part], text=(0,), folds=folds, min_width=44))
    return [*found[:-1], *(_with_caption(each, summary.loads[:1]) for each in found[-1:])]


def topology_heads(summary: FailoverSummary) -> list[str]:
    """The topologies' names, marked where the first load is more than they carry."""
    return load_heads(summary.loads[0]) if summary.loads else [each.topology for each in summary.topologies]


def load_heads(load: LoadScorecard) -> list[str]:
    """The names of a load's topologies, marked where it is more than they carry."""
    return [marked(each) for each in load.topologies]


def scorecard_rows(summary: FailoverSummary) -> list[tuple[list[str], str]]:
    """The cells of each of the post's metrics, and what the post says about it."""
    claims = {figure: claim.short for claim in CLAIMS for figure in claim.figures}
    return [
        (
            [
                metric_label(metric, summary.settings),
                *(_scorecard_cell(metric, each, summary.loads[:1]) for each in summary.topologies),
            ],
            claims.get(metric.name, ""),
        )
        for metric in METRICS
        if metric.is_of_the_post and _has_row(metric, summary)
    ]


def _scorecard_cell(metric: Metric, topology: TopologyScorecard, loads: Sequence[LoadScorecard]) -> str:
    """The figure; below it its range, and the good answers of those offered where these are fewer than FEW."""
    cell = stats_cell(topology.figures[metric.name], metric.form)
    windows = [
        window
        for load in loads
        for window in topology.windows
        if metric.counts is not None
        and window.load == load.load
        and window.counts_losses
        and metric.counts(FAULTS[window.fault])
    ]
    offered, lost = sum(window.offered for window in windows), sum(window.lost for window in windows)
    between = " " if "\n" in cell else "\n"
    return f"{cell}{between}({offered - lost} of {offered})" if 0 < offered < FEW else cell


def _has_row(metric: Metric, summary: FailoverSummary) -> bool:
    """Whether it stands in the scorecard: with a user's own server, what was left out for all has no row of dashes."""
    may_be_left_out = summary.settings.server is not None and (metric.is_of_capacity or metric.name == SURGES)
    return not may_be_left_out or any(each.figures[metric.name] for each in summary.topologies)


def metric_label(metric: Metric, settings: FailoverSettings) -> str:
    """The metric's label, of capacity with its service time; regions are named where some entry names one."""
    if not metric.is_of_capacity:
        return metric.label
    label = metric.label
    if not any(plan.regions for plan in settings.topologies):
        label = label.replace("in region", "all up").replace("out of region", "one down")
    return f"{label} ({settings.capacity_service_time_s:g} s)"


def pair_rows(summary: FailoverSummary, load: str) -> list[list[str]]:
    """The verdicts on every pair under a load: metric, pair, difference, its interval, the chance, the verdict."""
    return [
        [
            METRIC[pair.figure].label.strip(),
            f"{pair.a} and {pair.b}",
            METRIC[pair.figure].form.difference(pair.difference),
            NONE if pair.low is None or pair.high is None else METRIC[pair.figure].form.interval(pair.low, pair.high),
            f"{pair.p_value:.3f}",
            pair_verdict(pair),
        ]
        for pair in summary.pairs
        if pair.load == load
    ]


def pair_verdict(pair: PairVerdict) -> str:
    """The verdict in words: who is better, or equal within what, or how many repeats more would do."""
    if pair.verdict == Verdict.EQUAL:
        return f"equal within {METRIC[pair.figure].form.difference(pair.margin)}"
    if pair.verdict != Verdict.NOT_DECIDED:
        return f"{pair.a if pair.verdict == Verdict.BETTER else pair.b} better"
    if pair.repeats < FEWEST_TO_BE_EQUAL:
        return "not decided: too few repeats"
    if pair.more_repeats is None:
        return f"not decided: {MOST_REPEATS:,} repeats would not do"
    return f"not decided: {pair.more_repeats} repeat{'s' if pair.more_repeats > 1 else ''} more would do"


def loss_matrix(load: LoadScorecard, settings: FailoverSettings) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """The loss matrix in HTML: fault, what it is, and per topology a cell's text and its shade's class."""
    struck = {each.fault for topology in load.topologies for each in (*topology.faults, *topology.router)}
    return [
        (name, what_is_done(name, settings), [_shaded_cell(each.impact_of(name)) for each in load.topologies])
        for name in FAULTS
        if name in struck
    ]


def _shaded_cell(impact: Impact | None) -> tuple[str, str]:
    """Lost of offered, summed over the windows that count, with their share; or why there is no figure."""
    if impact is None:
        return NONE, "none"
    if not impact.windows:
        return LAGGED, "none"
    share = impact.lost_total / impact.offered_total
    shade = next(number for number, (most, _) in enumerate(LOSS_SHADES) if share <= most)
    text = f"{impact.lost_total} of {impact.offered_total}"
    return (f"{share:.1%}\n{text}" if share else f"none\nof {impact.offered_total}"), f"heat{shade}"


def window_rows(topology: TopologyScorecard, load: str) -> list[list[str]]:
    """Every fault's figures under a load, the medians over its valid repeats."""
    windows = [window for window in topology.windows if window.load == load]
    faults = dict.fromkeys(window.fault for window in windows)
    return [[fault, *_window_cells([w for w in windows if w.fault == fault and w.valid])] for fault in faults]


def _window_cells(valid: Sequence[WindowFigures]) -> list[str]:
    if not valid:
        return [LAGGED, *[NONE] * (len(COLUMNS) - 1)]
    return [_window_cell(metric, valid) for metric in COLUMNS]


def _window_cell(metric: WindowMetric, valid: Sequence[WindowFigures]) -> str:
    """The median of those that have the figure, and the note on it."""
    values = [value for window in valid if (value := getattr(window, metric.name)) is not None]
    note = metric.note(valid) if metric.note else ""
    return "\n".join(filter(None, (metric.form(median(values)) if values else NONE, note)))
