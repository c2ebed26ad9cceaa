"""Options that several experiments have: what they accept, and their words in `--help`."""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli import number_reader, option_words, whole_number

ENGINES = ("flask", "haproxy")
DEFAULT_ENGINE = ENGINES[0]
DEFAULT_TOPOLOGIES = ("single", "2active", "3active")
DEFAULT_CAPACITY = 10
"""Of a predictor whose entry names none."""

POST_WAIT_S = (1.0, 5.0)
"""The wait of the locustfile's users between two requests, least and most, as in the post."""

SHARED: dict[str, dict[str, Any]] = {
    "--topologies": {"nargs": "+", "action": "extend", "metavar": "NAME|PATH"},
    "--service-time": {
        "type": number_reader(float, lambda value: 0 <= value < 10, "seconds from 0 to below 10"), "metavar": "S",
        "help": "seconds a prediction takes (default: %(default)g)",
    },
    "--threshold": {
        "type": whole_number, "default": DEFAULT_CAPACITY, "metavar": "N",
        "help": "capacity of a predictor whose entry names none (default: %(default)s)",
    },
    "--engine": {
        "choices": ENGINES, "default": DEFAULT_ENGINE, "help": "the router's engine (default: %(default)s)",
    },
    "--out": {
        "type": Path, "metavar": "DIR", "help": "new folder for records and report (default: results/<date-time>)",
    },
}  # fmt: skip
"""Option -> what it accepts, and its words."""

SEVERAL = f", with commas or spaces between (default: {','.join(DEFAULT_TOPOLOGIES)})"
"""Goes on after what `--topologies` are for."""


def add_shared(parser: argparse.ArgumentParser, name: str, **values: Any) -> None:
    """Adds an option of SHARED; `values` add to what stands there."""
    parser.add_argument(name, **SHARED[name], **values)


def repeating_command(name: str, values: Mapping[str, object], *flags: str) -> str:
    """The command line that repeats an experiment, with every option that shapes its figures written out.

    `values`: an option's name, without dashes before and with _ between its words, -> its value.
    """
    options = {
        f"--{option.replace('_', '-')}": f"{value:g}" if isinstance(value, float) else value
        for option, value in values.items()
    }
    return shlex.join(["python", "-m", "experiments", name, *flags, *option_words(options)])
