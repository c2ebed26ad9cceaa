"""Words that several reports put together in the same way."""

import math
from collections.abc import Sequence

from experiments.results.records import Settings
from experiments.results.statistics import RunStats

NONE = "-"
"""What is shown where there is no figure."""


def join_words(parts: Sequence[str]) -> str:
    """The parts in one text: with commas between, and `and` before the last."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def describe_layout(roles: dict[str, str], slots: int) -> str:
    """A topology in words: how many active and standby predictors, and slots."""
    kinds = [f"{count} {role}" for role in ("active", "standby") if (count := list(roles.values()).count(role))]
    return f"{', '.join(kinds)}; {slots} slots"


def median_text(stats: RunStats | None, form: str) -> str:
    """The median in this format; NONE where there is no figure."""
    return NONE if stats is None else form.format(stats.median)


def percent_text(share: float | None, decimals: int = 1) -> str:
    """A share in percent; NONE where there is none."""
    return NONE if share is None else f"{100 * share:.{decimals}f} %"


LEAST_PERCENT = 0.0001


def share_text(share: float) -> str:
    """A share in percent, in two significant digits: 30 %, 0.98 %, 0.00055 %; none below 0.0001 %."""
    percent = 100 * share
    if percent == 0 or percent >= 99.5:
        return f"{percent:.0f} %"
    if percent < LEAST_PERCENT:
        return f"under {LEAST_PERCENT:.4f} %"
    return f"{percent:.{max(0, 1 - math.floor(math.log10(percent)))}f} %"


UNITS = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0))


def span_text(seconds: float) -> str:
    """A time as people say it, in its two greatest units: 30 d, 1 h 30 min, 5 min 18 s, 2.5 s, 250 ms."""
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds >= 1 or seconds == 0 else f"{1000 * seconds:.3g} ms"
    place = next(index for index, (_, size) in enumerate(UNITS) if seconds >= size)
    (unit, size), (below, part) = UNITS[place], UNITS[place + 1]
    whole, rest = divmod(round(seconds / part), round(size / part))
    return f"{whole} {unit} {rest} {below}" if rest and whole < 10 else f"{round(seconds / size)} {unit}"


def round_text(value: float, digits: int = 2) -> str:
    """A number in so many significant digits, in full, with commas between thousands: 4,600, 0.26, 115,000,000."""
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def service_time_text(settings: Settings) -> str:
    """How long a prediction takes; of a user's own server also its name, and that it was measured."""
    time = f"service time {settings.service_time_s:g} s"
    return f"{time}, measured of {settings.server.name}" if settings.server else time


def no_theory(settings: Settings) -> list[str]:
    """A sentence that says why no theory stands beside the figures; none where it does."""
    return [f"No theory stands beside these figures: {why}."] if (why := settings.why_no_theory) else []
