"""What a failover run comes to: summary, tables, page and the figures that two runs are compared by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.table import Table

from cli import UsageError
from experiments.answer.answer import Answer, answer
from experiments.answer.inputs import DEFAULTS, Inputs
from experiments.answer.page import box
from experiments.answer.sentences import explain
from experiments.experiment import Figure
from experiments.failover import charts, timeline
from experiments.failover import tables as failover_tables
from experiments.failover.claims import judge_claims, too_few
from experiments.failover.findings import findings, lossy_work, with_invalid
from experiments.failover.measured_inputs import measure_inputs
from experiments.failover.metrics import LABELS, METRICS, definitions_of
from experiments.failover.pairs import absolute_margin, least_margin
from experiments.failover.predicted import with_predictions
from experiments.failover.records import LAYOUT, FailoverSettings, FaultRun
from experiments.failover.summary import (
    ClaimVerdict,
    FailoverSummary,
    LoadScorecard,
    TopologyScorecard,
    TopologyUnderLoad,
    judge_loads,
    measure_runs,
    score_loads,
    score_topologies,
)
from experiments.failover.window_metrics import OUTAGE, WindowFigures
from experiments.options import Margins
from experiments.page.page import Card, Chart, draw_both, render_page
from experiments.page.text import describe_layout, percent_text
from experiments.results.statistics import aggregate, in_digits

SCHEMA_NAME = "failover/2"

ONE_ROUTER = (
    "The post's claims, and which deployment to take, are about topologies behind this project's router: neither is "
    "judged here (--router flask, alone, does)."
)


@dataclass(frozen=True)
class Course:
    """The course of one fault on the page: whose it is, drawn, and in words."""

    title: str
    chart: Chart
    sentences: list[str]


def summarize(settings: FailoverSettings, runs: Sequence[FaultRun]) -> FailoverSummary:
    """Computes summary.json: the figures of every topology with a finished run, and what they say."""
    by_load = measure_runs(settings, runs)
    topologies = score_topologies(settings, by_load)
    loads = with_predictions(settings, runs, score_loads(settings, by_load))
    pairs = judge_loads(settings, by_load, loads)
    sentences = findings(settings, topologies, loads, pairs)
    verdicts = judge_claims(pairs) if settings.has_own_router_alone else []
    chosen = choose(settings, runs)
    definitions = definitions_of(settings)
    return FailoverSummary(SCHEMA_NAME, sentences, settings, topologies, loads, pairs, verdicts, chosen, definitions)


def choose(settings: FailoverSettings, runs: Sequence[FaultRun]) -> Answer | None:
    """Which deployment to take by what the run says, and defaults; None where it says too little, or none will do."""
    try:
        measured = measure_inputs(settings, runs, runs[0].folder.parent.name)
    except UsageError:
        return None
    inputs = Inputs(**{**DEFAULTS, **measured.inputs})
    try:
        found = answer(inputs, measured)
    except ValueError:  # no size holds the target
        return None
    own: Answer = in_digits(explain(found, inputs, measured))
    return own


def tables(summary: FailoverSummary) -> list[Table]:
    """What faults cost under each load, then the post's metrics where one was measured."""
    scorecard = failover_tables.scorecard_tables(summary) if has_scorecard(summary) else []
    return [*failover_tables.impact_tables(summary), *scorecard]


def has_scorecard(summary: FailoverSummary) -> bool:
    """Whether a metric was measured of any topology: the router's own faults and the control are in none."""
    return any(figure is not None for topology in summary.topologies for figure in topology.figures.values())


def sentences(summary: FailoverSummary) -> list[str]:
    """The headline, which deployment to take, the finding, then the verdicts on the post's claims.

    One sentence stands for the verdicts where the repeats allow none.
    """
    finding = [*summary.finding[:1], *which_one(summary), *summary.finding[1:]]
    if not summary.settings.has_own_router_alone:
        return [*finding, ONE_ROUTER]
    if few := too_few(summary.pairs):
        return [*finding, few]
    verdicts = [
        f'The post: "{each.claim}": {each.verdict}{under(each, summary)}. {each.sentence}' for each in summary.verdicts
    ]
    return [*finding, *verdicts]


def which_one(summary: FailoverSummary) -> list[str]:
    """Which deployment to take, and how to ask it with other figures; nothing where there is no answer."""
    found = summary.answer
    if found is None:
        return []
    rate, aside = found.inputs["rate"].value, "What this run does not measure are defaults; for figures of your own"
    return [f"Which one to take at {rate:g} requests/s? {found.sentence} {aside}: {command_of(found)}."]


def command_of(found: Answer) -> str:
    """What asks for the answer again, and takes other figures."""
    rate, target = found.inputs["rate"].value, found.inputs["target"].value
    return f"python -m experiments choose FOLDER --rate {rate:g} --target {target:g}"


def under(verdict: ClaimVerdict, summary: FailoverSummary) -> str:
    """The load of a verdict, where there are several."""
    return f" (load {verdict.load})" if len(summary.loads) > 1 else ""


