"""How the answer's figures and inputs are written, alike in tables, charts and sentences. No sentences stand here."""

import math
from collections.abc import Mapping

from experiments.answer.inputs import DAYS, HOURS, SHARES, Input

MINUTES = 60.0
UNITS = ((DAYS, "d"), (HOURS, "h"), (MINUTES, "min"))
LEAST_FIGURE = 0.0001
LEAST_SHARE = 1e-6
"""A share below this is only said to be so."""

LABELS: Mapping[str, str] = {
    "rate": "rate",
    "target": "target",
    "service_time": "service time",
    "threshold": "slots per predictor",
    "mtbf": "predictor's MTBF",
    "repair": "time to repair",
    "common_cause": "common-cause failures",
    "start_time": "cold start",
    "load_time": "loading the model",
    "start_fails": "cold starts that fail",
    "router_mtbf": "router's MTBF",
    "router_loss": "router failure's loss",
    "per_minute": "minute of downtime",
    "server_hour": "hour of a predictor",
    "saturation": "saturation rate",
    "users": "users",
    "wait": "users' mean wait",
}
"""An input's name -> what tables, charts and sentences call it."""


def figure_text(value: float, digits: int = 2) -> str:
    """A figure in so many significant digits: 0.35, 8.6, 44,000, 1.2 M; of a tiny one only that it is."""
    if 0 < abs(value) < LEAST_FIGURE:
        return f"<{LEAST_FIGURE:g}"
    value = _rounded(value, digits)
    for size, name in ((1e9, " bn"), (1e6, " M")):
        if abs(value) >= size:
            return f"{_plain(value / size, digits)}{name}"
    return _plain(value, digits)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def _plain(value: float, digits: int) -> str:
    """In full, with commas, and with no more zeros after the point than the digits need."""
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{decimals}f}"


def share_text(share: float) -> str:
    """A share in percent, in two significant digits."""
    if 0 < share < LEAST_SHARE:
        return f"<{100 * LEAST_SHARE:.4f} %"
    return f"{figure_text(100 * share)} %"


def dollars_text(value: float) -> str:
    """A sum of money, in two significant digits, or to the cent."""
    if 0 < value < 10:
        return "<$0.01" if value < 0.005 else f"${value:.2f}"
    return f"${figure_text(value)}"


def time_text(seconds: float, digits: int = 2) -> str:
    """A time in the largest unit of which it has two or exactly one, in so many significant digits."""
    size, unit = next(((s, name) for s, name in UNITS if seconds >= 2 * s or seconds == s), (1.0, "s"))
    return f"{_exact(seconds / size, digits)} {unit}"


def _exact(value: float, digits: int) -> str:
    """As people write a number that they know: no zeros after the point."""
    return f"{_rounded(value, digits):,.12g}"


def _price(value: float) -> str:
    """With cents where there are some, and more digits where cents do not do."""
    cents = f"{value:,.2f}"
    return cents if value % 1 and math.isclose(value, round(value, 2)) else _exact(value, 4)


def value_text(name: str, unit: str, value: float) -> str:
    """A value of the input of that name, as its user would write it."""
    if unit == "s":
        return time_text(value, digits=4)
    if unit == "$":
        return f"${_price(value)}"
    if name in SHARES:
        return f"{_exact(100 * value, 3)} %"
    return f"{_exact(value, 12 if unit == '%' else 4)} {unit}".rstrip()


def input_text(name: str, own: Input) -> str:
    """The input's value."""
    return value_text(name, own.unit, own.value)


def range_text(name: str, unit: str, low: float, high: float) -> str:
    """Both ends of a range, the unit once where they share it."""
    first, last = value_text(name, unit, low), value_text(name, unit, high)
    number, _, of_first = first.partition(" ")
    return f"{number if last.endswith(f' {of_first}') else first} to {last.removeprefix('$')}"
