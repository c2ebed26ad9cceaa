"""What a run writes while it goes on: the routers' events and the steps of each fault."""

import json
from pathlib import Path

from experiments.failover.logs import ActionLog, EventLog
from experiments.failover.records import ACTIONS
from experiments.results.store import EVENTS
from tests.unit.experiments.failover.hand_written import T


def test_event_log_keeps_events_of_routers_that_are_gone(tmp_path: Path) -> None:
    """Each event once, though each answer repeats it with a time that differs by rounding; none lost by a restart."""
    event = {"time": T, "event": "ejected", "predictor": "predict1", "reason": "x"}
    answers = [[event], [event | {"time": T + 0.00001}], [], [event | {"time": T + 9}]]
    states = iter({"events": events} for events in answers)
    log = EventLog(lambda: next(states))
    for _ in answers:
        log.poll()
    log.write(tmp_path)
    assert [round(each["time"] - T) for each in json.loads((tmp_path / EVENTS).read_text())] == [0, 9]


def test_action_log_writes_at_once(tmp_path: Path) -> None:
    """What was done stands in the file while the run goes on."""
    log = ActionLog(tmp_path)
    log.begin("crash", "n+1")
    at_s = log.note("injected", "predict1")
    assert (tmp_path / ACTIONS).read_text().splitlines()[1] == f"{at_s},1,crash,injected,predict1,n+1"
    log.close()
