"""The rules that every command keeps: a user's mistake is one line on stderr and exit status 2."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

USER_ERROR = 2
INTERRUPTED = 130


class CommandError(Exception):
    """A user's mistake, told in one line: the bad value, where it stands, what to do."""


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage block."""

    def error(self, message: str) -> NoReturn:
        """Raise CommandError with argparse's message and where help is."""
        raise CommandError(f"{message} (--help lists the options)")


def run_command(name: str, main: Callable[[], None]) -> None:
    """Run `main`; a CommandError becomes `name: message` on stderr and exit status 2. Nobody need read stdout."""
    try:
        main()
    except CommandError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        _let_go_of_output()


def _let_go_of_output() -> None:
    """Drop what nobody takes any more: at its end Python would try again, complain and exit with status 120."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def port_number(text: str) -> int:
    """Read a TCP port, 0 to 65535 (0: any free one), for argparse."""
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 0 to 65535")
    return port


def positive_seconds(text: str) -> float:
    """Read a finite time above 0, in seconds, for argparse."""
    return _bounded(text, above=0.0)


def seconds(text: str) -> float:
    """Read a finite time of 0 or more, in seconds, for argparse."""
    return _bounded(text, above=None)


def _bounded(text: str, above: float | None) -> float:
    wanted = "0 or more" if above is None else "more than 0"
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    good = value >= 0 if above is None else value > above
    if not good or value == float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: give seconds, {wanted}")
    return value


def positive_count(text: str) -> int:
    """Read a whole number of 1 or more, for argparse."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a count: give a whole number, 1 or more")
    return value
