"""`python -m experiments diff A B`: two runs of one experiment side by side, and what is more than chance."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from experiments import agreement, blocking_records, records
from experiments.blocking_figures import PointFigures
from experiments.blocking_figures import summarize as summarize_blocking
from experiments.errors import UsageError
from experiments.metrics import Repeats, over_repeats
from experiments.options import OneLineParser
from experiments.scorecard import records as scorecard_records
from experiments.scorecard import tables as scorecard_tables
from experiments.scorecard.summary import TopologySummary as BrokenTopology
from experiments.scorecard.summary import summarize as summarize_failover
from experiments.summarize import summarize
from experiments.summary import TopologySummary
from experiments.theory import Spread

NONE = "-"
UNLIKE_BY_NATURE = ("command", "started_at", "machine.load average at the start (1, 5, 15 min)")
"""Settings that tell of the moment, or repeat others."""

VERDICTS = {agreement.DIFFER: "yes", agreement.AGREE: "no", agreement.NOT_DECIDED: "not decided"}
"""Whether a difference is more than chance, in the table's words."""

DEFINITION = (
    "More than chance: yes where the repeats' ranges do not overlap and chance alone hardly parts so many runs (from 4 "
    "of each on), or where theory says how far single runs vary and A and B are further apart, at unequal slots; no "
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
    repeats: Repeats
    theory: Spread | None = None
    """How far single runs vary by theory, where there is one."""


Side = list[Figure]


def main(arguments: Sequence[str], console: Console) -> None:
    """Run the command. Raises ExperimentError."""
    options = _parser().parse_args(arguments)
    settings = [_settings(folder) for folder in (options.a, options.b)]
    kinds = [document["experiment"] for document in settings]
    if kinds[0] != kinds[1]:
        raise UsageError(
            f"{options.a} is a run of {kinds[0]!r} and {options.b} one of {kinds[1]!r}: give two runs of one experiment"
        )
    with console.status("computing the figures of both runs"):
        sides = [SIDES[kinds[0]](folder) for folder in (options.a, options.b)]
    console.print(f"A: {options.a}\nB: {options.b}\n", soft_wrap=True, highlight=False, markup=False)
    _tell_settings(settings[0], settings[1], console)
    console.print(figures_table(sides[0], sides[1]))
    console.print(DEFINITION, highlight=False, markup=False)


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
    latency_s = over_repeats(run.median_latency_s for run in topology.runs if run.median_latency_s is not None)
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
        if repeats is not None:
            yield Figure(topology.topology, label.strip(), topology.slots, repeats)
    for fault in dict.fromkeys(window.fault for window in topology.windows):
        lost = over_repeats(window.lost for window in topology.cell(fault) if window.valid)
        if lost is not None:
            yield Figure(topology.topology, f"lost: {fault}", topology.slots, lost)


def _gap(point: PointFigures) -> Figure:
    """Its gap to Erlang B, in percentage points; how far that varies is the interval's matter."""
    middle, low, high = (100 * (share - point.erlang_b) for share in (point.refused_share, point.low, point.high))
    subject = f"{point.slots} slots, {point.aimed_blocking:.0%}"
    return Figure(
        subject, "gap to Erlang B, %", point.slots, Repeats(middle, middle, middle, 1), Spread(middle, low, high)
    )


def figures_table(a: Side, b: Side) -> Table:
    """Every figure of either run, in A's order, for a terminal of 80 columns."""
    table = _table("Figures: medians of the repeats", ("", "Figure", "A", "B", "B less A", "More than\nchance"), left=2)
    in_a, in_b = ({(figure.subject, figure.name): figure for figure in side} for side in (a, b))
    last = ""
    for key in dict.fromkeys([*in_a, *in_b]):
        subject, name = key
        if last and subject != last:
            table.add_section()
        table.add_row(subject if subject != last else "", name, *_cells(in_a.get(key), in_b.get(key)))
        last = subject
    return table


def _cells(a: Figure | None, b: Figure | None) -> list[str]:
    shown = [NONE if figure is None else _number(figure.repeats.median) for figure in (a, b)]
    if a is None or b is None:
        return [*shown, NONE, NONE]
    difference = _number(b.repeats.median - a.repeats.median, signed=True)
    return [*shown, difference, judge(a, b)]


def judge(a: Figure, b: Figure) -> str:
    """Whether the figures differ by more than chance, in a word of VERDICTS."""
    if a.theory is None and _overlap_often_enough(a.repeats, b.repeats):
        return VERDICTS[agreement.AGREE]
    sides = [
        agreement.Measured(side, figure.slots, figure.repeats, figure.theory)
        for side, figure in zip("AB", (a, b), strict=True)
    ]
    return VERDICTS[agreement.compare_pair(*sides).verdict]


def _overlap_often_enough(a: Repeats, b: Repeats) -> bool:
    """Whether as many repeats overlap as could have parted by more than chance."""
    enough = agreement.chance_of_separation(a.count, b.count) <= agreement.CALLED_AT_CHANCE
    return enough and a.low <= b.high and b.low <= a.high


def _number(value: float, signed: bool = False) -> str:
    decimals = 1 if abs(value) >= 10 else 2
    return f"{value:{'+' if signed else ''}.{decimals}f}"


def settings_that_differ(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value in A and value in B of each setting that is not the same in both, nested ones by a dotted name."""
    flat_a, flat_b = dict(_flat(a)), dict(_flat(b))
    names = [name for name in dict.fromkeys([*flat_a, *flat_b]) if name not in UNLIKE_BY_NATURE]
    rows = [(name, flat_a.get(name, NONE), flat_b.get(name, NONE)) for name in names]
    return [row for row in rows if row[1] != row[2]]


def _flat(value: Any, name: str = "") -> Iterable[tuple[str, str]]:
    """Each value below a JSON value with its dotted name; entries of a list that have a name stand under it."""
    if isinstance(value, list) and all(isinstance(entry, dict) and "name" in entry for entry in value):
        value = {entry["name"]: {key: each for key, each in entry.items() if key != "name"} for entry in value}
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}" if name else str(key))
    else:
        yield name, f"{value:g}" if isinstance(value, float) else str(value)


def _tell_settings(a: dict[str, Any], b: dict[str, Any], console: Console) -> None:
    rows = settings_that_differ(a, b)
    if not rows:
        console.print("Settings, machine and versions are the same.\n")
        return
    table = _table("Settings that differ", ("Setting", "A", "B"), left=3)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _table(title: str, columns: Sequence[str], left: int) -> Table:
    """A table whose first `left` columns are text."""
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left else "right", overflow="fold", no_wrap=place >= left)
    return table


def _settings(folder: Path) -> dict[str, Any]:
    """A run folder's settings as they stand there. Raises UsageError when they are of no known experiment."""
    experiment = records.read_experiment(folder)
    path = folder / records.SETTINGS
    if experiment not in SIDES:
        raise UsageError(f"{path}: experiment is {experiment!r}: accepted: {', '.join(SIDES)}")
    return dict(records.read_json(path))


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m experiments diff",
        description="Set two runs of one experiment side by side: settings that differ, figures, what is more than "
        "chance.",
        epilog="example: python -m experiments diff results/20250131-142500 results/20250201-091500",
        allow_abbrev=False,
    )
    parser.add_argument("a", type=Path, metavar="A", help="a run folder")
    parser.add_argument("b", type=Path, metavar="B", help="another")
    return parser
