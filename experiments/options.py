"""Reading a command line: errors are one line that says the bad value, and what is accepted."""

import argparse
import math
import re
import shutil
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from experiments.errors import UsageError

ENGINES = ("flask", "haproxy")
DEFAULT_ENGINE = ENGINES[0]
WIDTH = 80


class HelpText(argparse.HelpFormatter):
    """Help in 80 columns at most, in which lines stay lines: a long one goes on below its own text."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(shutil.get_terminal_size().columns, WIDTH) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(_folded(line, width, indent) for line in text.splitlines())


def _folded(line: str, width: int, indent: str) -> str:
    """The line in so many columns; what follows two spaces in a row within it is a text of its own."""
    text_at = [match.end() for match in re.finditer(r"(?<=\S) {2,}", line)]
    hanging = " " * (text_at[-1] if text_at else len(line) - len(line.lstrip()))
    return textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent + hanging, break_long_words=False)


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, in place of printing its usage and exiting."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**{"formatter_class": HelpText} | values)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with argparse's message and where help is."""
        raise UsageError(f"{message} (--help lists the options)")


def whole_number(text: str) -> int:
    """Read a whole number, 1 or more, for argparse."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 1 to 1000000")
    return value


def worker_count(text: str) -> int:
    """Read a number of workers, 0 to 64, for argparse."""
    value = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= value <= 64:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 0 to 64")
    return value


def number_where(accepted: Callable[[float], bool], wanted: str) -> Callable[[str], float]:
    """Make a reader of numbers for argparse; `wanted` tells the user which are accepted."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not accepted(value):
            raise argparse.ArgumentTypeError(f"{text!r}: give {wanted}")
        return value

    return read


rate_per_s = number_where(lambda value: 0 < value <= 100, "users per second, above 0 and at most 100")
"""A pace of new users: at most Locust's own advice of 100 a second and process."""

service_time_s = number_where(lambda value: 0 <= value < 10, "seconds from 0 to below 10")

steady_seconds = number_where(lambda value: 0 < value <= 600, "seconds, above 0 and at most 600")

offered_rate_per_s = number_where(lambda value: 0 < value <= 300, "requests per second, above 0 and at most 300")
"""An offered rate: at most what one Locust process sends on time."""


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Let the command line choose what carries the requests."""
    parser.add_argument(
        "--engine", choices=ENGINES, default=DEFAULT_ENGINE, help=f"the router's engine (default: {DEFAULT_ENGINE})"
    )
