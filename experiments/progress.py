"""What a run in progress shows: a line that is kept up to date on a terminal, an occasional line elsewhere."""

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from experiments.records import FIRST_FAILURE, REQUESTS

PLAIN_EVERY_S = 15.0
LOOK_BACK_S = 5.0
TAIL_BYTES = 64 * 1024


class Progress:
    """Tells which run it is, how long it has run, its users, rate and loads; a context."""

    def __init__(self, console: Console, total: int) -> None:
        """`total`: how many runs there will be."""
        self._console = console
        self._total = total
        self._number = 0
        self._name = ""
        self._since = time.monotonic()
        self._told = 0.0
        self._status = Status("", console=console)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def begin(self, name: str) -> None:
        """The next run begins, with the start of its programs."""
        self._number += 1
        self._name = name
        self._told = self._since = time.monotonic()
        self._show("starting predictors and router")
        if not self._console.is_terminal:
            self._print("started")

    def tell(self, folder: Path, state: dict[str, Any] | None) -> None:
        """Show how the run whose records are in `folder` goes; `state` is the admin port's last answer."""
        text = self._course(folder, state)
        self._show(text)
        if not self._console.is_terminal and time.monotonic() - self._told >= PLAIN_EVERY_S:
            self._told = time.monotonic()
            self._print(text)

    def _course(self, folder: Path, state: dict[str, Any] | None) -> str:
        if (folder / FIRST_FAILURE).is_file():
            return "first failure noted, letting requests in flight finish"
        users, rate_per_s = recent(folder / REQUESTS, time.time())
        if not users:
            return "starting the swarm"
        return f"{users} users, {rate_per_s:.1f} answers/s, loads {loads_text(state)}"

    def end(self, text: str) -> None:
        """The run is over; `text` says how."""
        self._print(text)

    def _show(self, text: str) -> None:
        if self._console.is_terminal:
            self._status.update(Text(self._line(text)))

    def _print(self, text: str) -> None:
        self._console.print(Text(self._line(text)))

    def _line(self, text: str) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._since), 60)
        return f"[{self._number}/{self._total}] {self._name} {minutes}:{seconds:02d} {text}"


def recent(requests_csv: Path, now_s: float) -> tuple[int, float]:
    """The users at the last recorded request, and the requests finished per second in the last LOOK_BACK_S.

    Reads the end of the swarm's records, which it writes about once a second; a younger run is looked at since its
    first request. (0, 0.0) before there is any record.
    """
    rows = [line.split(",") for line in _last_lines(requests_csv)]
    if not rows:
        return 0, 0.0
    ended_s = [float(row[0]) + float(row[1]) for row in rows]
    newest_s = min(now_s, ended_s[-1])
    window_s = min(LOOK_BACK_S, max(1.0, newest_s - float(rows[0][0])))
    return int(rows[-1][-1]), sum(newest_s - window_s < each_s for each_s in ended_s) / window_s


def _last_lines(path: Path) -> list[str]:
    """The last whole data rows of a CSV file; none while it is not there."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return []
    return [line for line in lines[1:-1] if line]


def loads_text(state: dict[str, Any] | None) -> str:
    """Each predictor's load, in file order; - for one that takes nothing."""
    predictors = state["predictors"].values() if state else ()
    return "/".join(str(fields["load"]) if fields["status"] else "-" for fields in predictors) or "unknown"
