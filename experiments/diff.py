"""`python -m experiments diff A B`: two runs of one experiment side by side, and what is more than chance."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cli import Parser
from experiments.blocking import records as blocking_records
from experiments.blocking.figures import PointFigures
from experiments.blocking.figures import summarize as summarize_blocking
from experiments.compare import agreement, records
from experiments.compare.summarize import summarize
from experiments.compare.summary import TopologySummary
from experiments.diff_settings import (
    NONE,
    Difference,
    footnote,
    names_of,
    opening,
    read_both,
    settings_that_differ,
)
from experiments.failover import records as scorecard_records
from experiments.failover import tables as scorecard_tables
from experiments.failover.summarize import summarize as summarize_failover
from experiments.failover.summary import TopologySummary as BrokenTopology
from experiments.results import statistics
from experiments.results.statistics import RunStats, aggregate
from experiments.theory.first_failure import Spread

VERDICTS = {agreement.DIFFER: "yes", agreement.AGREE: "no", agreement.NOT_DECIDED: "not decided"}
"""Whether a difference is more than chance, in the table's words."""

DEFINITION = (
    "More than chance: yes where the repeats' ranges do not overlap and chance alone hardly parts so many runs (from 4 "
    "of each on; at 4 of each chance alone makes 1 figure in 35 a yes), or where theory expects A and B to differ and "
    "they are further apart than medians of so many runs vary by it; no (none is seen, which proves no equality) "
    "where they are nearer than that, or so many runs overlap; not decided where neither says enough."
)


@dataclass(frozen=True)
class Figure:
    """One figure of one run, as far as a difference to another run's can be judged."""

    subject: str
    """What it is of: a topology, a point."""
    name: str
    """With its unit."""
    slots: int
    repeats: RunStats
    theory: Spread | None = None
    """How far single runs vary by theory, where there is one."""
    decimals: int | None = None
    """How it is written; None: by its size."""


Side = list[Figure]
Figures = Mapping[tuple[str, str], Figure]
"""Subject and name -> the figure."""


def main(arguments: Sequence[str], console: Console) -> None:
    """Run the command. Raises CommandError."""
    options = _parser().parse_args(arguments)
    kind, *settings = read_both(options.a, options.b)
    differences = settings_that_differ(*settings)
    with console.status("computing the figures of both runs"):
        sides = [SIDES[kind](folder) for folder in (options.a, options.b)]
    console.print(f"A: {options.a}\nB: {options.b}\n", soft_wrap=True, highlight=False, markup=False)
    _print_settings(differences, console)
    console.print(figures_table(sides[0], sides[1], names_of(differences)))
    for text in (footnote(differences), DEFINITION):
        if text:
            console.print(text, highlight=False, markup=False)


def compare_side(folder: Path) -> Side:
    """The figures of a comparison."""
    summary = summarize(records.read_settings(folder), records.read_runs(folder))
    return [figure for topology in summary.topologies for figure in _topology_figures(topology)]


def blocking_side(folder: Path) -> Side:
    """The figures of a blocking run; invalid points have none."""
    settings = blocking_records.read_settings(folder)
    summary = summarize_blocking(settings, blocking_records.read_points(folder))
    return [_gap(point) for point in summary.points if not point.invalid]


def failover_side(folder: Path) -> Side:
    """The figures of a failover run: the scorecard's, and the requests lost in each fault."""
    settings = scorecard_records.read_settings(folder)
    summary = summarize_failover(settings, scorecard_records.read_fault_runs(folder))
    return [figure for topology in summary.topologies for figure in _scorecard_figures(topology)]


SIDES: dict[str, Callable[[Path], Side]] = {
    "compare": compare_side,
    blocking_records.BLOCKING: blocking_side,
    scorecard_records.FAILOVER: failover_side,
}
"""Experiment, as its settings name it -> the figures that two of its runs are compared by."""


