"""A cold standby by hand, with each engine: the router says when its process is wanted, and the test starts it."""

import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tests.harness.deployment import Deployment
from tests.harness.http_client import fetch
from tests.harness.load import CAPACITY
from tests.harness.processes import assert_mistake, run_router
from tests.harness.project import SAMPLE
from tests.harness.stage import HOLD_DOWN_S, Stage
from tests.harness.waiting import wait_until

LOAD_TIME_S = 1.0


@pytest.fixture(params=["flask", "haproxy"])
def deployed(stage: Stage, request: pytest.FixtureRequest) -> Deployment:
    """A router on `2cold` before two predictors; the third is not started, and takes a second to load."""
    kinds = [stage.echo, stage.echo, partial(stage.echo, load_time_s=LOAD_TIME_S)]
    return stage.deploy_processes("2cold", kinds, "--engine", request.param, "--hold-down", str(HOLD_DOWN_S), cold=1)


def state(deployed: Deployment) -> str:
    """The cold standby's state by the router."""
    return str(deployed.router.predictors("state")[2])


def wait_for(deployed: Deployment, *words: str) -> list[str]:
    """Waits until the cold standby's state is the last of these; returns which of them were seen on the way."""
    seen: list[str] = []

    def reached() -> bool:
        now = state(deployed)
        if seen[-1:] != [now]:
            seen.append(now)
        return now == words[-1]

    wait_until(reached)
    return seen


def start(deployed: Deployment) -> None:
    """Starts the cold standby's process, as an operator would who was told to."""
    deployed.processes[2:] = [deployed.starters[2]()]


def test_cold_standby_takes_over_from_a_crashed_active_and_is_cold_again(deployed: Deployment) -> None:
    """Wanted, loading, serving, standby, cold: as long as it is needed, and without a request lost.

    One active has room for all requests, so that nothing is lost while the standby's process starts.
    """
    assert state(deployed) == "cold"
    with deployed.load() as load:
        wait_until(lambda: load.answered_by("predict1"))
        deployed.processes[0].kill()
        assert wait_for(deployed, "wanted") in (["wanted"], ["cold", "wanted"])
        assert "predict3 is wanted: start it (predict1 is down)\n" in deployed.router.output()
        start(deployed)
        assert wait_for(deployed, "serving") in (["wanted", "loading", "serving"], ["loading", "serving"])
        wait_until(lambda: load.answered_by("predict3"))
        deployed.restart(0)
        wait_for(deployed, "standby")
        wait_until(lambda: deployed.router.loads()[2] == 0)
        deployed.processes[2].signal(signal.SIGTERM)
        wait_for(deployed, "cold")
    assert (load.lost(), load.wrong()) == ([], [])
    first, second, *later = deployed.router.events("predict3")
    assert (first, second) == ("wanted", "started")
    seen = iter(later)  # a busy machine adds failed health checks
    assert [event for event in ("promoted", "demoted", "ended") if event not in seen] == []
    assert deployed.router.predictors("failed")[2] == 0
    deployed.router.stop()
    assert deployed.path.read_bytes() == deployed.initial


def test_cold_standby_killed_while_it_serves_is_wanted_again(deployed: Deployment) -> None:
    """It is ejected as any predictor, what was sent to it goes to another, and it may be started again."""
    deployed.processes[0].kill()
    wait_for(deployed, "wanted")
    start(deployed)
    wait_for(deployed, "serving")
    with deployed.load() as load:
        wait_until(lambda: load.answered_by("predict3"))
        deployed.processes[2].kill()
        wait_for(deployed, "wanted")
        start(deployed)
        wait_for(deployed, "serving")
    assert load.lost() == []
    assert deployed.router.events("predict3")[-5:] == ["promoted", "ejected", "wanted", "started", "promoted"]


def test_cold_standby_is_wanted_for_saturation_until_that_is_over(deployed: Deployment) -> None:
    """The request that finds all at capacity is refused; the want ends when the load has been low for the hold-down."""
    answers = deployed.fetch_at_once(6 * CAPACITY)
    assert "saturated" in {answer.json()["reason"] for answer in answers if answer.status == 503}
    wanted_s = deployed.router.event_time_s("predict3", "wanted")
    assert deployed.router.event_time_s("predict3", "unwanted") - wanted_s >= HOLD_DOWN_S
    assert state(deployed) == "cold"
    assert deployed.router.predictors("status") == [True, True, False]


def test_cold_standby_that_nobody_starts_is_no_failure(deployed: Deployment) -> None:
    """Neither an event nor a line of the log nor a counter speaks of it, however often it is probed."""
    end_s = time.monotonic() + 2.0
    wait_until(lambda: time.monotonic() > end_s)
    assert deployed.router.snapshot()["events"] == []
    assert "predict3" not in deployed.router.output() + deployed.router.errors()
    third = deployed.router.snapshot()["predictors"]["predict3"]
    assert {key: third[key] for key in ("state", "standby", "wanted", "up", "failed")} == {
        "state": "cold", "standby": "cold", "wanted": False, "up": False, "failed": 0
    }  # fmt: skip


@pytest.mark.parametrize(("status", "standby"), [("true", '"cold"'), ("false", '"hot"')])
def test_standby_key_that_cannot_be_is_told_at_the_start(tmp_path: Path, status: str, standby: str) -> None:
    """One line with file, predictor, value and remedy; nothing is served."""
    path = tmp_path / "own.json"
    path.write_text(
        f'{{"a": {{"status": true, "port": 1}}, "b": {{"status": {status}, "port": 2, "standby": {standby}}}}}'
    )
    remedy = "leave it out" if status == "true" else 'give "cold" or "warm"'
    assert_mistake(run_router("--topology", str(path)), str(path), f"b: standby is {standby}: {remedy}")


def test_predictor_answers_503_while_it_loads(stage: Stage) -> None:
    """It listens at once, says that it loads, and when to ask again; then it serves."""
    predictor = stage.light_predictor("predict3", stage.reserve_port(), "--load-time", "2", service_time_s=0.0)
    [url] = predictor.addresses(1)
    health, answer = fetch(url, "/health"), fetch(url, body=SAMPLE)
    assert (health.status, health.json()) == (503, {"status": "loading", "predictor": "predict3"})
    assert (answer.status, answer.json()["reason"]) == (503, "loading")
    assert 1 <= int(answer.headers["retry-after"]) <= 2
    wait_until(lambda: fetch(url, "/health").status == 200)
    assert fetch(url, body=SAMPLE).status == 200
