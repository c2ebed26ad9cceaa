"""The tables of a comparison for a terminal of 80 columns; the report shows the same figures in HTML."""

from collections.abc import Iterable

from rich.table import Table

from experiments.compare.figures import FailureFigures, RunFigures
from experiments.compare.summary import ERROR_BUDGET, ComparisonSummary, TopologyFigures
from experiments.page.tables import Format, new_table, stats_cell
from experiments.page.text import NONE, percent_text
from experiments.theory.first_failure import Spread

NAME_WIDTH, DEPLOYMENT_WIDTH = 14, 24


def rates_table(summary: ComparisonSummary) -> Table:
    """The post's first table: RPS at first failure per topology, beside theory and the post."""
    title = "RPS at first failure (requests sent per second in the 10 s before it)"
    columns = ["Topology", "Measured", "Theory\n90 % range", "Inside", "Users", "Time, s", "Cause"]
    columns += ["Post"] * summary.has_post
    rows = [rate_cells(each)[: len(columns)] for each in summary.topologies]
    return new_table(title, columns, [rows], text=(0, 6), folds=(0, 6), max_width=NAME_WIDTH)


def rate_cells(topology: TopologyFigures) -> list[str]:
    """One row of the first table, the post's figure last; the second line of a cell is a range."""
    post = topology.post.rate_at_failure_per_s
    return [
        f"{topology.topology}\n{topology.slots} slots",
        "at once" if topology.failed_at_once else stats_cell(topology.rate_at_first_failure_per_s, rate_form(topology)),
        theory_cell(topology.theory.rate_per_s, rate_form(topology)),
        inside_cell(topology),
        stats_cell(topology.users, "{:.0f}".format),
        stats_cell(topology.time_s, "{:.0f}".format),
        causes_cell(topology),
        NONE if post is None else f"{post:.1f}",
    ]


def planning_table(summary: ComparisonSummary) -> Table:
    """What would be refused at the rate at first failure, and the rate to plan with, by theory."""
    title = "The rate at first failure is no rate to run at (theory: Erlang B)"
    budget = f"{percent_text(ERROR_BUDGET)} refused\nat RPS"
    columns = ("Topology", "Latency, s", "RPS at first\nfailure", "Refused if\nheld there", budget)
    rows = [map(planning_cells, summary.topologies)]
    return new_table(title, columns, rows, text=(0,), folds=(0,), max_width=DEPLOYMENT_WIDTH, min_width=len(title) + 1)


def planning_cells(topology: TopologyFigures) -> list[str]:
    """One row of it."""
    rate = topology.rate_at_first_failure_per_s
    return [
        topology.topology,
        f"{topology.theory_latency_s:.3f}",
        NONE if rate is None or topology.failed_at_once else f"{rate.median:.1f}",
        refused_cell(topology),
        budget_cell(topology),
    ]


def refused_cell(topology: TopologyFigures) -> str:
    """The share that would be refused at the rate at first failure."""
    return percent_text(topology.refused_share_if_held)


def budget_cell(topology: TopologyFigures) -> str:
    """The rate to plan with."""
    rate = topology.rate_to_plan_with_per_s
    return NONE if rate is None else f"{rate:.1f}"


def run_rows(topology: TopologyFigures) -> list[list[str]]:
    """One row per run: its first failure, where there was one, and its requests."""
    form = rate_form(topology)
    return [[f"run {run.repeat}", *_failure_cells(run, form), *_request_cells(run)] for run in topology.runs]


def _failure_cells(run: RunFigures, form: Format) -> list[str]:
    failure = run.first_failure
    if failure is None:
        return [*[NONE] * 5, "no failure"]
    return [
        *([NONE, NONE] if failure.is_at_once else _rate_cells(failure, form)),
        {True: "yes", False: "no", None: NONE}[run.inside_theory],
        str(failure.users),
        f"{failure.time_s:.1f}",
        failure.cause,
    ]


def _rate_cells(failure: FailureFigures, form: Format) -> list[str]:
    return [form(failure.rate_at_first_failure_per_s), form(failure.recount_per_s)]


def _request_cells(run: RunFigures) -> list[str]:
    latencies = [NONE if value is None else f"{value:.3f}" for value in (run.median_latency_s, run.p99_latency_s)]
    return [str(run.requests), str(run.failed_requests), *latencies, str(run.promotions)]


def loads_tables(summary: ComparisonSummary) -> list[Table]:
    """The post's second table: load per predictor, at the first failure and at its peak, beside the post's.

    None where no router tells loads.
    """
    if not summary.telling:
        return []
    title = "Load per predictor (requests in flight), a moment after the first failure"
    columns = ["Topology", "Predictor", "Role", "Load", "Peak", *["Post, after its test"] * summary.has_post]
    groups = [[cells[: len(columns)] for cells in loads_cells(each)] for each in summary.telling]
    return [new_table(title, columns, groups, text=(0, 1, 2), folds=(0, 1, 2), max_width=DEPLOYMENT_WIDTH)]


def loads_cells(topology: TopologyFigures) -> Iterable[list[str]]:
    """The second table's rows of one topology, the post's figure last."""
    for name, loads in topology.loads.items():
        post = topology.post.loads.get(name)
        yield [
            topology.topology,
            name,
            topology.roles[name],
            stats_cell(loads.load, "{:.0f}".format, ", "),
            stats_cell(loads.peak_load, "{:.0f}".format, ", "),
            NONE if post is None else str(post),
        ]


def rate_form(topology: TopologyFigures) -> Format:
    """How a topology's rates are written: measured and by theory alike."""
    return f"{{:.{topology.decimals}f}}".format


def theory_cell(spread: Spread | None, form: Format) -> str:
    """Median and 5-95 % range by theory."""
    return NONE if spread is None else f"{form(spread.median)}\n{form(spread.p5)}-{form(spread.p95)}"


def inside_cell(topology: TopologyFigures) -> str:
    """Whether the measured rate lies in theory's range; over repeats, in how many runs."""
    judged = [run.inside_theory for run in topology.runs if run.inside_theory is not None]
    if not judged:
        return NONE
    if len(judged) == 1:
        return "yes" if judged[0] else "no"
    return f"{sum(judged)} of {len(judged)}"


def causes_cell(topology: TopologyFigures) -> str:
    """The causes of the first failures; how often each, where there are several."""
    if len(topology.causes) <= 1:
        return next(iter(topology.causes), "no failure")
    return "\n".join(f"{cause} ({runs})" for cause, runs in topology.causes.items())
