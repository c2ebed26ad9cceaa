"""`python -m experiments diff A B`: two runs of one experiment side by side, and what is more than chance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from itertools import count
from math import comb, hypot, sqrt
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from cli import Parser, UsageError
from experiments.experiment import Experiment, Figure, experiment_of, read_finished, require_used
from experiments.options import MARGINS, add_margins, chosen_margins
from experiments.page.tables import new_table
from experiments.page.text import NONE
from experiments.results.records import PreflightFigures
from experiments.results.store import as_json
from experiments.theory.multiplicity import corrected
from experiments.theory.verdicts import FEWEST_TO_BE_EQUAL, FEWEST_TO_DIFFER, LEVEL, judge

DEFINITION = (
    "A and B: means of the repeats; the interval is that of B less A. Different: chance alone makes so great a "
    "difference, in any figure of the table, in 5 % of cases at most. Equal: the 90 % interval lies within the margin."
)

DIFFERENT, EQUAL, NOT_DECIDED = "different", "equal", "not decided"
BY_THEORY, UNLIKE = "~", "*"
"""Marks behind a verdict."""

RELATIVE = "relative_percent"
"""The field of Margins that figures without a margin of their own go by."""

TINY = 1e-9
"""The margin of figures that are 0 throughout: the same is equal."""

UNLIKE_BY_NATURE = (
    "command", "started_at", "rate_reason", "machine.load average at the start (1, 5, 15 min)",
    *(f"margins.{name}" for name in MARGINS), *(f"server.preflight.{each.name}" for each in fields(PreflightFigures)),
)  # fmt: skip
"""Settings that belong to the moment, repeat others, or shape no figure."""

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
    add_margins(parser, *MARGINS, whose="A's")
    options = parser.parse_args(arguments)
    experiment = same_experiment(options.a, options.b)
    require_used(options, tuple(dict.fromkeys([*experiment.margins, RELATIVE])), experiment)
    with console.status("computing the figures of both runs"):
        read = [read_finished(experiment, folder) for folder in (options.a, options.b)]
        margins = chosen_margins(options, read[0][0].margins)
        report = experiment.report
        a, b = (
            {
                (figure.subject, figure.name): figure
                for figure in report.figures(report.summarize(replace(settings, margins=margins), records))
            }
            for settings, records in read
        )
    differences = settings_that_differ(*(as_json(settings) for settings, _ in read))
    judged = judge_figures(a, b, margins.relative_percent)
    console.print(f"A: {options.a}\nB: {options.b}\n", soft_wrap=True, highlight=False, markup=False)
    console.print(f"{opening(differences)}\n", highlight=False, markup=False)
    if differences:
        console.print(_settings_table(differences))
    console.print(figures_table(a, b, judged, shaping(differences)))
    for text in (DEFINITION, *notes(judged), *footnotes(differences, judged)):
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

    Topologies that only one run has are one difference, and their routers none; those that both have are compared
    field by field.
    """
    plans_a, plans_b = ({plan["name"]: plan for plan in settings.get("topologies", [])} for settings in (a, b))
    common = [name for name in plans_a if name in plans_b]
    flat_a, flat_b = (
        dict(_flat(_only(settings, [plans[name] for name in common])))
        for settings, plans in ((a, plans_a), (b, plans_b))
    )
    names = [name for name in dict.fromkeys([*flat_a, *flat_b]) if name not in UNLIKE_BY_NATURE]
    pairs = [Difference(name, flat_a.get(name, NONE), flat_b.get(name, NONE)) for name in names]
    if set(plans_a) != set(plans_b):
        pairs.insert(0, Difference("topologies", ", ".join(plans_a), ", ".join(plans_b)))
    return [pair for pair in pairs if pair.a != pair.b]


