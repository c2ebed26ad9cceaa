"""Words that several reports put together in the same way."""

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


def service_time_text(settings: Settings) -> str:
    """How long a prediction takes; of a user's own server also its name, and that it was measured."""
    time = f"service time {settings.service_time_s:g} s"
    return f"{time}, measured of {settings.server.name}" if settings.server else time


def no_theory(settings: Settings) -> list[str]:
    """A sentence that says why no theory stands beside the figures; none where it does."""
    return [f"No theory stands beside these figures: {why}."] if (why := settings.why_no_theory) else []
