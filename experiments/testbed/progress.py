"""How far an experiment is: the step of every run that is going, and the time that is left. Safe between threads."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.status import Status
from rich.text import Text


@dataclass
class RunProgress:
    """One run's steps, each with the seconds that it is expected to take, and where the run stands."""

    name: str
    steps: Sequence[tuple[str, float]]
    at: int = -1
    since_s: float = 0.0
    news: str = ""
    """What there is to say about the present step."""
    over: bool = False

    def left_s(self, now_s: float) -> float:
        """Seconds that the run still needs; a step that takes longer than expected counts as about to end."""
        if self.over:
            return 0.0
        current = max(0.0, self.steps[self.at][1] - (now_s - self.since_s)) if self.at >= 0 else 0.0
        return current + sum(seconds for _, seconds in self.steps[self.at + 1 :])

    def line(self) -> str:
        """The run in one line."""
        text = f"{self.name}: {self.steps[self.at][0]} ({self.at + 1}/{len(self.steps)})"
        return f"{text}, {self.news}" if self.news else text


class ProgressBoard:
    """The runs of an experiment, of which at most `at_once` go side by side."""

    def __init__(self, progresses: Sequence[RunProgress], at_once: int) -> None:
        self._courses = {course.name: course for course in progresses}
        self._at_once = at_once
        self._lock = threading.Lock()
        self._endings: list[str] = []

    def step(self, name: str, step: str) -> None:
        """The run `name` begins this step."""
        with self._lock:
            course = self._courses[name]
            course.at = [known for known, _ in course.steps].index(step)
            course.since_s = time.monotonic()
            course.news = ""

    def tell(self, name: str, news: str) -> None:
        """How the present step of the run `name` goes."""
        with self._lock:
            self._courses[name].news = news

    def end(self, name: str, how: str = "done") -> None:
        """The run is over; `how` it ended is told."""
        with self._lock:
            self._courses[name].over = True
            self._endings.append(f"{name}: {how}")

    def take_endings(self) -> list[str]:
        """The runs that have ended since the last call, a line each."""
        with self._lock:
            endings, self._endings = self._endings, []
        return endings

    def left_s(self, now_s: float) -> float:
        """The whole experiment's time left: runs in their order, each in the lane that is free first."""
        with self._lock:
            going = [course.left_s(now_s) for course in self._courses.values() if course.at >= 0 and not course.over]
            waiting = [course.left_s(now_s) for course in self._courses.values() if course.at < 0 and not course.over]
        runner = (going + [0.0] * self._at_once)[: max(self._at_once, len(going))]
        for seconds in waiting:
            runner[runner.index(min(runner))] += seconds
        return max(runner, default=0.0)

    def headline(self, now_s: float) -> str:
        """How many runs are done, and the time left."""
        with self._lock:
            over = sum(course.over for course in self._courses.values())
        minutes, seconds = divmod(round(self.left_s(now_s)), 60)
        return f"{over} of {len(self._courses)} done, {minutes}:{seconds:02d} left"

    def lines(self, now_s: float) -> list[str]:
        """The headline, and a line for each run that is going."""
        with self._lock:
            going = [course.line() for course in self._courses.values() if course.at >= 0 and not course.over]
        return [self.headline(now_s), *going]


class Display:
    """Shows the board on a terminal, kept up to date; anywhere, a line as each run ends. A context."""

    def __init__(self, console: Console, board: ProgressBoard) -> None:
        self._console = console
        self._board = board
        self._status = Status("", console=console)

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()
        self._tell_endings()

    def refresh(self) -> None:
        """Show how things stand now."""
        self._tell_endings()
        if self._console.is_terminal:
            lines = self._board.lines(time.monotonic())
            self._status.update(Text("\n  ".join(lines), no_wrap=True, overflow="ellipsis"))

    def _tell_endings(self) -> None:
        for ending in self._board.take_endings():
            text = f"{ending} ({self._board.headline(time.monotonic())})"
            self._console.print(Text(text), soft_wrap=True)
