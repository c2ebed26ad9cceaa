"""Options that several experiments have: what they accept, and their words in `--help`."""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path

from cli import number_reader, option_words, whole_number

ENGINES = ("flask", "haproxy")
DEFAULT_ENGINE = ENGINES[0]
DEFAULT_TOPOLOGIES = ("single", "2active", "3active")
DEFAULT_CAPACITY = 10
"""Of a predictor whose entry names none."""

POST_WAIT_S = (1.0, 5.0)
"""The wait of the locustfile's users between two requests, least and most, as in the post."""

worker_count = number_reader(int, lambda value: 0 <= value <= 64, "a whole number from 0 to 64")

rate_per_s = number_reader(float, lambda value: 0 < value <= 100, "users per second, above 0 and at most 100")
"""A pace of new users: at most Locust's own advice of 100 a second and process."""

service_time_s = number_reader(float, lambda value: 0 <= value < 10, "seconds from 0 to below 10")

steady_seconds = number_reader(float, lambda value: 0 < value <= 600, "seconds, above 0 and at most 600")

offered_rate_per_s = number_reader(
    float, lambda value: 0 < value <= 300, "requests per second, above 0 and at most 300"
)
"""An offered rate: at most what one Locust process sends on time."""


def add_topologies(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds `--topologies`; `what` they are for stands in its help."""
    parser.add_argument(
        "--topologies", nargs="+", action="extend", metavar="NAME|PATH",
        help=f"{what}, with commas or spaces between (default: {','.join(DEFAULT_TOPOLOGIES)})",
    )  # fmt: skip


def add_service_time(parser: argparse.ArgumentParser, default: float) -> None:
    """Adds `--service-time`."""
    parser.add_argument(
        "--service-time", type=service_time_s, default=default, metavar="S",
        help=f"seconds a prediction takes (default: {default:g})",
    )  # fmt: skip


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """Adds `--threshold`."""
    parser.add_argument(
        "--threshold", type=whole_number, default=DEFAULT_CAPACITY, metavar="N",
        help=f"capacity of a predictor whose entry names none (default: {DEFAULT_CAPACITY})",
    )  # fmt: skip


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Adds `--engine`, which chooses what carries the requests."""
    parser.add_argument(
        "--engine", choices=ENGINES, default=DEFAULT_ENGINE, help=f"the router's engine (default: {DEFAULT_ENGINE})"
    )


def add_out(parser: argparse.ArgumentParser) -> None:
    """Adds `--out`."""
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="new folder for records and report (default: results/<date-time>)"
    )


def repeating_command(name: str, options: Mapping[str, object], *flags: str) -> str:
    """The command line that repeats an experiment, with every option that shapes its figures written out."""
    return shlex.join(["python", "-m", "experiments", name, *flags, *option_words(options)])
