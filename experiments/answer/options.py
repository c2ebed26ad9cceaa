"""The answer's inputs on the command line: how each is read, and its words in `--help`."""

import argparse
import math
import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from cli import UsageError, duration, number_reader, whole_number
from experiments.answer.inputs import DEFAULTS, GIVEN, Input, Inputs, given
from experiments.answer.text import time_text
from experiments.options import POST_WAIT_S

MOST_CAPACITY = 10_000
WIDEST = 1_000.0
"""The upper end of a range is so many times the lower one at most: who knows less knows no range."""

LEAST_REPAIR_S = 1.0
LEAST_MTBF_S = 3_600.0
"""Who fails more often is not deployed; and a simulated year of it would take long."""

MOST_LOST = 1_000.0
MOST_TARGET = 99.9999999
NUMBER = re.compile(r"\d{1,12}(\.\d{1,6})?")
Read = Callable[[str], float]


def time_from_0(text: str) -> float:
    """Reads a time as `duration` does, 0 too."""
    return 0.0 if text.strip() in ("0", "0s") else duration(text)


def time_between(text: str) -> float:
    """Reads a time between failures: an hour at least."""
    if (seconds := duration(text)) < LEAST_MTBF_S:
        raise ArgumentTypeError(f"{text!r} is less than an hour between failures: give more, as 30d")
    return seconds


def repair_time(text: str) -> float:
    """Reads a time to repair: a second at least."""
    if (seconds := duration(text)) < LEAST_REPAIR_S:
        raise ArgumentTypeError(f"{text!r} is less than a second to repair: give more, as 10m")
    return seconds


def share(text: str) -> float:
    """Reads a share: from 0 to 1, or in percent with its sign."""
    number, sign, _ = text.strip().partition("%")
    with suppress(ValueError):
        if 0 <= (value := float(number) / (100 if sign else 1)) <= 1:
            return value
    hint = _digits(text)
    as_share = f", as {float(hint) / 100:g} for {hint} %" if hint and 0 < float(hint) <= 100 else ", as 0.02"
    raise ArgumentTypeError(f"{text!r} is not a share: give one from 0 to 1{as_share}")


def ratio(text: str) -> float:
    """Reads a number from 0."""
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= MOST_LOST:
            return value
    raise ArgumentTypeError(f"{text!r}: give a number from 0 to {MOST_LOST:g}: requests lost per request in flight")


def amount(text: str) -> float:
    """Reads an amount of money: digits, without currency and commas."""
    if NUMBER.fullmatch(text.strip()):
        return float(text)
    raise ArgumentTypeError(
        f"{text!r} is not an amount: give it in dollars, digits alone, as {_digits(text) or '5600'}"
    )


def target_percent(text: str) -> float:
    """Reads the share of requests to be answered well, in percent: from 50 to nine nines."""
    with suppress(ValueError):
        if 50 <= (value := float(text.strip().removesuffix("%"))) <= MOST_TARGET:
            return value
        if value == 100:
            raise ArgumentTypeError(f"{text!r}: no number of predictors refuses nothing: give less, as 99.99")
        if 0.5 <= value < 1:
            raise ArgumentTypeError(f"{text!r} is not a target: give percent of the requests: {100 * value:.10g}?")
    accepted = f"from 50 to {MOST_TARGET:.10g}, as 99.9"
    raise ArgumentTypeError(f"{text!r} is not a target: give percent of the requests, {accepted}")


def _digits(text: str) -> str:
    """The number in a text that has a currency, commas or a percent sign about it; empty where there is none."""
    bare = re.sub(r"[\s_$€£%]|[,'](?=\d{3}(?!\d))", "", text).replace(",", ".")
    return bare if NUMBER.fullmatch(bare) else ""


def ranged(read: Read, unit: str = "") -> Callable[[str], Input]:
    """Makes a reader of a value, or of a range A-B that holds it nine times in ten."""

    def read_input(text: str) -> Input:
        low, dash, high = text.partition("-")
        if not dash or not low.strip():
            return given(read(text), unit)
        if not high.strip():
            raise ArgumentTypeError(f"{text!r} is not a range: give its upper end too, or one value")
        ends = read(low), read(high)
        if not 0 < ends[0] < ends[1]:
            raise ArgumentTypeError(f"{text!r} is not a range: give the smaller end first, both above 0")
        if ends[1] > WIDEST * ends[0]:
            raise ArgumentTypeError(
                f"{text!r}: so wide a range says nothing: give ends that differ {WIDEST:g} times at most"
            )
        return Input(math.sqrt(ends[0] * ends[1]), unit, GIVEN, *ends)

    return read_input


def point(read: Read, unit: str = "") -> Callable[[str], Input]:
    """Makes a reader of one value."""
    return lambda text: given(read(text), unit)


