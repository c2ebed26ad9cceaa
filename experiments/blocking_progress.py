"""What a blocking run in progress shows: how far the point is, its refused share so far, the time left."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.blocking_figures import counted
from experiments.blocking_records import Point, PointRecords
from experiments.progress import Progress
from experiments.records import REQUESTS

START_S = 5.0
"""About what a point's programs take to start and to stop."""

PLAIN_EVERY_S = 15.0


class PointProgress(Progress):
    """Tells how the points go; a context."""

    def __init__(self, console: Console, points: Sequence[Point]) -> None:
        super().__init__(console, len(points))
        self._to_come = [(point.warm_up_arrivals + point.arrivals, point.rate_per_s) for point in points]
        self._plain_told = time.monotonic()
        self._tail = Tail(Path())

    def tell_point(self, folder: Path) -> None:
        """Show how the point whose records grow in `folder` goes."""
        if self._tail.path.parent != folder:
            self._tail = Tail(folder / REQUESTS)
        self._tail.read()
        text = self._point_text()
        self._show(text)
        if not self._console.is_terminal and time.monotonic() - self._plain_told >= PLAIN_EVERY_S:
            self._plain_told = time.monotonic()
            self._print(text)

    def end_point(self, records: PointRecords) -> None:
        """The point is over; say how."""
        self._to_come.pop(0)
        arrivals = counted(records)
        refused = sum(arrival.failed for arrival in arrivals)
        self._print(f"{refused} of {len(arrivals)} refused; {self._left_text(0)} left")

    def _point_text(self) -> str:
        done, refused = self._tail.rows, self._tail.failed_rows
        share = f", {refused / done:.1%} refused" if done else ""
        return f"{done} of {self._to_come[0][0]} requests{share}; {self._left_text(done)} left"

    def _left_text(self, done: int) -> str:
        """About the time that all points still take, the present one included."""
        left_s = sum(requests / rate_per_s + START_S for requests, rate_per_s in self._to_come)
        left_s -= done / self._to_come[0][1] + (START_S if done else 0) if self._to_come else 0
        minutes, seconds = divmod(round(max(0.0, left_s)), 60)
        return f"{minutes}:{seconds:02d}"


class Tail:
    """Counts the rows of a CSV file of Arrivals that grows: all, and those whose reason is not empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self.failed_rows = 0
        self._at = 0
        self._is_headed = False

    def read(self) -> None:
        """Count the whole rows that have come since the last call; none while there is no file."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError:
            return
        self._at += len(whole) + len(newline)
        lines = whole.splitlines()
        if lines and not self._is_headed:
            self._is_headed = True
            lines = lines[1:]
        self.rows += len(lines)
        self.failed_rows += sum(line.split(b",")[4] != b"" for line in lines)
