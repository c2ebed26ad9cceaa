"""The options that all benchmarks share."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cli import Parser, float_reader, whole_number

LONGEST_S = 600


length_s = float_reader(lambda value: 0 < value <= LONGEST_S, f"seconds, above 0 and at most {LONGEST_S}")


def parser(name: str, text: str, seconds: float | None = None, repeats: int | None = None) -> Parser:
    """Return a parser with --out, and --seconds and --repeats where a default is given."""
    made = Parser(prog=f"python -m benchmarks {name}", description=text, epilog=f"example: python -m benchmarks {name}")
    made.add_argument("--out", type=Path, metavar="FOLDER", help="where the records go (default: results/bench-<date>)")
    if seconds is not None:
        made.add_argument("--seconds", type=length_s, default=seconds, help="length (default: %(default)g)")
    if repeats is not None:
        made.add_argument("--repeats", type=whole_number, default=repeats, help="how often (default: %(default)d)")
    return made


def parse(made: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; raises UsageError."""
    return made.parse_args(list(arguments))
