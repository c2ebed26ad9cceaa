"""The order of loads and faults in a run, and what two topologies of a repeat have in common."""

import dataclasses
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest

from cli import CommandError
from experiments.failover.fault_sequence import BACK_WITHIN_S, LAST_ANSWER_S, FaultSequence, step_of
from experiments.failover.faults.base import FaultContext
from experiments.failover.logs import ActionLog
from experiments.failover.records import ACTIONS, CALM, N_PLUS_1, Action, DomainPlan, FailoverSettings, OfferedLoad
from experiments.failover.windows import find_windows
from experiments.results.store import read_rows
from experiments.testbed.progress import RunProgress
from experiments.testbed.steady_load import LoadPlan
from tests.harness.server_records import SERVER
from tests.unit.experiments.failover.hand_written import SETTINGS_HERE, SINGLE, THREE, TWO

LOADS = [
    OfferedLoad(CALM, 10.0, "by hand", ["none", "crash", "double crash", "surge"]),
    OfferedLoad(N_PLUS_1, 40.0, "by hand", ["crash"]),
]
SETTINGS = dataclasses.replace(SETTINGS_HERE, loads=LOADS)


class NoTime:
    """A stop request with which no time goes by; notes how long was waited."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.patience_s: set[float] = set()

    def wait(self, seconds: float, check: Callable[[], None] = lambda: None) -> None:
        """Notes the wait."""
        self.waits.append(seconds)
        check()

    def wait_until(self, condition: Callable[[], bool], within_s: float, every_s: float = 0.0) -> bool:
        """Looks once."""
        self.patience_s.add(within_s)
        return condition()


class Run:
    """One run of the faults on a deployment on which nothing happens."""

    def __init__(
        self,
        folder: Path,
        plan: DomainPlan,
        repeat: int = 1,
        is_whole: bool = True,
        why_missed: str = "",
        settings: FailoverSettings = SETTINGS,
        is_another_router: bool = False,
    ) -> None:
        folder.mkdir()
        self.stop, self.loads, self.deployment = NoTime(), Mock(), Mock(folder=folder)
        self.deployment.router.is_whole.return_value = is_whole
        if is_another_router:  # not as planned once, under the greater load
            found = iter([False])
            self.deployment.router.admin_url = ""
            self.deployment.router.is_as_planned = lambda: self.loads.add.call_count < 2 or next(found, True)
            self.deployment.router.put_back.return_value = ["router"]
        self.deployment.why_not_refused.return_value = why_missed
        self.extra = Mock()
        record = Mock()
        with closing(ActionLog(folder)) as actions:
            record.side_effect = actions.note
            context = FaultContext(settings, plan, self.deployment, self.extra, self.stop, record, 0.0, 0)  # type: ignore[arg-type]
            sequence = FaultSequence(context, self.loads, actions, repeat)
            steps = [step_of(load, step) for load in LOADS for step in ("load", *load.faults, "again")]
            sequence.run(RunProgress("run", [(step, 0.0) for step in steps]))
        self.actions = list(read_rows(Action, folder / ACTIONS))

    @property
    def plans(self) -> list[LoadPlan]:
        """The loads that were offered."""
        return [call.args[0] for call in self.loads.add.call_args_list]

    @property
    def moments(self) -> list[float]:
        """The random moments of the faults: waits that no setting gives."""
        last_answers_s = SETTINGS_HERE.service_time_s + LAST_ANSWER_S
        return [each for each in self.stop.waits if 0 < each < 1 and each != last_answers_s]

    def targets(self, fault: str) -> list[str]:
        """What the fault hit, each time."""
        return [action.target for action in self.actions if (action.fault, action.action) == (fault, "injected")]


def test_sequence_does_every_fault_of_calm_before_the_greater_load_comes_on_top(tmp_path: Path) -> None:
    """The steady load goes on, and the difference is added; what was done is recorded with its load."""
    run = Run(tmp_path / "run", TWO)
    assert [(plan.kind, plan.rate_per_s) for plan in run.plans] == [("normal", 10.0), ("more", 30.0)]
    assert [call.args[1] for call in run.loads.add.call_args_list] == ["", "more"]
    order = [(action.load, action.fault) for action in run.actions if action.action == "injected"]
    first_round = [(load.name, fault) for load in LOADS for fault in load.faults]
    assert list(dict.fromkeys(order)) == first_round
    assert order.count((CALM, "crash")) == 3, "no request was recorded, so each window is repeated twice"
    surge = run.extra.prepare.call_args_list[0].args
    assert surge[:3] == ("surge", 20.0, SETTINGS.repair_after_s)


def test_sequence_draws_the_same_in_every_topology_of_a_repeat(tmp_path: Path) -> None:
    """Moments, targets and seeds, though one topology skips a fault; another repeat has others."""
    two, three, single = (Run(tmp_path / plan.name, plan) for plan in (TWO, THREE, SINGLE))
    other = Run(tmp_path / "other", TWO, repeat=2)
    assert two.plans == three.plans == single.plans
    assert two.moments == three.moments
    assert set(single.moments) < set(two.moments), "single skips the double crash and draws nothing for it"
    assert two.extra.prepare.call_args_list == single.extra.prepare.call_args_list
    assert two.plans[0].seed != two.plans[1].seed
    assert not set(two.moments) & set(other.moments)
    assert other.plans[0].seed != two.plans[0].seed


def test_sequence_hits_the_same_place_in_topologies_with_equally_many_actives(tmp_path: Path) -> None:
    """One drawn share of the list decides, over the attempts each place is hit."""
    renamed = DomainPlan("mine", {"a": 10, "b": 10, "c": 10}, {"a": "active", "b": "active", "c": "standby"}, {})
    two, mine = Run(tmp_path / "two", TWO), Run(tmp_path / "mine", renamed)
    places = {"predict1": "a", "predict2": "b"}
    assert [places[name] for name in two.targets("crash")] == mine.targets("crash")


def test_sequence_under_a_greater_load_waits_for_no_failback(tmp_path: Path) -> None:
    """Nothing may be missing; that a standby serves is as it should be, and nobody puts it back."""
    run = Run(tmp_path / "run", TWO)
    assert run.deployment.router.is_whole.call_count >= 2
    assert run.deployment.router.put_back.call_count == 0


def test_sequence_that_never_recovers_says_what_it_waited_for(tmp_path: Path) -> None:
    """An active that is missing for good under the greater load ends the run."""
    with pytest.raises(CommandError, match="waited 60 s for every active to serve again, in vain"):
        Run(tmp_path / "run", TWO, is_whole=False)


def test_sequence_restarts_another_router_that_is_not_as_planned_under_a_greater_load_too(tmp_path: Path) -> None:
    """It tells nothing of who serves for whom: its operator's means is the same under every load."""
    run = Run(tmp_path / "run", TWO, is_whole=False, is_another_router=True)
    assert [action.target for action in run.actions if action.action == "put back"] == ["router"]


