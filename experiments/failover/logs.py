"""What a failover run writes as it happens: the faults' actions, and the event logs of routers that come and go."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.failover.records import ACTIONS, CALM, Action
from experiments.results.store import EVENTS, RowWriter, write_json

SAME_WITHIN_S = 0.05
"""Another process of the router may tell an event's time anew: it may differ by rounding, never by this much."""


class ActionLog:
    """Writes faults.csv as things are done."""

    def __init__(self, folder: Path) -> None:
        self._writer: RowWriter[Action] = RowWriter(folder / ACTIONS, Action)
        self._window = 0
        self._fault, self._load = "", CALM
        self._lock = threading.Lock()

    def begin(self, fault: str, load: str) -> None:
        """Begins the next window: what follows belongs to this fault, under the load of this name."""
        with self._lock:
            self._window, self._fault, self._load = self._window + 1, fault, load

    def note(self, action: str, target: str = "") -> float:
        """Writes one action, as of now; returns its epoch second. Safe between threads."""
        with self._lock:
            at_s = round(time.time(), 6)
            self._writer.write([Action(at_s, self._window, self._fault, action, target, self._load)])
        return at_s

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()


class EventLog:
    """Gathers the events of a run: a router keeps the latest, and one that is killed takes its last with it."""

    def __init__(self, get_state: Callable[[], dict[str, Any] | None]) -> None:
        self._get_state = get_state
        self._lock = threading.Lock()
        self._latest_s: dict[tuple[str, str, str], float] = {}
        self._events: list[dict[str, Any]] = []

    def poll(self) -> dict[str, Any] | None:
        """Gets the router's state, and adds the events in it that are new.

        An event is known by what happened to which predictor: the same cannot happen twice in SAME_WITHIN_S.
        """
        state = self._get_state()
        with self._lock:
            for event in state["events"] if state else ():
                key = (event["event"], event["predictor"], event["reason"])
                if event["time"] > self._latest_s.get(key, 0.0) + SAME_WITHIN_S:
                    self._latest_s[key] = event["time"]
                    self._events.append(event)
        return state

    def write(self, folder: Path) -> None:
        """Writes events.json."""
        with self._lock:
            write_json(folder / EVENTS, sorted(self._events, key=lambda event: float(event["time"])))
