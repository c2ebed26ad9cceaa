"""The answer's tables for a terminal of 80 columns; the page shows the same cells in HTML."""

from collections.abc import Sequence

from rich.table import Table

from experiments.answer.answer import Answer, SizeRow
from experiments.answer.costs import Yearly, YearRow
from experiments.answer.inputs import Input
from experiments.answer.measured import OneDown
from experiments.answer.text import (
    LABELS,
    MINUTES,
    dollars_text,
    figure_text,
    input_text,
    range_text,
    share_text,
    time_text,
)
from experiments.page.tables import new_table
from experiments.page.text import NONE

SIZE_COLUMNS = (
    "Deployment", "Predic-\ntors", "Slots", "Used", "Refused,\nall up", "Refused,\none down", "Holds\ntarget",
)  # fmt: skip
YEAR_COLUMNS = ("Deployment", "Lost", "Downtime", "Nines", "Cost of\ndowntime", "Servers", "Total")
INPUT_COLUMNS = ("Input", "Value", "5 to 95 %", "Source")
CHECK_COLUMNS = (
    "Deployment", "Load,\nleft", "Refused,\none down", "Erlang B,\nin interval", "Faults", "Lost,\nsum",
    "Predicted\nsum",
)  # fmt: skip
MARKDOWN_COLUMNS = (
    "deployment", "running", "refused, all up", "refused, one down", "lost a year", "downtime a year",
    "cost of downtime", "of servers",
)  # fmt: skip
MARK = " *"
"""Stands after the recommended deployment's name."""

OVERLOADED = 0.01
"""Who refuses more than this share with all up does not carry the load: what that costs is no cost of faults."""

NAME_WIDTH, SOURCE_WIDTH = 21, 32


def tables(answer: Answer) -> list[Table]:
    """Inputs, what a run says about the formula, where there is one, sizes, and a year of each deployment."""
    checks = [checks_table(answer)] if answer.checks else []
    return [inputs_table(answer), *checks, sizes_table(answer), years_table(answer)]


def sizes_table(answer: Answer) -> Table:
    """The fewest predictors of each kind, with all up and with one down."""
    title = f"Sizes for {input_text('rate', answer.inputs['rate'])} (*: recommended)"
    rows = [size_cells(size, answer.recommended) for size in answer.sizes]
    for cells in rows:
        cells[0] = cells[0] if len(cells[0]) <= NAME_WIDTH else _broken(cells[0])
    return _table(title, SIZE_COLUMNS, rows, (0, 6))


def markdown(answer: Answer) -> str:
    """The deployments side by side as a table in Markdown: what each refuses, and what a year of it costs."""
    lines = [_markdown_row(MARKDOWN_COLUMNS), "|---" * len(MARKDOWN_COLUMNS) + "|"]
    return "\n".join([*lines, *(_markdown_row(_markdown_cells(year, answer)) for year in answer.per_year)])


def _markdown_cells(year: YearRow, answer: Answer) -> list[str]:
    mean, ends, between = year_cells(year, answer.recommended)[4].partition("\n")
    cost = f"{mean} ({between})" if ends else mean
    own = year.deployment == answer.recommended
    return [
        f"**{year.deployment}**" if own else year.deployment,
        str(year.running),
        share_text(year.refused_share),
        share_text(year.refused_share_one_down),
        figure_text(year.lost.mean),
        time_text(year.downtime_min.mean * MINUTES),
        cost,
        dollars_text(year.server_cost.mean),
    ]


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def size_cells(size: SizeRow, recommended: str) -> list[str]:
    """One row: a cold standby's predictor is there, and does not run."""
    return [
        _marked(size.deployment, recommended),
        str(size.predictors),
        str(size.slots),
        f"{100 * size.utilisation:.0f} %",
        share_text(size.refused_share),
        share_text(size.refused_share_one_down),
        holds_text(size.meets_target_up, size.meets_target),
    ]


def holds_text(up: bool, one_down: bool) -> str:
    """In which states the target is held: with one down too, with all up alone, or in neither."""
    if one_down:
        return "one down"
    return "all up" if up else "no"


def _marked(deployment: str, recommended: str) -> str:
    return deployment + MARK * (deployment == recommended)


def years_table(answer: Answer) -> Table:
    """What each deployment costs in a year; names are broken, and of three ranges the widest is left."""
    rows = [_narrow(year_cells(year, answer.recommended)) for year in answer.per_year]
    return _table("A year of each: means, and the range of nine years in ten", YEAR_COLUMNS, rows, (0,), folds=())


def _narrow(cells: list[str]) -> list[str]:
    name, *figures, downtime, servers, total = cells
    means = [each.partition("\n")[0] for each in (servers, total)]
    return [_broken(name), *figures, downtime.replace(" to ", "-"), *means]


def _broken(name: str) -> str:
    return name.replace(", ", ",\n")


def year_cells(year: YearRow, recommended: str) -> list[str]:
    """One row; money has its range below it, and an overloaded deployment no cost."""
    overloaded = year.refused_share > OVERLOADED
    return [
        _marked(year.deployment, recommended),
        figure_text(year.lost.mean),
        time_text(year.downtime_min.mean * MINUTES),
        f"{year.nines:.1f}",
        "overloaded" if overloaded else yearly_cell(year.downtime_cost),
        yearly_cell(year.server_cost),
        NONE if overloaded else yearly_cell(year.total_cost),
    ]


def yearly_cell(cost: Yearly) -> str:
    """A year's cost: mean, and below it the range that holds nine years in ten."""
    mean, low, high = (dollars_text(value) for value in (cost.mean, cost.p5, cost.p95))
    return mean if low == high else f"{mean}\n{low} to {high.removeprefix('$')}"


def inputs_table(answer: Answer) -> Table:
    """What the answer depends on, and whose it is."""
    rows = [input_cells(name, own) for name, own in answer.inputs.items()]
    return _table("Inputs", INPUT_COLUMNS, rows, (0, 3), folds=(3,), max_width=SOURCE_WIDTH)


def input_cells(name: str, own: Input) -> list[str]:
    """One row; a point has no range."""
    ends = NONE if own.low is None or own.high is None else range_text(name, own.unit, own.low, own.high)
    return [LABELS[name], input_text(name, own), ends, own.source]


def checks_table(answer: Answer) -> Table:
    """What a run measured with one predictor down, beside the formula."""
    rows = [
        [_broken(name), *(each.replace(" to ", "-") for each in rest)]
        for name, *rest in map(check_cells, answer.checks)
    ]
    return _table("Measured with one predictor down", CHECK_COLUMNS, rows, (0, 1), folds=())


def check_cells(check: OneDown) -> list[str]:
    """One row: the refused share with its 95 % interval, and what a fault's strikes lost beside the middle 90 %."""
    predicted = check.predicted
    return [
        check.deployment,
        f"{check.load}\n{check.slots} slots",
        f"{share_text(check.refused / max(1, check.sent))}\n{figure_text(100 * check.low)} to {share_text(check.high)}",
        f"{share_text(check.erlang_b)}\n{'yes' if check.formula_holds else 'no'}",
        f"{check.struck}\n{check.fault}",
        f"{check.measured:,}",
        NONE if predicted is None else f"{predicted.median:,.0f}\n{predicted.p5:,.0f} to {predicted.p95:,.0f}",
    ]


def _table(
    title: str,
    columns: tuple[str, ...],
    rows: list[list[str]],
    text: tuple[int, ...],
    folds: tuple[int, ...] = (0,),
    max_width: int = NAME_WIDTH,
) -> Table:
    return new_table(title, columns, [rows], text=text, folds=folds, max_width=max_width)
