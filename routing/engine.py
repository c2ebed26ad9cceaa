"""What the admin app asks of whatever carries the requests: this router itself, or another program it directs."""

from typing import Any, Protocol

from routing.counters import Traffic


class Engine(Protocol):
    """A topology in service."""

    def picture(self) -> dict[str, Any]:
        """Return the whole state as JSON objects: the body of GET /topology.

        `topology`, `file`, `since` (epoch seconds), `predictors` (by name, in file order: status, load, port, host,
        region, capacity, role, state, up, served, failed, peak_load), `refused` (by reason) and `events` (oldest
        first: time in epoch seconds, event, predictor, reason).
        """
        ...

    def drain(self, name: str) -> None:
        """Give the predictor nothing new; KeyError if unknown."""
        ...

    def ready(self, name: str) -> None:
        """Put a drained predictor back; KeyError if unknown."""
        ...

    def traffic(self) -> Traffic:
        """Return the counters since the process started; a change of topology does not reset them."""
        ...
