"""`python -m experiments report`: makes summary, charts and report.html from the records of a run folder alone."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cli import Parser
from experiments.blocking import report as blocking_report
from experiments.blocking.records import BLOCKING
from experiments.compare import report as compare_report
from experiments.experiment import report_on
from experiments.failover import report as scorecard
from experiments.failover.records import FAILOVER
from experiments.results.store import read_experiment

REPORTERS = {FAILOVER: scorecard.REPORTER, BLOCKING: blocking_report.REPORTER}
"""Experiment -> what reports on it; any other is a comparison, or nothing that can be read as one."""


def main(arguments: Sequence[str], console: Console) -> None:
    """Run the command. Raises CommandError."""
    parser = Parser(
        prog="python -m experiments report",
        description="Make summary.json, charts and report.html again from the records in a run folder.",
        epilog="example: python -m experiments report results/20250131-142500",
    )
    parser.add_argument("folder", type=Path, help="the run folder")
    folder: Path = parser.parse_args(arguments).folder
    report_on(folder, REPORTERS.get(read_experiment(folder), compare_report.REPORTER), console)