def cards(summary: FailoverSummary) -> list[Card]:
    """What faults cost each topology under the first load."""
    own = summary.settings.has_own_router_alone
    of_several = len(summary.loads) > 1
    return [_card(topology, load, own, of_several) for load in summary.loads[:1] for topology in summary.topologies]


def _card(topology: TopologyScorecard, load: LoadScorecard, is_own: bool, of_several: bool) -> Card:
    own = load.of(topology.topology)
    cells = dict(zip(failover_tables.IMPACT_HEADS, failover_tables.impact_cells(own, own.average, load), strict=False))
    of_slots = [("below the slots needed", cells["Below\nneed"]), ("without reserve", cells["No\nreserve"])]
    facts = [
        ("delayed per fault", cells["Delayed"]),
        ("downtime per fault", cells["Downtime"]),
        *(of_slots if is_own else [("outage per fault", cells["Outage"])]),
        *((f"lost per {impact.fault}", f"{impact.lost:.1f}") for impact in lossy_work(own)),
    ]
    return Card(
        name=topology.topology,
        what=describe_layout(topology.roles, topology.slots),
        figure=cells["Lost"].partition("\n")[0],
        unit=f"{_card_unit(own)}; load {load.load}" if of_several else _card_unit(own),
        facts=facts,
    )


def _card_unit(own: TopologyUnderLoad) -> str:
    """What the large figure counts, and where it says less than it seems to."""
    if own.overloaded:
        return f"requests lost per fault, overloaded: {percent_text(own.refused_share, 0)} refused with everything up"
    if not own.average.windows and not own.average.invalid:
        return "no fault of a predictor was measured"
    unit = f"requests lost per fault of a predictor{with_invalid(own.average)}"
    if own.average.most_share_losing is not None:
        unit += f"; up to {percent_text(own.average.most_share_losing, 0)} of faults could lose some"
    return unit


def page(summary: FailoverSummary, runs: Sequence[FaultRun], folder: Path) -> str:
    """Draws the charts into the folder and makes the page, which refers to nothing outside."""
    return render_page(
        Path(__file__).with_name("page.html"),
        summary,
        labels=LABELS,
        title="The high-availability scorecard",
        cards=cards(summary),
        choice=box(summary.answer, command_of(summary.answer), folder) if summary.answer else None,
        tables=failover_tables,
        too_few=too_few(summary.pairs, are_judged=summary.settings.has_own_router_alone),
        one_router="" if summary.settings.has_own_router_alone else ONE_ROUTER,
        scorecard_chart=draw_both(partial(charts.draw_scorecard, summary), folder / charts.SCORECARD)
        if has_scorecard(summary)
        else None,
        courses=[
            Course(
                timeline.title_of(courses),
                draw_both(partial(timeline.draw_timeline, courses), folder / timeline.file_of(courses, number)),
                timeline.sentences(courses),
            )
            for number, courses in enumerate(timeline.select_courses(summary, runs))
        ],
        layout=LAYOUT,
        outage=OUTAGE,
    )


def figures(summary: FailoverSummary) -> list[Figure]:
    """The scorecard's figures, and the requests lost and delayed in each fault, of each topology."""
    return [figure for topology in summary.topologies for figure in _figures(topology, summary)]


def _figures(topology: TopologyScorecard, summary: FailoverSummary) -> Iterator[Figure]:
    for metric in METRICS:
        values = topology.values[metric.name]
        scale = 100.0 if metric.form.is_percent else 1.0
        scaled = [scale * value for value in values]
        if (stats := aggregate(scaled)) is not None:
            label = failover_tables.metric_label(metric, summary.settings).strip()
            name = f"{label}, %" if metric.form.is_percent else label
            margin = absolute_margin(metric, summary.settings.margins, summary.settings.offered_loads[0].rate_per_s)
            yield Figure(
                topology.topology, name, topology.slots, stats, decimals=2 if metric.form.is_percent else None,
                values=scaled, margin=None if margin is None else scale * margin,
                least_margin=least_margin(metric, summary.settings.margins),
            )  # fmt: skip
    for load, fault in dict.fromkeys((window.load, window.fault) for window in topology.windows):
        windows = [window for window in topology.windows if (window.load, window.fault) == (load, fault)]
        where = f"{fault}, load {load}" if len(summary.loads) > 1 else fault
        yield from _of_fault(topology, where, windows, summary.settings.margins)


def _of_fault(
    topology: TopologyScorecard, where: str, windows: Sequence[WindowFigures], margins: Margins
) -> Iterator[Figure]:
    lost = [float(window.lost) for window in windows if window.counts_losses]
    delayed = [float(window.delayed) for window in windows if window.valid]
    for what, values in (("lost", lost), ("delayed", delayed)):
        if (stats := aggregate(values)) is not None:
            yield Figure(
                topology.topology, f"{what}: {where}", topology.slots, stats, values=values,
                margin=margins.lost_requests if what == "lost" else None, least_margin=margins.lost_requests,
            )  # fmt: skip
