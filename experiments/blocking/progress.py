"""The status of a point of a blocking run, in words: requests, refused share so far."""

from pathlib import Path

from experiments.blocking.records import PointRecords
from experiments.results.store import RowReader


def ended_text(records: PointRecords) -> str:
    """What a point came to."""
    arrivals = records.counted
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

    def text(self, requests: int) -> str:
        """How many of the point's requests are recorded."""
        self.read()
        share = f", {self.failed_rows / self.rows:.1%} refused" if self.rows else ""
        return f"{self.rows} of {requests} requests{share}"
