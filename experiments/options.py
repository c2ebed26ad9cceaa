"""Reading a command line: errors are one line that says the bad value, and what is accepted."""

import argparse
import math
from typing import NoReturn

from experiments.errors import UsageError


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, in place of printing its usage and exiting."""

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


def rate_per_s(text: str) -> float:
    """Read a rate above 0, at most Locust's own advice of 100 users per second and process, for argparse."""
    value = _number(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}: give users per second, above 0 and at most 100")
    return value


def service_time_s(text: str) -> float:
    """Read a service time, 0 s or more and below 10 s, for argparse."""
    value = _number(text)
    if not 0 <= value < 10:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds from 0 to below 10")
    return value


def steady_seconds(text: str) -> float:
    """Read a length of time, above 0 s and at most 600 s, for argparse."""
    value = _number(text)
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds, above 0 and at most 600")
    return value


def offered_rate_per_s(text: str) -> float:
    """Read an offered rate, above 0 and at most what one Locust process sends on time, for argparse."""
    value = _number(text)
    if not 0 < value <= 300:
        raise argparse.ArgumentTypeError(f"{text!r}: give requests per second, above 0 and at most 300")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
