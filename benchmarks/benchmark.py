"""What every benchmark shares: the options of its command, and its run, which has a folder and leaves no process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.programs import Programs, require
from benchmarks.records import RunFolder
from cli import Parser, number_reader, whole_number
from experiments.testbed.signals import stop_on_signals

MAX_LENGTH_S = 600

length_s = number_reader(float, lambda value: 0 < value <= MAX_LENGTH_S, f"seconds, above 0 and at most {MAX_LENGTH_S}")


def new_parser(name: str, text: str, seconds: float | None = None, repeats: int | None = None) -> Parser:
    """Returns a parser with --out, and --seconds and --repeats where a default is given."""
    command = f"python -m benchmarks {name}"
    parser = Parser(prog=command, description=text, epilog=f"example: {command}")
    out_help = "where the records go (default: results/bench-<date>)"
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=out_help)
    if seconds is not None:
        parser.add_argument("--seconds", type=length_s, default=seconds, help="length (default: %(default)g)")
    if repeats is not None:
        parser.add_argument("--repeats", type=whole_number, default=repeats, help="how often (default: %(default)d)")
    return parser


@contextmanager
def benchmark_run(out: Path | None, *required: str) -> Iterator[tuple[RunFolder, Programs]]:
    """Makes the run's folder and starts no program yet; all that are started end with the block.

    Raises UsageError where a required program is missing or the folder cannot be made.
    """
    require(*required)
    folder = RunFolder.make(out)
    with stop_on_signals() as stop, Programs(folder.path, stop) as programs:
        yield folder, programs
