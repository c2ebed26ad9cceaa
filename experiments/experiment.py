"""What an experiment is, and how one is run and reported on. What is special to one stands in its folder."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from rich.console import Console
from rich.table import Table

from cli import CommandError, Parser, UsageError
from experiments import EXPERIMENTS
from experiments.options import MARGINS, add_margins, chosen_margins
from experiments.results.folders import PROJECT, display_path, new_folder, require_unused
from experiments.results.records import Settings
from experiments.results.statistics import RunStats
from experiments.results.store import SETTINGS, read_experiment, read_record, write_json
from experiments.theory.first_failure import Spread

SUMMARY = "summary.json"
REPORT = "report.html"

S = TypeVar("S", bound=Settings)
R = TypeVar("R")
M = TypeVar("M")
S_contra = TypeVar("S_contra", contravariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


@dataclass(frozen=True)
class Figure:
    """One figure of one run folder, as far as `diff` can judge its difference to another's."""

    subject: str
    """What it is of: a topology, a point."""
    name: str
    """With its unit."""
    slots: int
    stats: RunStats
    theory: Spread | None = None
    """How far single runs vary by theory, where there is one."""
    decimals: int | None = None
    """How it is written; None: by its size."""
    values: Sequence[float] = ()
    """One per repeat: without them only a figure of a single run can be judged."""
    margin: float | None = None
    """Differences smaller than this count as none; None: the relative margin."""
    least_margin: float = 0.0
    """The relative margin is no less than this."""


class Report(Protocol[S_contra, R_contra, M]):
    """What an experiment's module `report` offers: settings S, records R, summary M."""

    def summarize(self, settings: S_contra, records: R_contra, /) -> M:
        """Computes summary.json: figures, then findings."""

    def page(self, summary: M, records: R_contra, folder: Path, /) -> str:
        """Draws the charts into the run folder and makes report.html, with them inside."""

    def tables(self, summary: M, /) -> Sequence[Table]:
        """The result for a terminal of 80 columns."""

    def sentences(self, summary: M, /) -> Sequence[str]:
        """The result in sentences, the main one first."""

    def figures(self, summary: M, /) -> Iterable[Figure]:
        """What two runs of the experiment are compared by."""


@dataclass(frozen=True)
class Experiment(Generic[S, R, M]):
    """One experiment: settings S, records R, summary M."""

    name: str
    parser: Callable[[], Parser]
    """Makes the command line's parser; `--out` is among its options."""
    plan: Callable[[Namespace, Path, Console], tuple[S, Callable[[Path, Console], None]]]
    """Options and the project's folder -> settings, and what does all runs into a run folder. Raises CommandError.

    A user's own server is measured here, which the console is told: settings go by what it takes."""
    settings: type[S]
    """The class of settings.json."""
    read_runs: Callable[[Path], R]
    """Run folder -> the records of every finished run. Raises UsageError for a damaged file."""
    report: Report[S, R, M]
    """What it makes of them: its module of that name."""
    unit: str = "run"
    """What its run folders hold."""
    margins: Sequence[str] = ()
    """The fields of Margins that its verdicts go by."""


def find_experiment(name: str) -> Experiment[Any, Any, Any]:
    """The experiment of that name, a key of EXPERIMENTS."""
    experiment: Experiment[Any, Any, Any] = import_module(f"experiments.{name}.experiment").EXPERIMENT
    return experiment


def experiment_of(folder: Path) -> Experiment[Any, Any, Any]:
    """The experiment whose records are in a run folder. Raises UsageError when it holds none."""
    name = read_experiment(folder)
    if name not in EXPERIMENTS:
        raise UsageError(f"{folder / SETTINGS}: experiment is {name!r}: accepted: {', '.join(EXPERIMENTS)}")
    return find_experiment(name)


def require_used(options: Namespace, names: Sequence[str], experiment: Experiment[Any, Any, Any]) -> None:
    """Refuses a margin, given by an option of `add_margins`, that is none of these fields. Raises UsageError."""
    for name, (option, _, _) in MARGINS.items():
        if getattr(options, name) is not None and name not in names:
            known = ", ".join(MARGINS[each][0] for each in names)
            raise UsageError(f"argument {option}: {experiment.name} judges by no such margin: give {known}")


def run_experiment(
    experiment: Experiment[Any, Any, Any], arguments: Sequence[str], console: Console, root: Path = PROJECT
) -> None:
    """Runs a whole experiment of the project in `root`: settings, runs, report.

    Raises CommandError, once it has printed where the records are that there are.
    """
    options = experiment.parser().parse_args(arguments)
    if options.out is not None:
        require_unused(options.out)  # before a server is started
    settings, run = experiment.plan(options, root, console)
    folder = new_folder(options.out)
    write_json(folder / SETTINGS, settings)
    try:
        run(folder, console)
    except CommandError:
        console.print(f"Records so far: {display_path(folder)}", soft_wrap=True)
        raise
    report_on(experiment, folder, console)


def read_finished(experiment: Experiment[S, R, Any], folder: Path) -> tuple[S, R]:
    """Settings and records of a run folder in which something was finished. Raises UsageError."""
    settings, records = read_record(experiment.settings, folder / SETTINGS), experiment.read_runs(folder)
    if not records:
        raise UsageError(f"{folder}: no {experiment.unit} in it was finished, so there is nothing to report")
    return settings, records


def report_on(
    experiment: Experiment[Any, Any, Any], folder: Path, console: Console, options: Namespace | None = None
) -> None:
    """Makes the report of a run folder, prints its result and its path; `options` as of write_report.

    Raises UsageError.
    """
    with console.status("computing the figures and drawing the charts"):
        summary = write_report(experiment, folder, options)
    console.print()
    print_summary(experiment, summary, console)
    console.print(f"\nReport: {display_path(folder / REPORT)}", soft_wrap=True, highlight=False, markup=False)


def write_report(experiment: Experiment[Any, Any, M], folder: Path, options: Namespace | None = None) -> M:
    """Leaves summary.json, charts and report.html in a run folder, from its records alone.

    `options`: a command line with other margins than the run's. Raises UsageError.
    """
    settings, records = read_finished(experiment, folder)
    if options is not None:
        settings = replace(settings, margins=chosen_margins(options, settings.margins))
    summary = experiment.report.summarize(settings, records)
    page = experiment.report.page(summary, records, folder)
    write_json(folder / SUMMARY, summary)
    (folder / REPORT).write_text(page, encoding="utf-8")
    return summary


def print_summary(experiment: Experiment[Any, Any, M], summary: M, console: Console) -> None:
    """Prints the tables, then the result in sentences."""
    console.print(*experiment.report.tables(summary))
    for sentence in experiment.report.sentences(summary):
        console.print(sentence, highlight=False, markup=False)


def main(arguments: Sequence[str], console: Console) -> None:
    """Runs `report`: makes summary, charts and report.html of a run folder from its records. Raises UsageError."""
    parser = Parser(
        prog="python -m experiments report",
        description="Make summary.json, charts and report.html again from the records in a run folder.",
        epilog="example: python -m experiments report results/20250131-142500",
    )
    parser.add_argument("folder", type=Path, help="the run folder")
    add_margins(parser, *MARGINS, whose="the run's")
    options = parser.parse_args(arguments)
    experiment = experiment_of(options.folder)
    require_used(options, experiment.margins, experiment)
    report_on(experiment, options.folder, console, options)
