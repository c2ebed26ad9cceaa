"""The status of a point of a blocking run, in words: requests, refused share so far."""

from pathlib import Path

from experiments.blocking.records import PointRecords


def ended_text(records: PointRecords) -> str:
    """What a point came to."""
    arrivals = records.counted
    return f"{sum(arrival.failed for arrival in arrivals)} of {len(arrivals)} refused"


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

    def text(self, requests: int) -> str:
        """How many of the point's requests are recorded."""
        self.read()
        share = f", {self.failed_rows / self.rows:.1%} refused" if self.rows else ""
        return f"{self.rows} of {requests} requests{share}"
