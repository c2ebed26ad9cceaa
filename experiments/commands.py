"""A program of several commands: `python -m NAME COMMAND ...`. Which command runs, and how an error looks."""

import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from experiments.errors import ExperimentError

Command = Callable[[Sequence[str]], None]


def run_one_of(program: str, commands: Mapping[str, tuple[Command, str]], arguments: Sequence[str]) -> int:
    """Run one command; return its exit status: 0, 1 (could not go on), 2 (a user's mistake), 128 + signal.

    `commands`: name -> (what runs, what it does in a few words); the first is the example that help shows.
    """
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        print(_usage(program, commands))
        return 0
    if name not in commands:
        wanted = f"unknown command {name!r}" if name else "no command"
        print(f"{program}: {wanted}: give {' or '.join(commands)} (--help lists them)", file=sys.stderr)
        return 2
    command, _ = commands[name]
    try:
        command(rest)
    except ExperimentError as error:
        print(f"{program} {name}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"\n{program} {name}: stopped by SIGINT", file=sys.stderr)
        return 128 + signal.SIGINT
    except OSError as error:
        print(f"{program} {name}: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _usage(program: str, commands: Mapping[str, tuple[Command, str]]) -> str:
    lines = [f"  {name:12}{text}" for name, (_, text) in commands.items()]
    example = f"example: python -m {program} {next(iter(commands))}"
    return "\n".join([f"usage: python -m {program} COMMAND [options]", "", *lines, "", example])
