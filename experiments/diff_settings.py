"""Which settings, versions and machine facts differ between two runs, and the words for it. No figure is looked at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import UsageError
from experiments.experiment import Experiment, experiment_of
from experiments.page.text import NONE

UNLIKE_BY_NATURE = ("command", "started_at", "rate_reason", "machine.load average at the start (1, 5, 15 min)")
"""Settings that tell of the moment, or repeat others."""

OF_CHANCE = ("repeats", "seed", "topologies")
"""Settings that change how often figures are measured, with which chance, or what is measured besides: not them."""


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in both runs, by its dotted name, and its values."""

    name: str
    a: str
    b: str

    @property
    def shapes_figures(self) -> bool:
        """Whether figures could differ because of it."""
        return self.name not in OF_CHANCE


def same_experiment(a: Path, b: Path) -> Experiment[Any, Any, Any]:
    """The experiment of two run folders. Raises UsageError when they are not two runs of one experiment."""
    first, second = experiment_of(a), experiment_of(b)
    if first is not second:
        names = (first.name, second.name)
        raise UsageError(f"{a} is a run of {names[0]!r} and {b} one of {names[1]!r}: give two runs of one experiment")
    return first


def settings_that_differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Each setting that is not the same in both, nested ones by a dotted name.

    Topologies that only one run has are one difference; those that both have are looked into.
    """
    names_a, names_b = _topologies(a), _topologies(b)
    in_both = [name for name in names_a if name in names_b]
    flat_a, flat_b = (dict(_flat(_without_others(settings, in_both))) for settings in (a, b))
    names = [name for name in dict.fromkeys([*flat_a, *flat_b]) if name not in UNLIKE_BY_NATURE]
    pairs = [Difference(name, flat_a.get(name, NONE), flat_b.get(name, NONE)) for name in names]
    if set(names_a) != set(names_b):
        pairs.insert(0, Difference("topologies", ", ".join(names_a), ", ".join(names_b)))
    return [pair for pair in pairs if pair.a != pair.b]


def _topologies(settings: Mapping[str, Any]) -> list[str]:
    return [plan["name"] for plan in settings.get("topologies", [])]


def _without_others(settings: Mapping[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    if "topologies" not in settings:
        return dict(settings)
    return {**settings, "topologies": [plan for plan in settings["topologies"] if plan["name"] in kept]}


def _flat(value: Any, name: str = "") -> Iterable[tuple[str, str]]:
    """Each value below a JSON value with its dotted name; entries of a list that have a name stand under it."""
    if isinstance(value, list) and all(isinstance(entry, dict) and "name" in entry for entry in value):
        value = {entry["name"]: {key: each for key, each in entry.items() if key != "name"} for entry in value}
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    else:
        yield name, f"{value:g}" if isinstance(value, float) else str(value)


def opening(differences: Sequence[Difference]) -> str:
    """The first sentence of a comparison of two runs: whether they were run alike, and if not, what was different."""
    unlike = names_of(differences)
    if unlike:
        return f"A and B were not run alike. They differ in: {unlike}."
    if differences:
        return "A and B were run alike, but for what the table names."
    return "Settings, machine and versions are the same."


def names_of(differences: Sequence[Difference]) -> str:
    """The names of those that can shape figures, in a line; empty when there are none."""
    return ", ".join(each.name for each in differences if each.shapes_figures)


def footnote(differences: Sequence[Difference]) -> str:
    """What verdicts on two runs that were not run alike say, and what not; empty when they were."""
    unlike = names_of(differences)
    if not unlike:
        return ""
    return (
        f"* A verdict across different settings ({unlike}): yes says that the figure differs between the two as they "
        "were run; not by which of these, nor that it has changed at equal settings. No says that none is seen."
    )
