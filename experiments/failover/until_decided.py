"""Repeats of a failover run until every claim has a verdict, or the time is spent."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from experiments.failover.records import FailoverSettings
from experiments.failover.run import announce, jobs_of
from experiments.results.store import SETTINGS, write_json
from experiments.testbed.chosen_routers import ChosenDeployment
from experiments.testbed.parallel import run_jobs
from experiments.testbed.programs import Programs
from experiments.testbed.signals import stop_on_signals
from experiments.theory.verdicts import Verdict, next_look

Verdicts = Mapping[str, str]
"""Claim -> its verdict."""


@dataclass
class Looks:
    """After which repeats to judge, and when that is enough: when two looks running give every claim one verdict."""

    due: int = field(default_factory=lambda: next_look(0))
    """After so many repeats comes the next look."""
    latest: Verdicts = field(default_factory=dict)
    """What the latest look gave; nothing before it."""

    def take(self, repeats: int, verdicts: Verdicts) -> bool:
        """Takes the verdicts of a look after so many repeats; returns whether they stand."""
        stand = verdicts == self.latest and Verdict.NOT_DECIDED not in verdicts.values()
        self.due, self.latest = next_look(repeats), verdicts
        return stand

    @property
    def text(self) -> str:
        """How far the latest look was, in words."""
        decided = sum(verdict != Verdict.NOT_DECIDED for verdict in self.latest.values())
        return f"{decided} of {len(self.latest)} claims decided" if self.latest else "not judged yet"


@dataclass
class Budget:
    """The time that repeats may take; `clock` gives seconds."""

    most_s: float
    clock: Callable[[], float] = time.monotonic
    longest_s: float = 0.0
    """The longest repeat so far."""

    def __post_init__(self) -> None:
        self.began_s = self.latest_s = self.clock()

    def end_repeat(self) -> None:
        """Counts what has gone by since the repeat before as one."""
        now_s = self.clock()
        self.longest_s, self.latest_s = max(self.longest_s, now_s - self.latest_s), now_s

    @property
    def left_s(self) -> float:
        """What is left of it."""
        return self.began_s + self.most_s - self.clock()

    @property
    def has_room(self) -> bool:
        """Whether one more repeat fits, were it as long as the longest so far."""
        return self.left_s >= self.longest_s

    @property
    def text(self) -> str:
        """What is left of it, as minutes and seconds."""
        minutes, seconds = divmod(max(0, round(self.left_s)), 60)
        return f"at most {minutes}:{seconds:02d} left"


def run_until_decided(
    settings: FailoverSettings,
    deployments: Sequence[ChosenDeployment],
    programs: Programs,
    judge: Callable[[Path], Verdicts],
    folder: Path,
    console: Console,
) -> None:
    """Does repeat after repeat and leaves its records in the folder, whose settings name as many as were begun.

    `judge` gives the verdicts by the records in the folder. Raises CommandError.
    """
    announce(settings, folder, console)
    budget, looks = Budget(settings.most_time_s or 0.0), Looks()
    with stop_on_signals() as stop:
        for repeat in itertools.count(1):
            console.print(f"repeat {repeat}: {looks.text}, {budget.text}", soft_wrap=True)
            write_json(folder / SETTINGS, replace(settings, repeats=repeat))
            run_jobs(jobs_of(repeat, settings, deployments, programs, folder), settings.at_once, console)
            stop.check()
            if repeat == looks.due and looks.take(repeat, judge(folder)):
                console.print(f"{looks.text} after {repeat} repeats, twice alike", soft_wrap=True)
                return
            budget.end_repeat()
            if not budget.has_room:
                console.print(
                    f"{looks.text} after {repeat} repeat{'s' if repeat > 1 else ''}: no time for one more",
                    soft_wrap=True,
                )
                return
