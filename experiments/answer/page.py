"""The answer as a page, choose.html, and as a box on another report's page."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.answer import charts, tables
from experiments.answer.answer import Answer
from experiments.answer.costs import YearRow
from experiments.answer.inputs import Inputs
from experiments.answer.text import LABELS, MINUTES, dollars_text, figure_text, input_text, share_text, time_text
from experiments.page.page import Card, Chart, draw_both, render

PAGE = "choose.html"
OTHERS = 2
"""So many other deployments have a card beside the recommended one's."""


Row = tuple[list[str], bool]
"""A table's cells, and whether they are the recommended deployment's."""


@dataclass(frozen=True)
class Choice:
    """What "Which one to take" shows: `{% import "answer/box.html" as box %}`, `{{ box.which_one(choice) }}`."""

    answer: Answer
    command: str
    """What makes it again."""
    refused: Chart
    cost: Chart

    @property
    def asked(self) -> list[str]:
        """What was asked for, in a few words."""
        texts = {name: input_text(name, own) for name, own in self.answer.inputs.items()}
        load = f"{texts['rate']} of {texts['service_time']}"
        return [load, f"target {texts['target']}", f"{texts['threshold']} per predictor"]

    @property
    def cut(self) -> list[str]:
        """The deployments whose bars are cut."""
        longest = charts.axis_end(self.answer)
        return [row.deployment for row in self.answer.per_year if row.total_cost.mean > longest]

    @property
    def sizes(self) -> list[Row]:
        """The table of sizes, narrower than the terminal's: the number of predictors stands under the name."""
        own = self.answer.recommended
        return [(_size_cells(tables.size_cells(size, own)), size.deployment == own) for size in self.answer.sizes]

    @property
    def years(self) -> list[Row]:
        """The table of a year of each deployment."""
        own = self.answer.recommended
        return [(_whole(tables.year_cells(year, own)), year.deployment == own) for year in self.answer.per_year]

    @property
    def inputs(self) -> list[Row]:
        """The table of inputs, narrower than the terminal's: the source stands under the name."""
        rows = [tables.input_cells(name, own) for name, own in self.answer.inputs.items()]
        return [([f"{name}\n{source}", *_whole(cells)], False) for name, *cells, source in rows]

    @property
    def checks(self) -> list[Row]:
        """The table of what a run measured with one predictor down."""
        return [(_whole(tables.check_cells(check)), False) for check in self.answer.checks]


def _size_cells(cells: list[str]) -> list[str]:
    name, predictors, slots, used, *others = cells
    return _whole([f"{name}\n{predictors} predictor{'s' * (predictors != '1')}, {used} used", slots, *others])


def _whole(cells: list[str]) -> list[str]:
    """The cells, none of which breaks within a line."""
    return [cell.replace(" ", "\u00a0") for cell in cells]


def box(answer: Answer, command: str, folder: Path) -> Choice:
    """Draws the box's charts into the folder."""
    return Choice(
        answer,
        command,
        draw_both(partial(charts.draw_refused, answer, charts.curves(answer)), folder / charts.REFUSED),
        draw_both(partial(charts.draw_cost, answer), folder / charts.COST),
    )


def write_page(answer: Answer, command: str, folder: Path) -> Path:
    """Leaves choose.html, which refers to nothing outside, and its charts in the folder; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    swings = charts.mattering(answer)
    page = render(
        Path(__file__).with_name(PAGE),
        choice=box(answer, command, folder),
        title="Which one to take",
        cards=cards(answer),
        matters=draw_both(partial(charts.draw_matters, answer), folder / charts.MATTERS) if swings else None,
        swings=swings,
        labels=LABELS,
        columns=tables,
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    return folder / PAGE


def cards(answer: Answer) -> list[Card]:
    """The recommended deployment, and the cheapest of other sizes."""
    own = next(row for row in answer.per_year if row.deployment == answer.recommended)
    others = sorted(_others(answer, own), key=lambda row: row.total_cost.mean)
    return [_card(row, answer) for row in (own, *others[:OTHERS])]


def _others(answer: Answer, own: YearRow) -> Iterator[YearRow]:
    """The deployments of other sizes: a warm standby's is that of as many actives."""
    sizes = {(own.predictors, own.running)}
    for row in answer.per_year:
        if (size := (row.predictors, row.running)) not in sizes and "warm" not in row.deployment:
            sizes.add(size)
            yield row


def _card(row: YearRow, answer: Answer) -> Card:
    inputs = Inputs(**answer.inputs)
    up, one_down = (inputs.demand.refused_share(predictors) for predictors in (row.running, row.running - 1))
    parts = f"servers {dollars_text(row.server_cost.mean)}, downtime {dollars_text(row.downtime_cost.mean)}"
    what = f"{row.predictors} predictor{'s' * (row.predictors > 1)}, {row.running * inputs.demand.capacity} slots"
    held = tables.holds_text(up <= inputs.most_refused, one_down <= inputs.most_refused)
    return Card(
        name=row.deployment,
        what=f"recommended: {what}" if row.deployment == answer.recommended else what,
        figure=dollars_text(row.total_cost.mean),
        unit=f"a year: {parts}",
        facts=[
            (f"holds {input_text('target', inputs.target)}", held),
            ("refused, all up", share_text(up)),
            ("refused, one down", share_text(one_down)),
            ("lost in a year", figure_text(row.lost.mean)),
            ("downtime in a year", time_text(row.downtime_min.mean * MINUTES)),
        ],
    )
