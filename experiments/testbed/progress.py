"""How far an experiment is: the step of every run that is going, and the time that is left. Safe between threads."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text


@dataclass
class RunProgress:
    """One run's steps, each with the seconds that it is expected to take, and where the run stands."""

    name: str
    steps: Sequence[tuple[str, float]]
    step: int = -1
    """The present step's index; -1: the run has not begun."""
    since_s: float = 0.0
    """When the present step began, on the monotonic clock."""
    status: str = ""
    """Of the present step; of the run, once it is finished."""
    finished: bool = False
    said: list[str] = field(default_factory=list)
    """Lines beside the steps that are still to be shown."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self, step: str) -> None:
        """Begins this step."""
        with self._lock:
            self.step = [name for name, _ in self.steps].index(step)
            self.since_s = time.monotonic()
            self.status = ""

    def update(self, status: str) -> None:
        """Sets the present step's status."""
        with self._lock:
            self.status = status

    def say(self, text: str) -> None:
        """Has a line shown, also where there is no terminal."""
        with self._lock:
            self.said.append(f"{self.name}: {text}")

    def take_said(self) -> list[str]:
        """Returns the lines that have not been shown, as shown from now on."""
        with self._lock:
            lines, self.said = self.said, []
            return lines

    def finish(self, status: str = "done") -> None:
        """Ends the run, with what it came to."""
        with self._lock:
            self.status, self.finished = status, True

    @property
    def going(self) -> bool:
        """Whether it has begun and not ended."""
        return self.step >= 0 and not self.finished

    def left_s(self, now_s: float) -> float:
        """Seconds that the run still needs; a step that takes longer than expected counts as about to end."""
        with self._lock:
            if self.finished:
                return 0.0
            current = max(0.0, self.steps[self.step][1] - (now_s - self.since_s)) if self.step >= 0 else 0.0
            return current + sum(seconds for _, seconds in self.steps[self.step + 1 :])

    def line(self) -> str:
        """The run in one line."""
        with self._lock:
            if self.finished:
                return f"{self.name}: {self.status}"
            text = f"{self.name}: {self.steps[self.step][0]} ({self.step + 1}/{len(self.steps)})"
            return f"{text}, {self.status}" if self.status else text


class ProgressBoard:
    """A context that shows the runs of an experiment, `at_once` side by side, on a terminal; anywhere their ends."""

    def __init__(self, console: Console, runs: Sequence[RunProgress], at_once: int) -> None:
        self._console = console
        self._runs = runs
        self._at_once = at_once
        self._printed: set[str] = set()
        self._status = Status("", console=console)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()
        self._print_finished()

    def refresh(self) -> None:
        """Shows the state of now."""
        self._print_finished()
        if self._console.is_terminal:
            text = "\n  ".join(self.lines(time.monotonic()))
            self._status.update(Text(text, no_wrap=True, overflow="ellipsis"))

    def left_s(self, now_s: float) -> float:
        """The whole experiment's time left: runs in their order, each where one ends first."""
        going = [run.left_s(now_s) for run in self._runs if run.going]
        waiting = [run.left_s(now_s) for run in self._runs if run.step < 0]
        threads = going + [0.0] * (self._at_once - len(going))
        for seconds in waiting:
            threads[threads.index(min(threads))] += seconds
        return max(threads, default=0.0)

    def headline(self, now_s: float) -> str:
        """How many runs are done, and the time left."""
        minutes, seconds = divmod(round(self.left_s(now_s)), 60)
        return f"{sum(run.finished for run in self._runs)} of {len(self._runs)} done, {minutes}:{seconds:02d} left"

    def lines(self, now_s: float) -> list[str]:
        """The headline, and a line for each run that is going."""
        return [self.headline(now_s), *(run.line() for run in self._runs if run.going)]

    def _print_finished(self) -> None:
        for run in self._runs:
            for line in run.take_said():
                self._console.print(Text(line), soft_wrap=True)
            if run.finished and run.name not in self._printed:
                self._printed.add(run.name)
                self._console.print(Text(f"{run.line()} ({self.headline(time.monotonic())})"), soft_wrap=True)
