"""A predictor that dies and comes back again and again, in a process of its own that is killed and started."""

import time
from itertools import pairwise
from typing import Any

import pytest

from tests.harness.deployment import Deployment
from tests.harness.load import CAPACITY
from tests.harness.measurements import record
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

GOOD_SHARE = 0.99


def flap(deployed: Deployment, up_s: float, down_s: float, length_s: float) -> int:
    """Kills and starts predict1 for `length_s`; returns how often. Its times up and down are the fault itself."""
    flaps, end_s = 0, time.monotonic() + length_s
    while time.monotonic() < end_s:
        deployed.processes[0].kill()
        time.sleep(down_s)
        deployed.restart(0)
        time.sleep(up_s)
        flaps += 1
    return flaps


def least_between_s(events: list[dict[str, Any]], predictor: str, *kinds: str) -> float:
    """The least time between two events of these kinds of the predictor, in s; infinite if there are no two."""
    times = [event["time"] for event in events if event["predictor"] == predictor and event["event"] in kinds]
    return min((later - earlier for earlier, later in pairwise(times)), default=float("inf"))


def role_changes_too_soon(events: list[dict[str, Any]], hold_down_s: float) -> list[dict[str, Any]]:
    """The standby's role changes within a hold-down of its last one, other than to replace a further failure."""
    changes = [event for event in events if event["event"] in ("promoted", "demoted")]
    soon = [now for last, now in pairwise(changes) if now["time"] - last["time"] < hold_down_s - 0.01]
    return [event for event in soon if not (event["event"] == "promoted" and event["reason"].endswith("down"))]


@pytest.mark.parametrize(
    ("up_s", "down_s", "length_s", "hold_down_s"),
    [(0.5, 0.5, 20.0, 5.0), (1.6, 0.4, 12.0, 2.0)],
    ids=["half-a-second", "long-enough-to-return"],
)
def test_flapping_active_costs_next_to_nothing_and_changes_no_role_too_often(
    stage: Stage, up_s: float, down_s: float, length_s: float, hold_down_s: float
) -> None:
    """At least 99 % of the answers are good; a predictor returns, and a role changes, once per hold-down at most."""
    deployed = stage.deploy_echo("--hold-down", str(hold_down_s))
    router = deployed.router
    with deployed.load() as load:
        wait_until(lambda: load.answered_by("predict1"))
        flaps = flap(deployed, up_s, down_s, length_s)
        wait_until(
            lambda: deployed.path.read_bytes() == deployed.initial or router.predictors("status") == [True, True, False]
        )
    events = router.snapshot()["events"]
    good = 1 - len(load.lost()) / len(load.answers)
    returned = router.events("predict1").count("readmitted")
    roles = sum(event["event"] in ("promoted", "demoted") for event in events)
    counts = {"lost": len(load.lost()), "of": len(load.answers), "flaps": flaps}
    record(f"flapping, {up_s:g} s up, {down_s:g} s down", **counts, readmitted=returned, role_changes=roles)
    assert flaps >= length_s / (up_s + down_s) / 2
    assert good >= GOOD_SHARE, load.lost()
    assert load.wrong() == []
    assert least_between_s(events, "predict1", "readmitted") >= hold_down_s - 0.01, events
    assert role_changes_too_soon(events, hold_down_s) == [], events
    assert max(router.predictors("peak_load")) <= CAPACITY
