"""Tables for a terminal of 80 columns; the pages show the same cells in HTML."""

from collections.abc import Callable, Collection, Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiments.page.text import NONE
from experiments.results.statistics import RunStats

Format = Callable[[float], str]
"""How a value is written."""


def new_table(
    title: str,
    columns: Sequence[str],
    groups: Iterable[Iterable[Sequence[str]]],
    *,
    text: Collection[int] = (),
    folds: Collection[int] = (),
    max_width: int | None = None,
    min_width: int | None = None,
) -> Table:
    """Makes a table of the rows in `groups`, with a gap between two groups.

    `text`: which columns, from 0, hold text, flush left, the others figures; `folds`: which may break their cells;
    `max_width`: of those; `min_width`: of the whole table.
    """
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0),
        min_width=min_width,
    )  # fmt: skip
    for number, column in enumerate(columns):
        can_fold = number in folds
        table.add_column(
            column,
            justify="left" if number in text else "right",
            overflow="fold",
            max_width=max_width if can_fold else None,
            no_wrap=not can_fold,
        )
    for rows in groups:
        for cells in rows:
            table.add_row(*cells)
        table.add_section()
    return table


def stats_cell(stats: RunStats | None, form: Format, between: str = "\n") -> str:
    """The median and, where the runs differ as written, their range after it."""
    if stats is None:
        return NONE
    median, low, high = (form(value) for value in (stats.median, stats.low, stats.high))
    return median if low == high else f"{median}{between}{low.rstrip('% s')}-{high}"
