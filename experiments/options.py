"""Options that several experiments have, and what they accept."""

import argparse

from cli import float_reader, number_reader

ENGINES = ("flask", "haproxy")
DEFAULT_ENGINE = ENGINES[0]

worker_count = number_reader(int, lambda value: 0 <= value <= 64, "a whole number from 0 to 64")

rate_per_s = float_reader(lambda value: 0 < value <= 100, "users per second, above 0 and at most 100")
"""A pace of new users: at most Locust's own advice of 100 a second and process."""

service_time_s = float_reader(lambda value: 0 <= value < 10, "seconds from 0 to below 10")

steady_seconds = float_reader(lambda value: 0 < value <= 600, "seconds, above 0 and at most 600")

offered_rate_per_s = float_reader(lambda value: 0 < value <= 300, "requests per second, above 0 and at most 300")
"""An offered rate: at most what one Locust process sends on time."""


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Adds `--engine`, which chooses what carries the requests."""
    parser.add_argument(
        "--engine", choices=ENGINES, default=DEFAULT_ENGINE, help=f"the router's engine (default: {DEFAULT_ENGINE})"
    )