def wait_s(text: str) -> tuple[float, float]:
    """Reads the wait of users between an answer and their next request, in seconds: 3, or 1-5 (uniform)."""
    low, dash, high = text.partition("-")
    with suppress(ValueError):
        ends = float(low), float(high if dash else low)
        if 0 <= ends[0] <= ends[1] < math.inf:
            return ends
    raise ArgumentTypeError(f"{text!r} is not a wait: give seconds, as 3, or the least and the most, as 1-5")


_rate = number_reader(
    float, lambda value: 0 < value <= 1e6, "one number of requests per second, above 0 and at most 1000000"
)
_capacity = number_reader(int, lambda value: 1 <= value <= MOST_CAPACITY, f"a whole number from 1 to {MOST_CAPACITY}")

OPTIONS: Mapping[str, tuple[Callable[[str], Input], str, str]] = {
    "rate": (point(_rate, "requests/s"), "PER_S", "requests per second, in your busiest hour"),
    "target": (point(target_percent, "%"), "PERCENT", "requests to be answered well, in percent"),
    "service_time": (point(duration, "s"), "TIME", "how long a request holds a slot"),
    "threshold": (point(_capacity, "slots"), "N", "capacity of a predictor: requests at once"),
    "load_time": (ranged(time_from_0, "s"), "TIME", "how long a predictor loads its model"),
    "start_time": (ranged(time_from_0, "s"), "TIME", "what its start takes beside that"),
    "mtbf": (ranged(time_between, "s"), "TIME", "time between failures of one predictor"),
    "repair": (ranged(repair_time, "s"), "TIME", "time from a failure until it serves again"),
    "common_cause": (ranged(share), "SHARE", "failures that take all at once, as 0.02"),
    "start_fails": (ranged(share), "SHARE", "starts of a cold standby that fail"),
    "router_mtbf": (ranged(time_between, "s"), "TIME", "time between failures of the router"),
    "router_loss": (ranged(ratio), "N", "requests that one loses, per request in flight"),
    "per_minute": (ranged(amount, "$"), "DOLLARS", "what a minute of downtime costs"),
    "server_hour": (ranged(amount, "$"), "DOLLARS", "what an hour of a running predictor costs"),
}
"""Input -> what reads it, its value in the usage, and what it is."""


ALIASES = {"threshold": ("--capacity",)}
"""Other names of options: the router's word, and the topology file's."""


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each input, and users in place of a rate."""
    for name, (read, metavar, what) in OPTIONS.items():
        names = [f"--{name.replace('_', '-')}", *ALIASES.get(name, ())]
        parser.add_argument(*names, type=read, metavar=metavar, help=f"{what} ({_usual(name)})")
        if name == "rate":
            _add_users(parser)


def _add_users(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--users", type=whole_number, metavar="N", help="users who wait for each answer, as the rate")
    least, most = POST_WAIT_S
    parser.add_argument("--wait", type=wait_s, metavar="S-S",
        help=f"seconds that they wait before the next request ({least:g}-{most:g})")  # fmt: skip


def _usual(name: str) -> str:
    """The default as an option has it: the middle, then the range."""
    own = DEFAULTS[name]
    middle = _as_given(name, own.value)
    if own.low is None or own.high is None:
        return middle
    return f"{middle}; {_as_given(name, own.low)}-{_as_given(name, own.high)}"


def _as_given(name: str, value: float) -> str:
    return time_text(value, digits=4).replace(" ", "") if DEFAULTS[name].unit == "s" else f"{value:g}"


def inputs_of(options: Namespace, measured: Mapping[str, Input]) -> Inputs:
    """Returns what is given, else measured, else the default. Raises UsageError for what cannot go together."""
    own = {name: value for name in OPTIONS if (value := getattr(options, name)) is not None}
    values: dict[str, Any] = {**DEFAULTS, **measured, **own}
    if options.users is not None:
        values |= _of_users(options, values["service_time"])
    elif options.wait is not None:
        raise UsageError("argument --wait: it is the users': give --users too, or leave it out")
    inputs = Inputs(**values)
    if inputs.repair.value >= inputs.mtbf.value:
        longer = f"{time_text(inputs.repair.value)} is no less than {time_text(inputs.mtbf.value)} between failures"
        raise UsageError(f"argument --repair: {longer}: predictors would be down more than up")
    return inputs


def _of_users(options: Namespace, service_time: Input) -> dict[str, Input]:
    """The rate of so many users, each of whom sends once in a wait and a service time. Raises UsageError."""
    if options.rate is not None:
        raise UsageError("argument --users: --rate says the same: leave one of the two out")
    low, high = options.wait or POST_WAIT_S
    rate = options.users / ((low + high) / 2 + service_time.value)
    about = (
        f"given: {options.users} users who wait {low:g} to {high:g} s"
        if high > low
        else (f"given: {options.users} users who wait {low:g} s")
    )
    whose = GIVEN if options.wait else "default: the post's users"
    return {
        "rate": Input(rate, "requests/s", about),
        "users": given(options.users),
        "wait": Input((low + high) / 2, "s", whose),
    }
