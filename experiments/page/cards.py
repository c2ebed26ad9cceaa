"""Key figures at the head of a page: a card per topology, or per number of slots."""

from dataclasses import dataclass

from experiments.page.text import NONE
from experiments.results.statistics import RunStats


@dataclass(frozen=True)
class Card:
    """One large figure with its name, what it counts, and a few facts beside it."""

    name: str
    what: str
    figure: str
    unit: str
    facts: list[tuple[str, str]]


def describe_layout(roles: dict[str, str], slots: int) -> str:
    """A topology in words: how many active and standby predictors, and slots."""
    kinds = [f"{count} {role}" for role in ("active", "standby") if (count := list(roles.values()).count(role))]
    return f"{', '.join(kinds)}; {slots} slots"


def median_text(stats: RunStats | None, form: str) -> str:
    """The median in this format; NONE where there is no figure."""
    return NONE if stats is None else form.format(stats.median)
