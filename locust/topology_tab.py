"""The tab "Topology": every predictor as the router's admin port shows it, and what it did in this run."""

import argparse
import contextlib
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import gevent

from admin_client import ADMIN_TIMEOUT_S, AdminError, get_topology, predictors_in, topology_name
from swarm import one_line
from web_tabs import MAX_ROWS, Cells, Tab, clock

REFRESH_INTERVAL_S = 1.0  # of the router's state, however many pages are open
POLL_TIMEOUT_S = 0.5  # a poll waits no longer for the router; then it gets what was known before
LAST_POLL_TIMEOUT_S = ADMIN_TIMEOUT_S + 0.5  # once a run has stopped the page asks no more: what it gets then stays

COLUMNS = {
    "predictor": "Predictor",
    "role": "Role",
    "status": "Status",
    "load": "Load / capacity",
    "peak": "Peak load so far",
    "served": "Served, this run",
    "failed": "Failed answers, this run",
    "resent": "Sent again to another, this run",
    "topology": "Topology",
    "seen": "As of",
}
COUNTED = ("served", "failed", "resent")
"""The router's counters since its topology came into service."""


class RunCounters:
    """The router's counters less what they stood at when the run started: they go on from run to run."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._baseline: dict[str, dict[str, Any]] | None = None
        self._since: Any = None

    def set_baseline(self, state: dict[str, Any]) -> None:
        """Sets the router's state as that of the run's start."""
        self._baseline, self._since = predictors_in(state), state.get("since")

    def value(self, state: dict[str, Any], predictor: str, key: str) -> Any:
        """Returns a predictor's count in this run; "unknown" where the router did not answer when the run started.

        The counts of a topology begin at 0 when it comes in; `since` (epoch seconds) says when that was. So after a
        change in mid-run they are of the run's part since then.
        """
        count, since = predictors_in(state)[predictor].get(key), state.get("since")
        if not isinstance(count, int):
            return count
        if self._baseline is None:
            return count if isinstance(since, (int, float)) and since >= self._started_s else "unknown"
        before = self._baseline.get(predictor, {}).get(key) if since == self._since else 0
        return max(0, count - before) if isinstance(before, int) else count  # `state` may be older than the start


class TopologyPoller:
    """The router's state for the page: fetched when a page polls, at most about once a second."""

    def __init__(self, options: argparse.Namespace, get: Callable[[str], dict[str, Any]] = get_topology) -> None:
        self._options = options
        self._get = get
        self._fetched_s = -REFRESH_INTERVAL_S
        self._fetching: Any = None
        self._state: dict[str, Any] | None = None
        self._state_s = 0.0
        self._error: tuple[str, str] = (options.admin, "not asked yet")
        self._counters: RunCounters | None = None

    def on_test_start(self, **_: Any) -> None:
        """Begins a run: from now on its counts are shown."""
        self._counters = RunCounters(time.time())
        gevent.spawn(self._set_baseline, self._counters, self._options.admin)

    def refresh(self, polling: bool) -> None:
        """Brings the state up to date, or leaves it as it is where that takes longer than the poll may."""
        if self._fetching is None and time.monotonic() - self._fetched_s >= REFRESH_INTERVAL_S:
            self._fetched_s = time.monotonic()
            self._fetching = gevent.spawn(self._fetch, self._options.admin)
        if self._fetching is not None:
            self._fetching.join(timeout=POLL_TIMEOUT_S if polling else LAST_POLL_TIMEOUT_S)

    def topology(self) -> str | None:
        """Returns the topology's name; None where it is not known."""
        return topology_name(self._state) if self._state else None

    def tab(self) -> Tab:
        """Returns the tab."""
        return Tab("topology", "Topology", COLUMNS, self.rows)

    def rows(self) -> list[Cells]:
        """Returns one row per predictor; where the router does not answer, rows with the reason and the remedy."""
        if self._state is None:
            admin, error = self._error
            if not admin:
                return [{"predictor": "Nothing is known of the predictors: no Admin address is given."}]
            remedy = "Start it (python router.py), or correct Admin under Custom parameters."
            return [{"predictor": f"The router cannot be asked at {admin}: {error}."}, {"predictor": remedy}]
        common: Cells = {"topology": self.topology() or "unknown", "seen": clock(self._state_s)}
        shown = islice(predictors_in(self._state).items(), MAX_ROWS)
        return [predictor_row(name, figures) | self._counts(self._state, name) | common for name, figures in shown]

    def _counts(self, state: dict[str, Any], name: str) -> Cells:
        """Returns the columns that count the run; before the first run there is nothing to count."""
        counters = self._counters
        return {key: _number(counters.value(state, name, key)) if counters else "-" for key in COUNTED}

    def _set_baseline(self, counters: RunCounters, admin: str) -> None:
        with contextlib.suppress(AdminError):
            counters.set_baseline(self._get(admin))

    def _fetch(self, admin: str) -> None:
        try:
            self._state, self._state_s = self._get(admin), time.time()
        except AdminError as error:
            self._state, self._error = None, (admin, str(error))
        finally:
            self._fetching = None


def predictor_row(name: str, figures: dict[str, Any]) -> Cells:
    """Returns a predictor as the page shows it: whatever came over the network, short text or a whole number."""
    role, promoted = figures.get("role"), figures.get("role") == "standby" and figures.get("status") is True
    return {
        "predictor": one_line(name),
        "role": one_line(f"{'cold ' if figures.get('standby') == 'cold' else ''}{role}"),
        "status": one_line(f"{figures.get('state')}{', promoted' if promoted else ''}"),
        "load": one_line(f"{figures.get('load')} / {figures.get('capacity')}"),
        "peak": _number(figures.get("peak_load")),
    }


def _number(value: Any) -> str | int:
    return value if isinstance(value, int) else one_line(str(value))