def test_sequence_records_why_a_fault_missed_and_repeats_it(tmp_path: Path) -> None:
    """The reason is the action's target, and the window is none that counts."""
    run = Run(tmp_path / "run", TWO, why_missed="port 1 of predict1 still takes connections after 1 s")
    missed = [action for action in run.actions if action.action == "missed"]
    assert {action.fault for action in missed} == {"crash", "double crash"}
    assert {action.target for action in missed} == {"port 1 of predict1 still takes connections after 1 s"}
    assert all(window.missed for window in find_windows(missed_steps(run), SETTINGS))


def missed_steps(run: Run) -> list[Action]:
    """What was done in the windows of faults that missed."""
    numbers = {action.window for action in run.actions if action.action == "missed"}
    return [action for action in run.actions if action.window in numbers]


def test_recovery_is_awaited_for_as_long_as_a_users_server_takes_to_be_ready(tmp_path: Path) -> None:
    """A cold standby that a fault has wanted may be loading its model still."""
    slow = dataclasses.replace(SERVER, preflight=dataclasses.replace(SERVER.preflight, ready_after_s=90.0))
    run = Run(tmp_path / "run", THREE, settings=dataclasses.replace(SETTINGS, server=slow))
    assert max(run.stop.patience_s) == BACK_WITHIN_S + 90.0
