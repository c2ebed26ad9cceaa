"""`python -m experiments diff A B`: two runs of one experiment side by side, and what is more than chance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cli import Parser, UsageError
from experiments.compare import agreement
from experiments.experiment import Experiment, Figure, experiment_of, read_finished
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

UNLIKE_BY_NATURE = ("command", "started_at", "rate_reason", "machine.load average at the start (1, 5, 15 min)")
"""Settings that belong to the moment, or repeat others."""

OF_CHANCE = ("repeats", "seed", "topologies")
"""Settings that change how often figures are measured, with which chance, or what is measured besides: not them."""

Figures = Mapping[tuple[str, str], Figure]
"""Subject and name -> the figure."""


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in both runs, by its dotted name, and its values."""

    name: str
    a: str
    b: str


def main(arguments: Sequence[str], console: Console) -> None:
    """Runs the command. Raises CommandError."""
    parser = Parser(
        prog="python -m experiments diff",
        description="Set two runs of one experiment side by side: settings that differ, figures, what is more than "
        "chance.",
        epilog="example: python -m experiments diff results/20250131-142500 results/20250201-091500",
    )
    parser.add_argument("a", type=Path, metavar="A", help="a run folder")
    parser.add_argument("b", type=Path, metavar="B", help="another")
    options = parser.parse_args(arguments)
    experiment = same_experiment(options.a, options.b)
    with console.status("computing the figures of both runs"):
        read = [read_finished(experiment, folder) for folder in (options.a, options.b)]
        report = experiment.report
        a, b = ([*report.figures(report.summarize(settings, records))] for settings, records in read)
    differences = settings_that_differ(*(as_json(settings) for settings, _ in read))
    console.print(f"A: {options.a}\nB: {options.b}\n", soft_wrap=True, highlight=False, markup=False)
    console.print(f"{opening(differences)}\n", highlight=False, markup=False)
    if differences:
        console.print(_settings_table(differences))
    console.print(figures_table(a, b, shaping(differences)))
    for text in filter(None, (footnote(differences), DEFINITION)):
        console.print(text, highlight=False, markup=False)


def same_experiment(a: Path, b: Path) -> Experiment[Any, Any, Any]:
    """The experiment of two run folders. Raises UsageError when they are not two runs of one experiment."""
    first, second = experiment_of(a), experiment_of(b)
    if first is not second:
        names = (first.name, second.name)
        raise UsageError(f"{a} is a run of {names[0]!r} and {b} one of {names[1]!r}: give two runs of one experiment")
    return first


# What differs in the settings


def settings_that_differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Each setting that is not the same in both, nested ones by a dotted name.

    Topologies that only one run has are one difference; those that both have are compared field by field.
    """
    plans_a, plans_b = ({plan["name"]: plan for plan in settings.get("topologies", [])} for settings in (a, b))
    common = [name for name in plans_a if name in plans_b]
    flat_a, flat_b = (
        dict(_flat({**settings, "topologies": [plans[name] for name in common]}))
        for settings, plans in ((a, plans_a), (b, plans_b))
    )
    names = [name for name in dict.fromkeys([*flat_a, *flat_b]) if name not in UNLIKE_BY_NATURE]
    pairs = [Difference(name, flat_a.get(name, NONE), flat_b.get(name, NONE)) for name in names]
    if set(plans_a) != set(plans_b):
        pairs.insert(0, Difference("topologies", ", ".join(plans_a), ", ".join(plans_b)))
    return [pair for pair in pairs if pair.a != pair.b]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Each value below a JSON value with its dotted name; entries of a list that have a name stand under it."""
    if isinstance(value, list) and all(isinstance(entry, dict) and "name" in entry for entry in value):
        value = {entry["name"]: {key: each for key, each in entry.items() if key != "name"} for entry in value}
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    else:
        yield name, f"{value:g}" if isinstance(value, float) else str(value)


def shaping(differences: Sequence[Difference]) -> str:
    """The names of the settings that can shape figures, in a line; empty when there are none."""
    return ", ".join(each.name for each in differences if each.name not in OF_CHANCE)


def opening(differences: Sequence[Difference]) -> str:
    """The first sentence of a comparison of two runs: whether they were run alike, and if not, what was different."""
    if unlike := shaping(differences):
        return f"A and B were not run alike. They differ in: {unlike}."
    if differences:
        return "A and B were run alike, but for what the table names."
    return "Settings, machine and versions are the same."


def footnote(differences: Sequence[Difference]) -> str:
    """What verdicts on two runs that were not run alike mean, and what not; empty when they were."""
    unlike = shaping(differences)
    if not unlike:
        return ""
    return (
        f"* A verdict across different settings ({unlike}): yes says that the figure differs between the two as they "
        "were run; not by which of these, nor that it has changed at equal settings. No says that none is seen."
    )


def _settings_table(differences: Sequence[Difference]) -> Table:
    title, columns = "Settings that differ", ("Setting", "A", "B")
    rows = map(astuple, differences)
    return new_table(title, columns, [rows], text=(0, 1, 2), folds=(1, 2), min_width=len(title) + 1)


# What differs in the figures


def figures_table(a: Sequence[Figure], b: Sequence[Figure], unlike: str = "") -> Table:
    """Every figure of either run, in A's order, for a terminal of 80 columns.

    `unlike`: the settings in which the runs differ; verdicts across them are marked with *.
    """
    title = "Figures: medians of the repeats" + (", of runs that were not run alike" if unlike else "")
    mark = "*" if unlike else ""
    columns = ("", "Figure", "A", "B", "B less A", f"More than\nchance{mark}")
    in_a, in_b = ({(figure.subject, figure.name): figure for figure in side} for side in (a, b))
    groups = (_rows(subject, in_a, in_b, mark) for subject in dict.fromkeys(figure.subject for figure in [*a, *b]))
    return new_table(title, columns, groups, text=(0, 1), folds=(1,), min_width=len(title) + 1)


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
