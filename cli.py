"""The command-line kit of every program here: one-line errors, exit status, number readers, help in 80 columns.

Imports the standard library alone, so that a `--help` or a mistake costs no start-up time.
"""

import argparse
import os
import re
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

WIDTH = 80
INTERRUPTED = 128 + signal.SIGINT


class CommandError(Exception):
    """A command that cannot go on; the text is one line for the user, or a line and the last lines of a log."""

    exit_status = 1


class UsageError(CommandError):
    """A user's mistake, in one line: the bad value, where it stands, what is accepted."""

    exit_status = 2


Command = Callable[[Sequence[str]], None]
"""Runs with the arguments after its name; raises CommandError."""


R = TypeVar("R")


def run_command(name: str, main: Callable[[], R]) -> R:
    """Runs `main`; a CommandError becomes `name: message` on stderr and its exit status; stdout may go unread."""
    try:
        return main()
    except CommandError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        _discard_unread_output()


def run_subcommand(program: str, commands: Mapping[str, tuple[Command, str]], arguments: Sequence[str]) -> int:
    """Runs the command of `python -m program` that `arguments` name first; returns the exit status.

    `commands`: name -> (what runs, what it does in a few words); help shows the first as its example. The status
    is 0, 1 (could not go on), 2 (a user's mistake) or 128 + signal.
    """
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        print(_usage(program, commands))
        return 0
    if name not in commands:
        wanted = f"unknown command {name!r}" if name else "no command"
        print(f"{program}: {wanted}: give {' or '.join(commands)} (--help lists them)", file=sys.stderr)
        return UsageError.exit_status
    try:
        commands[name][0](rest)
    except CommandError as error:
        print(f"{program} {name}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"\n{program} {name}: stopped by SIGINT", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has gone, and wants no more
        return CommandError.exit_status
    except OSError as error:
        print(f"{program} {name}: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return CommandError.exit_status
    return 0


def _usage(program: str, commands: Mapping[str, tuple[Command, str]]) -> str:
    lines = [f"  {name:12}{text}" for name, (_, text) in commands.items()]
    example = f"example: python -m {program} {next(iter(commands))}"
    return "\n".join([f"usage: python -m {program} COMMAND [options]", "", *lines, "", example])


def _discard_unread_output() -> None:
    """Drops output without a reader: at its end Python would write it again, complain and exit with status 120."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class HelpFormatter(argparse.HelpFormatter):
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


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, in one line, in place of printing its usage and exiting."""

    def __init__(self, **values: Any) -> None:
        defaults: dict[str, Any] = {"formatter_class": HelpFormatter, "allow_abbrev": False}
        super().__init__(**defaults | values)

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with argparse's message and where help is."""
        raise UsageError(f"{message} (--help lists the options)")


N = TypeVar("N", int, float)


def number_reader(kind: type[N], accepts: Callable[[N], bool], wanted: str, what: str = "") -> Callable[[str], N]:
    """Makes a reader of numbers for argparse; its error names the text, `what` it is not, and what is `wanted`."""

    def read(text: str) -> N:
        with suppress(ValueError):
            if accepts(value := kind(text)):
                return value
        raise argparse.ArgumentTypeError(f"{text!r}{f' is not {what}' if what else ''}: give {wanted}")

    return read


whole_number = number_reader(int, lambda value: 1 <= value <= 1_000_000, "a whole number from 1 to 1000000")
positive_count = number_reader(int, lambda value: value >= 1, "a whole number, 1 or more", "a count")
port_number = number_reader(int, lambda value: 0 <= value <= 65535, "a number from 0 to 65535", "a port")
"""A TCP port; 0 stands for any free one."""

positive_seconds = number_reader(float, lambda value: 0 < value < float("inf"), "seconds, more than 0", "a time")
seconds = number_reader(float, lambda value: 0 <= value < float("inf"), "seconds, 0 or more", "a time")

UNITS_S = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_PART = re.compile(rf"({_NUMBER}) ?(ms|sec|min|[smhd]) ?")
_TIME = re.compile(rf"{_NUMBER}|(?:{_PART.pattern})+")


def duration(text: str) -> float:
    """Reads a time as people write it, 15m, 90s, 250ms, 1h30m or 900 (seconds), above 0, in seconds, for argparse."""
    if _TIME.fullmatch(text.strip()):
        parts = _PART.findall(text)
        seconds = sum(float(number) * UNITS_S[unit] for number, unit in parts) if parts else float(text)
        if seconds > 0:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a time: give one like 15m, 90s, 1h30m, 2d or 900 (seconds)")


def option_words(options: Mapping[str, object]) -> list[str]:
    """The words of a command line that give these options, name -> value."""
    return [word for name, value in options.items() for word in (name, str(value))]
