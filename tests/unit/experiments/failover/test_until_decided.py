"""When a run that goes on until it has verdicts ends."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from experiments.failover import until_decided
from experiments.failover.until_decided import Budget, Looks, run_until_decided
from experiments.results.store import SETTINGS, read_json
from experiments.theory.verdicts import next_look
from tests.unit.experiments.failover.hand_written import SETTINGS_HERE

OPEN = {"a": "equal", "b": "not decided"}
DECIDED = {"a": "equal", "b": "better"}
OTHERWISE = {"a": "equal", "b": "worse"}


def test_looks_stand_when_two_running_are_alike_and_decided() -> None:
    """Once is not enough, undecided never, and a verdict that changes begins anew."""
    looks = Looks()
    seen = [looks.take(number, verdicts) for number, verdicts in enumerate([OPEN, OPEN, DECIDED, OTHERWISE, OTHERWISE])]
    assert seen == [False, False, False, False, True]
    assert looks.text == "2 of 2 claims decided"
    assert Looks().text == "not judged yet"


def test_looks_come_after_more_and_more_repeats() -> None:
    """To look often is to let chance decide."""
    looks = Looks()
    assert looks.due == next_look(0)
    looks.take(looks.due, OPEN)
    assert looks.due == next_look(next_look(0))


def test_budget_has_room_for_a_repeat_as_long_as_the_longest() -> None:
    """Of 250 s, after repeats of 60 s and 100 s, 90 s are left: none more."""
    times = iter([0.0, 60.0, 60.0, 160.0, 160.0, 160.0])
    budget = Budget(250.0, lambda: next(times))
    budget.end_repeat()
    assert budget.has_room
    budget.end_repeat()
    assert not budget.has_room
    assert budget.text == "at most 1:30 left"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs repeats that do nothing and take `repeat_s`; returns how many, and what was printed."""
    now = [0.0]

    def run_once(verdicts: list[dict[str, str]], repeat_s: float, most_s: float) -> tuple[int, str]:
        looks = iter(verdicts)

        def do(*_: Any) -> None:
            now[0] += repeat_s

        monkeypatch.setattr(until_decided, "run_jobs", do)
        monkeypatch.setattr(until_decided, "Budget", lambda most: Budget(most, lambda: now[0]))
        settings = dataclasses.replace(SETTINGS_HERE, topologies=[], until_decided=True, most_time_s=most_s)
        console = Console(width=200, record=True, quiet=False)
        run_until_decided(settings, [], None, lambda _: next(looks), tmp_path, console)  # type: ignore[arg-type]
        return read_json(tmp_path / SETTINGS)["repeats"], console.export_text()

    return run_once


def test_run_ends_with_two_looks_alike(run: Callable[..., tuple[int, str]]) -> None:
    """Looks after 3 and 4 repeats; settings.json then names as many as were done."""
    repeats, printed = run([DECIDED, DECIDED], 10.0, 900.0)
    assert repeats == next_look(next_look(0)) == 4
    assert "2 of 2 claims decided after 4 repeats, twice alike" in printed


def test_run_ends_when_no_further_repeat_fits(run: Callable[..., tuple[int, str]]) -> None:
    """The last is begun only if it fits by the longest before."""
    repeats, printed = run([OPEN] * 9, 100.0, 650.0)
    assert repeats == 6
    assert "1 of 2 claims decided after 6 repeats: no time for one more" in printed