def _topology_figures(topology: TopologySummary) -> Iterable[Figure]:
    theory = topology.theory
    latency_s = aggregate(run.median_latency_s for run in topology.runs if run.median_latency_s is not None)
    known = (
        ("RPS at first failure", topology.rate_at_first_failure_per_s, theory.rate_per_s),
        ("users at first failure", topology.users, theory.users),
        ("time to it, s", topology.time_s, theory.time_s),
        ("median latency, s", latency_s, None),
    )
    for name, repeats, spread in known:
        if repeats is not None:
            yield Figure(topology.topology, name, topology.slots, repeats, spread if topology.saturated else None)


def _scorecard_figures(topology: BrokenTopology) -> Iterable[Figure]:
    for label, name, _ in scorecard_tables.ROWS:
        repeats = topology.figures[name]
        if repeats is not None and "availability" in name:
            yield Figure(topology.topology, f"{label}, %", topology.slots, _in_percent(repeats), decimals=2)
        elif repeats is not None:
            yield Figure(topology.topology, label.strip(), topology.slots, repeats)
    for fault in dict.fromkeys(window.fault for window in topology.windows):
        lost = aggregate(window.lost for window in topology.cell(fault) if window.valid)
        if lost is not None:
            yield Figure(topology.topology, f"lost: {fault}", topology.slots, lost)


def _in_percent(share: RunStats) -> RunStats:
    return RunStats(100 * share.median, 100 * share.low, 100 * share.high, share.count)


def _gap(point: PointFigures) -> Figure:
    """Its gap to Erlang B, in percentage points: 0 by theory; how far it varies is the interval's matter."""
    middle, low, high = (100 * (share - point.erlang_b) for share in (point.refused_share, point.low, point.high))
    subject = f"{point.slots} slots, {point.aimed_blocking:.0%}"
    spread = Spread(0.0, low - middle, high - middle)
    return Figure(subject, "gap to Erlang B, %", point.slots, RunStats(middle, middle, middle, 1), spread)


def figures_table(a: Side, b: Side, unlike: str = "") -> Table:
    """Every figure of either run, in A's order, for a terminal of 80 columns.

    `unlike`: the settings in which the runs differ; verdicts across them are marked with *.
    """
    title = "Figures: medians of the repeats" + (", of runs that were not run alike" if unlike else "")
    mark = "*" if unlike else ""
    table = _table(title, ("", "Figure", "A", "B", "B less A", f"More than\nchance{mark}"), left=2)
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
    for place, name in enumerate(names):
        cells = _cells(in_a.get((subject, name)), in_b.get((subject, name)), mark)
        yield [subject if place == 0 else "", name, *cells]


def _cells(a: Figure | None, b: Figure | None, mark: str) -> list[str]:
    shown = [NONE if each is None else _number(each.repeats.median, each.decimals) for each in (a, b)]
    if a is None or b is None:
        return [*shown, NONE, NONE]
    difference = _number(b.repeats.median - a.repeats.median, a.decimals, signed=True)
    return [*shown, difference, judge(a, b) + mark]


def judge(a: Figure, b: Figure) -> str:
    """Whether the figures differ by more than chance, in a word of VERDICTS."""
    if a.theory is None and _overlap_often_enough(a.repeats, b.repeats):
        return VERDICTS[agreement.AGREE]
    sides = [
        agreement.Measured(side, figure.slots, figure.repeats, figure.theory)
        for side, figure in zip("AB", (a, b), strict=True)
    ]
    return VERDICTS[agreement.compare_pair(*sides).verdict]


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
    table = _table("Settings that differ", ("Setting", "A", "B"), left=3)
    for each in differences:
        table.add_row(each.name, each.a, each.b)
    console.print(table)


def _table(title: str, columns: Sequence[str], left: int) -> Table:
    """A table whose first `left` columns are text; where there is not the room, all but the first of them fold."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0),
        min_width=len(title) + 1,
    )  # fmt: skip
    for place, column in enumerate(columns):
        is_text = place < left
        table.add_column(
            column, justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text or place == 0
        )
    return table


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
