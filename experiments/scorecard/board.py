"""How far a failover run is: the step of every run that is going, and the time that is left. Safe between threads."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.status import Status
from rich.text import Text

PLAIN_EVERY_S = 15.0


@dataclass
class Course:
    """One run's steps, each with the seconds that it is expected to take, and where the run stands."""

    name: str
    steps: Sequence[tuple[str, float]]
    at: int = -1
    since_s: float = 0.0
    over: bool = False
    done: set[str] = field(default_factory=set)

    def left_s(self, now_s: float) -> float:
        """Seconds that the run still needs; a step that takes longer than expected counts as about to end."""
        if self.over:
            return 0.0
        current = max(0.0, self.steps[self.at][1] - (now_s - self.since_s)) if self.at >= 0 else 0.0
        return current + sum(seconds for _, seconds in self.steps[self.at + 1 :])


class Board:
    """The runs of an experiment, of which at most `at_once` go side by side."""

    def __init__(self, courses: Sequence[Course], at_once: int) -> None:
        self._courses = {course.name: course for course in courses}
        self._at_once = at_once
        self._lock = threading.Lock()

    def step(self, name: str, step: str) -> None:
        """The run `name` begins this step."""
        with self._lock:
            course = self._courses[name]
            course.at = [known for known, _ in course.steps].index(step)
            course.since_s = time.monotonic()

    def end(self, name: str) -> None:
        """The run is over."""
        with self._lock:
            self._courses[name].over = True

    def left_s(self, now_s: float) -> float:
        """The whole experiment's time left: runs in their order, each in the lane that is free first."""
        with self._lock:
            going = [course.left_s(now_s) for course in self._courses.values() if course.at >= 0 and not course.over]
            waiting = [course.left_s(now_s) for course in self._courses.values() if course.at < 0 and not course.over]
        lanes = (going + [0.0] * self._at_once)[: max(self._at_once, len(going))]
        for seconds in waiting:
            lanes[lanes.index(min(lanes))] += seconds
        return max(lanes, default=0.0)

    def line(self, now_s: float) -> str:
        """The state in one line."""
        with self._lock:
            over = sum(course.over for course in self._courses.values())
            going = [
                f"{course.name} {course.steps[course.at][0]} ({course.at + 1}/{len(course.steps)})"
                for course in self._courses.values()
                if course.at >= 0 and not course.over
            ]
        minutes, seconds = divmod(round(self.left_s(now_s)), 60)
        runs = f"{over} of {len(self._courses)} runs done, about {minutes}:{seconds:02d} left"
        return "; ".join([runs, *going])


class Display:
    """Shows the board: one line kept up to date on a terminal, a line now and then elsewhere. A context."""

    def __init__(self, console: Console, board: Board) -> None:
        self._console = console
        self._board = board
        self._told_s = -PLAIN_EVERY_S
        self._status = Status("", console=console)

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def refresh(self) -> None:
        """Show how things stand now."""
        now_s = time.monotonic()
        if self._console.is_terminal:
            self._status.update(Text(self._board.line(now_s)))
        elif now_s - self._told_s >= PLAIN_EVERY_S:
            self._told_s = now_s
            self._console.print(Text(self._board.line(now_s)))
