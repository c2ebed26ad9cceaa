"""The operator of cold standbys: starts what the router wants, stops what waits again, and tells of both."""

from collections.abc import Callable
from typing import Any

import pytest

from cli import CommandError
from experiments.testbed import cold_standbys
from experiments.testbed.cold_standbys import ColdStandbyOperator
from experiments.testbed.signals import StopRequest

DEADLINE_S = 10.0


class Rig:
    """A router that says what it is told to, and a predictor that only counts."""

    def __init__(self) -> None:
        self.states: dict[str, str] | None = {"predict1": "serving", "predict3": "cold"}
        self.running = False
        self.noted: list[tuple[str, str]] = []
        self.looks = 0

    def state(self) -> dict[str, Any] | None:
        """As a router answers."""
        self.looks += 1
        return self.states and {"predictors": {name: {"state": state} for name, state in self.states.items()}}

    def start(self, _: str) -> bool:
        """Starts it unless it runs."""
        before, self.running = self.running, True
        return not before

    def stop(self, _: str) -> bool:
        """Stops it if it runs."""
        before, self.running = self.running, False
        return before

    def note(self, action: str, target: str) -> None:
        """Keeps what was done."""
        self.noted.append((action, target))

    def operator(self, *names: str) -> ColdStandbyOperator:
        """An operator of these."""
        return ColdStandbyOperator(names, self.state, self.start, self.stop, self.note)

    def see(self, states: dict[str, str] | None) -> None:
        """Has the router say this, until it was asked twice more."""
        self.states = states
        looks = self.looks + 2
        wait_for(lambda: self.looks >= looks)


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until it holds, or fails."""
    assert StopRequest().wait_until(condition, DEADLINE_S, 0.01), "waited in vain"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_standbys, "POLL_EVERY_S", 0.01)


def test_operator_starts_what_is_wanted_once_and_stops_what_waits_again() -> None:
    """Wanted: started, once. Loading and serving: left alone. Standby again: stopped. A silent router: nothing."""
    rig = Rig()
    operator = rig.operator("predict3")
    operator.begin()
    for state in ("cold", "wanted", "loading", "serving"):
        rig.see({"predict1": "serving", "predict3": state})
    rig.see(None)
    assert rig.noted == [("started", "predict3")]
    rig.see({"predict1": "standby", "predict3": "standby"})
    operator.end()
    assert (rig.noted, rig.running) == ([("started", "predict3"), ("stopped", "predict3")], False)
    operator.require_well()


def test_operator_of_nothing_asks_nobody() -> None:
    """Where no standby is cold, no thread polls the router."""
    rig = Rig()
    operator = rig.operator()
    operator.begin()
    operator.end()
    assert rig.looks == 0


def test_operator_tells_of_a_start_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run learns of it where it checks its processes."""

    def fail(_: str) -> bool:
        raise CommandError("predict3 could not be started")

    rig = Rig()
    monkeypatch.setattr(rig, "start", fail)
    operator = rig.operator("predict3")
    operator.begin()
    rig.states = {"predict3": "wanted"}
    with pytest.raises(CommandError, match="predict3 could not be started"):
        StopRequest().wait(DEADLINE_S, operator.require_well)
    operator.end()
