"""`python -m experiments diff A B`: two runs of one experiment side by side, and what is more than chance."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cli import Parser
from experiments.compare import agreement
from experiments.diff_settings import (
    Difference,
    footnote,
    names_of,
    opening,
    same_experiment,
    settings_that_differ,
)
from experiments.experiment import Figure, read_finished
from experiments.page.tables import new_table
from experiments.page.text import NONE
from experiments.results import statistics
from experiments.results.statistics import RunStats
from experiments.results.store import as_json

VERDICTS = {agreement.DIFFER: "yes", agreement.AGREE: "no", agreement.NOT_DECIDED: "not decided"}
"""Whether a difference is more than chance, in the table's words."""

DEFINITION = (
    "More than chance: yes where the repeats' ranges do not overlap and chance alone hardly parts so many runs (from 4 "
    "of each on; at 4 of each chance alone makes 1 figure in 35 a yes), or where theory expects A and B to differ and "
    "they are further apart than medians of so many runs vary by it; no (none is seen, which proves no equality) "
    "where they are nearer than that, or so many runs overlap; not decided where neither says enough."
)


Side = list[Figure]
Figures = Mapping[tuple[str, str], Figure]
"""Subject and name -> the figure."""


def main(arguments: Sequence[str], console: Console) -> None:
    """Run the command. Raises CommandError."""
    options = _parser().parse_args(arguments)
    experiment = same_experiment(options.a, options.b)
    with console.status("computing the figures of both runs"):
        read = [read_finished(experiment, folder) for folder in (options.a, options.b)]
        report = experiment.report
        sides = [report.figures(report.summarize(settings, records)) for settings, records in read]
    differences = settings_that_differ(*(as_json(settings) for settings, _ in read))
    console.print(f"A: {options.a}\nB: {options.b}\n", soft_wrap=True, highlight=False, markup=False)
    _print_settings(differences, console)
    console.print(figures_table(sides[0], sides[1], names_of(differences)))
    for text in (footnote(differences), DEFINITION):
        if text:
            console.print(text, highlight=False, markup=False)


def figures_table(a: Side, b: Side, unlike: str = "") -> Table:
    """Every figure of either run, in A's order, for a terminal of 80 columns.

    `unlike`: the settings in which the runs differ; verdicts across them are marked with *.
    """
    title = "Figures: medians of the repeats" + (", of runs that were not run alike" if unlike else "")
    mark = "*" if unlike else ""
    columns = ("", "Figure", "A", "B", "B less A", f"More than\nchance{mark}")
    table = new_table(title, columns, text=(0, 1), folds=(1,), min_width=len(title) + 1)
    in_a, in_b = ({(figure.subject, figure.name): figure for figure in side} for side in (a, b))
    for subject in dict.fromkeys(figure.subject for figure in [*a, *b]):
        for cells in _rows(subject, in_a, in_b, mark):
            table.add_row(*cells)
        table.add_section()
    return table


def _rows(subject: str, in_a: Figures, in_b: Figures, mark: str) -> Iterator[list[str]]:
    """A row per figure of the subject; one line where only one of the runs has it at all."""
    names = [name for of, name in dict.fromkeys([*in_a, *in_b]) if of == subject]
    sides = [side for side, figures in (("A", in_a), ("B", in_b)) if any(of == subject for of, _ in figures)]
    if len(sides) == 1:
        yield [subject, f"only in {sides[0]}", NONE, NONE, NONE, NONE]
        return
    for index, name in enumerate(names):
        cells = _cells(in_a.get((subject, name)), in_b.get((subject, name)), mark)
        yield [subject if index == 0 else "", name, *cells]


def _cells(a: Figure | None, b: Figure | None, mark: str) -> list[str]:
    shown = [NONE if each is None else _number(each.stats.median, each.decimals) for each in (a, b)]
    if a is None or b is None:
        return [*shown, NONE, NONE]
    difference = _number(b.stats.median - a.stats.median, a.decimals, signed=True)
    return [*shown, difference, judge(a, b) + mark]


def judge(a: Figure, b: Figure) -> str:
    """Whether the figures differ by more than chance, in a word of VERDICTS."""
    if a.theory is None and _overlap_often_enough(a.stats, b.stats):
        return VERDICTS[agreement.AGREE]
    return VERDICTS[agreement.compare_pair(a, b).verdict]


def _overlap_often_enough(a: RunStats, b: RunStats) -> bool:
    """Whether as many repeats overlap as could have parted by more than chance."""
    enough = statistics.chance_of_separation(a.count, b.count) <= statistics.SEPARATION_CHANCE
    return enough and a.low <= b.high and b.low <= a.high


def _number(value: float, decimals: int | None, signed: bool = False) -> str:
    decimals = decimals or (1 if abs(value) >= 10 else 2)
    return f"{value:{'+' if signed else ''}.{decimals}f}"


def _print_settings(differences: Sequence[Difference], console: Console) -> None:
    console.print(opening(differences), highlight=False, markup=False)
    console.print()
    if not differences:
        return
    title = "Settings that differ"
    table = new_table(title, ("Setting", "A", "B"), text=(0, 1, 2), folds=(1, 2), min_width=len(title) + 1)
    for each in differences:
        table.add_row(each.name, each.a, each.b)
    console.print(table)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m experiments diff",
        description="Set two runs of one experiment side by side: settings that differ, figures, what is more than "
        "chance.",
        epilog="example: python -m experiments diff results/20250131-142500 results/20250201-091500",
    )
    parser.add_argument("a", type=Path, metavar="A", help="a run folder")
    parser.add_argument("b", type=Path, metavar="B", help="another")
    return parser
