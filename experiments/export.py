"""`python -m experiments export`: the raw records of all runs of a run folder as one CSV table that names the runs."""

import csv
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from cli import Parser, UsageError
from experiments import EXPERIMENTS
from experiments.results.folders import display_path
from experiments.results.records import record_files
from experiments.results.store import RUN, RowReader, read_experiment

NAMES = [file.name for experiment in EXPERIMENTS for file in record_files(experiment)]
TABLES = {Path(name).stem: name for name in NAMES if name.endswith(".csv")}
"""What can be asked for -> the file of a run; of requests also those of workers and of further kinds of load."""


def main(arguments: Sequence[str], console: Console) -> None:
    """Runs the command. Raises CommandError."""
    parser = Parser(
        prog="python -m experiments export",
        description="Put the raw records of all finished runs of a run folder into one CSV table, with a first column "
        "that names the run.",
        epilog="example: python -m experiments export results/20250131-142500 --out requests.csv",
    )
    parser.add_argument("folder", type=Path, help="the run folder")
    parser.add_argument("--table", choices=TABLES, default="requests", help="which records (default: requests)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to (default: standard output)")
    options = parser.parse_args(arguments)
    read_experiment(options.folder)
    rows = joined(options.folder, TABLES[options.table])
    if options.out is None:
        csv.writer(sys.stdout, lineterminator="\n").writerows(rows)
        return
    head = next(rows)  # what is wrong with the records is found before a file is touched
    with options.out.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(itertools.chain([head], rows))
    console.print(f"written: {display_path(options.out)}", soft_wrap=True, highlight=False, markup=False)


def joined(folder: Path, name: str) -> Iterator[list[str]]:
    """The head, then the rows of that file of every finished run, each with the name of the run's folder before it.

    Raises UsageError where no run has such a file, or where two do not have the same columns.
    """
    stem, suffix = Path(name).stem, Path(name).suffix
    runs = sorted(path.parent for path in folder.glob(f"*/{RUN}"))
    files = [path for run in runs for path in sorted(run.glob(f"{stem}*{suffix}"))]
    heads = {path: head for path in files if (head := next(RowReader(path).read(), None)) is not None}
    if not heads:
        raise UsageError(f"{folder}: no finished run in it has a {name}")
    first, columns = next(iter(heads.items()))
    for path, head in heads.items():
        if head != columns:
            raise UsageError(f"{path}: its columns are not those of {first}: they cannot stand in one table")
    yield ["run", *columns]
    for path in heads:
        yield from ([path.parent.name, *row] for row in itertools.islice(RowReader(path).read(), 1, None))
