"""How a point of a blocking run goes, in words: requests, refused share so far."""

from pathlib import Path

from experiments.blocking.figures import counted
from experiments.blocking.records import Point, PointRecords
from experiments.results.store import RowReader


def ended_text(records: PointRecords) -> str:
    """How a point ended."""
    arrivals = counted(records)
    return f"{sum(arrival.failed for arrival in arrivals)} of {len(arrivals)} refused"


class Tail:
    """Counts the rows of a CSV file of requests that grows: all, and those whose reason is not empty."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self.failed_rows = 0
        self._reader = RowReader(path)
        self._head: list[str] = []

    def read(self) -> None:
        """Counts the whole rows that have come since the last call; none while there is no file."""
        rows = self._reader.read()
        self._head = self._head or next(rows, [])
        for row in rows:
            self.rows += 1
            self.failed_rows += row[self._head.index("reason")] != ""

    def text(self, point: Point) -> str:
        """How far the point is."""
        self.read()
        share = f", {self.failed_rows / self.rows:.1%} refused" if self.rows else ""
        return f"{self.rows} of {point.warm_up_arrivals + point.arrivals} requests{share}"