def _only(settings: Mapping[str, Any], plans: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The settings with these deployments alone, and their routers."""
    routers = {plan.get("router") for plan in plans}
    own = [each for each in settings.get("routers", []) if each["name"] in routers]
    return {**settings, "topologies": plans, "routers": own}


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


def _settings_table(differences: Sequence[Difference]) -> Table:
    title, columns = "Settings that differ", ("Setting", "A", "B")
    rows = map(astuple, differences)
    return new_table(title, columns, [rows], text=(0, 1, 2), folds=(1, 2), min_width=len(title) + 1)


# What differs in the figures


@dataclass(frozen=True)
class JudgedFigure:
    """A figure of both runs, and whether it differs by more than chance."""

    difference: float
    """Mean of B less mean of A."""
    low: float | None
    """Lower end of its 90 % interval; None where the repeats are too few for one."""
    high: float | None
    margin: float
    """Differences smaller than this count as none."""
    p_value: float
    by_theory: bool
    """Whether interval and p-value are by theory's spread of single runs, the repeats being too few."""
    can_differ: bool
    """Whether any outcome of so many repeats would have been called different."""
    corrected_p: float = 1.0
    """With all figures of the table taken into account."""

    @property
    def can_decide(self) -> bool:
        """Whether so many repeats could have had a verdict at all."""
        return self.low is not None

    @property
    def verdict(self) -> str:
        """DIFFERENT, EQUAL or NOT_DECIDED."""
        if self.low is not None and self.high is not None and -self.margin < self.low and self.high < self.margin:
            return EQUAL
        return DIFFERENT if self.corrected_p <= LEVEL else NOT_DECIDED

    @property
    def is_lost_to_correction(self) -> bool:
        """Whether it would be different, were it the only figure."""
        return self.verdict == NOT_DECIDED and self.p_value <= LEVEL


def judge_figures(a: Figures, b: Figures, margin_percent: float) -> dict[tuple[str, str], JudgedFigure]:
    """Judges every figure that both runs have; many at once find a difference by chance, so p-values are corrected.

    `margin_percent`: of the greater mean, the margin of figures without one of their own.
    """
    both = [key for key in a if key in b and _is_judgeable(a[key]) and _is_judgeable(b[key])]
    judged = {key: _judge(a[key], b[key], margin_percent) for key in both}
    counted = [key for key, figure in judged.items() if figure.can_differ]
    p_values = dict(zip(counted, corrected([judged[key].p_value for key in counted]), strict=True))
    return {key: replace(figure, corrected_p=p_values.get(key, 1.0)) for key, figure in judged.items()}


def _judge(a: Figure, b: Figure, margin_percent: float) -> JudgedFigure:
    values_a, values_b = _values(a), _values(b)
    relative = margin_percent / 100 * max(abs(fmean(values_a)), abs(fmean(values_b)))
    margin = max(relative, a.least_margin) if a.margin is None else a.margin
    if min(len(values_a), len(values_b)) < FEWEST_TO_DIFFER and (deviation := _deviation_by_theory(a, b)):
        spread = NormalDist(fmean(values_b) - fmean(values_a), deviation)
        p_value = 2 * min(spread.cdf(0), 1 - spread.cdf(0))
        return JudgedFigure(spread.mean, spread.inv_cdf(0.05), spread.inv_cdf(0.95), margin, p_value, True, True)
    found = judge(values_b, values_a, margin, more_is_better=True, paired=False)
    rarest = 2 / comb(len(values_a) + len(values_b), len(values_a))
    can_differ = rarest <= LEVEL and len({*values_a, *values_b}) > 1
    return JudgedFigure(found.difference, found.low, found.high, max(margin, TINY), found.p_value, False, can_differ)


def _is_judgeable(figure: Figure) -> bool:
    return bool(figure.values) or figure.stats.count == 1


def _values(figure: Figure) -> Sequence[float]:
    return figure.values or (figure.stats.median,)


def _deviation_by_theory(a: Figure, b: Figure) -> float:
    """The standard deviation of the difference of the means, by theory; 0 without it."""
    if a.theory is None or b.theory is None:
        return 0.0
    return hypot(*(each.theory.deviation / sqrt(len(_values(each))) for each in (a, b) if each.theory is not None))


def notes(judged: Mapping[tuple[str, str], JudgedFigure]) -> Iterator[str]:
    """How many differences so many figures bring by chance, and what the correction for it costs."""
    counted = [figure for figure in judged.values() if figure.can_differ]
    if len(counted) < 2:
        return
    yield (
        f"Of {len(counted)} figures that could differ, chance alone would make about {len(counted) * LEVEL:.2g} "
        "different at 5 % each; the verdicts are corrected for that (Holm)."
    )
    if lost := [f"{subject}: {name}" for (subject, name), figure in judged.items() if figure.is_lost_to_correction]:
        yield f"Different by themselves, not decided among so many: {'; '.join(lost)}."
    if lost and not all(figure.by_theory for figure in counted):
        enough = next(n for n in count(FEWEST_TO_DIFFER) if 2 * len(counted) / comb(2 * n, n) <= LEVEL)
        yield f"Among so many figures repeats alone can show a difference from {enough} of each on."


def footnotes(differences: Sequence[Difference], judged: Mapping[tuple[str, str], JudgedFigure]) -> Iterator[str]:
    """What dashes and the marks behind verdicts mean."""
    if not all(figure.can_decide for figure in judged.values()):
        yield f"Too few repeats decide nothing, and have no verdict: it takes {FEWEST_TO_BE_EQUAL} of each at least."
    if any(figure.by_theory for figure in judged.values()):
        yield (
            f"{BY_THEORY} Too few repeats to judge by: interval and verdict rest on how far single runs vary by theory."
        )
    if unlike := shaping(differences):
        yield (
            f"{UNLIKE} A verdict across different settings ({unlike}): different says that the figure differs between "
            "the two as they were run; not by which of these, nor that it has changed at equal settings."
        )


def figures_table(a: Figures, b: Figures, judged: Mapping[tuple[str, str], JudgedFigure], unlike: str = "") -> Table:
    """Every figure of either run, in A's order, for a terminal of 80 columns.

    `unlike`: the settings in which the runs differ; verdicts across them are marked.
    """
    title = "Figures: means of the repeats" + (", of runs that were not run alike" if unlike else "")
    columns = ("", "Figure", "A", "B", "B less A", "90 % interval", "Verdict")
    table = FiguresTable(a, b, judged, UNLIKE if unlike else "")
    groups = (table.rows(subject) for subject in dict.fromkeys(subject for subject, _ in [*a, *b]))
    return new_table(title, columns, groups, text=(0, 1, 6), folds=(0, 1), min_width=len(title) + 1)


@dataclass(frozen=True)
class FiguresTable:
    """The rows of the table of figures."""

    a: Figures
    b: Figures
    judged: Mapping[tuple[str, str], JudgedFigure]
    mark: str
    """Goes behind every verdict."""

    def rows(self, subject: str) -> Iterator[list[str]]:
        """A row per figure of the subject; one line where only one of the runs has it at all."""
        names = [name for of, name in dict.fromkeys([*self.a, *self.b]) if of == subject]
        sides = [side for side, figures in (("A", self.a), ("B", self.b)) if any(of == subject for of, _ in figures)]
        if len(sides) == 1:
            yield [subject, f"only in {sides[0]}", *[NONE] * 5]
            return
        for index, name in enumerate(names):
            yield [subject if index == 0 else "", name, *self._cells((subject, name))]

    def _cells(self, key: tuple[str, str]) -> list[str]:
        figures = [side.get(key) for side in (self.a, self.b)]
        decimals = next(figure.decimals for figure in figures if figure is not None)
        shown = [NONE if each is None else _number(fmean(_values(each)), decimals) for each in figures]
        if (judged := self.judged.get(key)) is None:
            return [*shown, *[NONE] * 3]
        if judged.low is None or judged.high is None:
            return [*shown, _number(judged.difference, decimals, "+"), NONE, NONE]
        interval = f"{_number(judged.low, decimals, '+')}, {_number(judged.high, decimals, '+')}"
        verdict = judged.verdict + (BY_THEORY if judged.by_theory else "") + self.mark
        return [*shown, _number(judged.difference, decimals, "+"), interval, verdict]


def _number(value: float, decimals: int | None, sign: str = "") -> str:
    decimals = decimals or (1 if abs(value) >= 10 else 2)
    return f"{value:{sign}.{decimals}f}"
