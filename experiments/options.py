"""Options that several experiments have: what they accept, and their words in `--help`."""

import argparse
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli import number_reader, option_words, whole_number

ENGINES = DEFAULT_ENGINE, HAPROXY = "flask", "haproxy"
"""The engines of this project's router."""

DEFAULT_TOPOLOGIES = ("single", "2active", "3active")
DEFAULT_CAPACITY = 10
"""Of a predictor whose entry names none."""

POST_WAIT_S = (1.0, 5.0)
"""The wait of the locustfile's users between two requests, least and most, as in the post."""


@dataclass(frozen=True)
class Margins:
    """Differences smaller than these count as none."""

    availability_points: float = 0.25
    """Of a share of requests, in percentage points."""
    lost_requests: float = 0.5
    """Of requests lost per fault."""
    relative_percent: float = 10.0
    """Of any other figure, in percent of the greater of the two."""
    slots: float = 0.5
    """Of slots, in the comparison of two topologies on one schedule."""


margin = number_reader(float, lambda value: 0 <= value < math.inf, "a number from 0, finite")

MARGINS = {
    "availability_points": ("--margin-availability", "POINTS", "percentage points of availability"),
    "lost_requests": ("--margin-lost", "N", "requests lost per fault"),
    "relative_percent": ("--margin-percent", "PERCENT", "percent of the greater, of figures without one of their own"),
    "slots": ("--margin-slots", "N", "slots"),
}
"""Field of Margins -> its option, the option's value, and of what it is."""

SHARED: dict[str, dict[str, Any]] = {
    "--topologies": {"nargs": "+", "action": "extend", "metavar": "NAME|PATH"},
    "--service-time": {
        "type": number_reader(float, lambda value: 0 <= value < 10, "seconds from 0 to below 10"), "metavar": "S",
        "help": "seconds a prediction takes",
    },
    "--threshold": {
        "type": whole_number, "default": DEFAULT_CAPACITY, "metavar": "N",
        "help": "capacity of a predictor for which neither entry nor server file names one (default: %(default)s)",
    },
    "--server": {
        "metavar": "NAME|FILE",
        "help": "a model server of your own in place of the rig's predictors: a server file (docs/servers.md)",
    },
    "--load-time": {
        "type": number_reader(float, lambda value: 0 <= value <= 600, "seconds from 0 to 600"), "default": 0.0,
        "metavar": "S", "help": "seconds a predictor loads its model before it serves (default: 0)",
    },
    "--router": {
        "nargs": "+", "action": "extend", "metavar": "NAME|FILE",
        "help": "this project's router with the engine flask or haproxy, one of those in routers/, or a router file "
        f"(docs/routers.md); several with commas between: each with every topology (default: {DEFAULT_ENGINE})",
    },
    "--out": {
        "type": Path, "metavar": "DIR", "help": "new folder for records and report (default: results/<date-time>)",
    },
}  # fmt: skip
"""Option -> what it accepts, and its words."""

SEVERAL = f", with commas or spaces between (default: {','.join(DEFAULT_TOPOLOGIES)})"
"""Goes on after what `--topologies` are for."""


def add_shared(parser: argparse.ArgumentParser, name: str, **values: Any) -> None:
    """Adds an option of SHARED; `values` add to what stands there, or stand in for it."""
    parser.add_argument(name, **SHARED[name] | values)


def add_router(parser: argparse.ArgumentParser) -> None:
    """Adds `--router`, and what tells of it where its older name is given."""
    add_shared(parser, "--router")
    parser.add_argument("--engine", action=_OlderName, nargs="?", const="NAME", help=argparse.SUPPRESS)


class _OlderName(argparse.Action):
    """Refuses `--engine`."""

    def __call__(self, parser: argparse.ArgumentParser, _: object, values: object, option: str | None = None) -> None:
        """Ends with an error that names `--router`."""
        parser.error(f"argument {option}: experiments choose by the router: give --router {values}")


def add_margins(parser: argparse.ArgumentParser, *names: str, whose: str = "") -> None:
    """Adds the options of these margins, fields of Margins.

    `whose` margins count where none is given, in words; empty: those of Margins.
    """
    for name in names:
        option, metavar, what = MARGINS[name]
        default = whose or f"{getattr(Margins, name):g}"
        help_ = f"margin below which a difference counts as none, in {what} (default: {default})"
        parser.add_argument(option, dest=name, type=margin, metavar=metavar, help=help_)


def chosen_margins(options: argparse.Namespace, otherwise: Margins) -> Margins:
    """The margins as the options of `add_margins` say; `otherwise` where none is given."""
    given = {name: value for name in MARGINS if (value := getattr(options, name, None)) is not None}
    return replace(otherwise, **given)


def margin_options(margins: Margins) -> dict[str, float]:
    """Those that are not the default, as `repeating_command` takes them."""
    return {
        option.removeprefix("--"): value
        for name, (option, _, _) in MARGINS.items()
        if (value := getattr(margins, name)) != getattr(Margins, name)
    }


def repeating_command(name: str, values: Mapping[str, object], *flags: str) -> str:
    """The command line that repeats an experiment, with every option that shapes its figures written out.

    `values`: an option's name, without dashes before and with _ between its words, -> its value.
    """
    options = {
        f"--{option.replace('_', '-')}": f"{value:g}" if isinstance(value, float) else value
        for option, value in values.items()
    }
    return shlex.join(["python", "-m", "experiments", name, *flags, *option_words(options)])
