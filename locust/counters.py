"""What the router counted in one run: its counts go on from run to run, so those at the run's start are taken off."""

from __future__ import annotations

from typing import Any

from admin_client import predictors_in


class RunCounts:
    """The router's counts as a run found them."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._found: dict[str, dict[str, Any]] | None = None
        self._since: Any = None

    def found(self, state: dict[str, Any]) -> None:
        """Take this as the state at the run's start."""
        self._found, self._since = predictors_in(state), state.get("since")

    def of_run(self, state: dict[str, Any], name: str, key: str) -> Any:
        """A predictor's count in this run; "unknown" where the router could not be asked when the run started.

        The counts of a topology begin at 0 when it comes in; `since` (epoch seconds) says when that was. So after a
        change in mid-run they are of the run's part since then.
        """
        count, since = predictors_in(state)[name].get(key), state.get("since")
        if not isinstance(count, int):
            return count
        if self._found is None:
            return count if isinstance(since, (int, float)) and since >= self._started_s else "unknown"
        before = self._found.get(name, {}).get(key) if since == self._since else 0
        return max(0, count - before) if isinstance(before, int) else count  # `state` may be older than the start
