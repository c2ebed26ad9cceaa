"""A router that is not this project's in a deployment: what it does is read off its answers."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from experiments.testbed import other_router
from experiments.testbed.other_router import OtherRouter
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.routers.router_file import read
from experiments.testbed.servers.probes import Outcome
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import find_topology
from server_file import OWN, Server
from tests.harness.project import ROOT

REFUSED = Outcome(502, "answers 502 Bad Gateway")


def by(name: str) -> Outcome:
    """A good answer of that predictor."""
    return Outcome(200, "answers 200 OK", b'{"prediction": "benign"}', name)


Answering = Callable[..., OtherRouter]


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Makes nginx before 2active, which answers so, and for ever as it did last; `server`: what the predictors are."""

    def make(*outcomes: Outcome, server: Server = OWN, are_well: Callable[[], bool] = lambda: True) -> OtherRouter:
        coming: Iterator[Outcome] = iter(outcomes)
        latest = [outcomes[-1]]

        def answer(*_: object) -> Outcome:
            latest[0] = next(coming, latest[0])
            return latest[0]

        monkeypatch.setattr(other_router, "predict", answer)
        topology = find_topology("2active", Programs(ROOT).topologies)
        servers, settings = dict.fromkeys(topology.predictors, server), DeploymentSettings(0.1, 10)
        return OtherRouter(read(ROOT / "routers" / "nginx.json"), topology, servers, settings, tmp_path, are_well)

    return make


def test_other_router_is_as_planned_once_every_active_has_answered_through_it(answering: Answering) -> None:
    """Health alone says nothing of its rotation; each time this must be seen anew, and a standby need not answer."""
    router = answering(by("predict1"), by("predict1"), REFUSED, by("predict2"), by("predict1"), by("predict2"))
    assert [router.is_as_planned() for _ in range(6)] == [False, False, False, True, False, True]


def test_other_router_is_not_as_planned_while_a_predictor_is_unwell(answering: Answering) -> None:
    """What was seen before that is forgotten, and nothing is asked."""
    well = Mock(side_effect=[True, False, True, True])
    router = answering(by("predict1"), by("predict2"), by("predict1"), are_well=well)
    assert [router.is_as_planned() for _ in range(4)] == [False, False, False, True]
    assert router.state() is None
    assert router.admin_url == ""


def test_other_router_before_users_servers_is_as_planned_after_good_answers_in_a_row(answering: Answering) -> None:
    """Where none says who answers: two for each predictor, none refused between. An unknown name is none."""
    good = Outcome(200, "answers 200 OK", b"0.7")
    router = answering(
        *[good] * 4, by("10.0.0.7:80"), REFUSED, good, server=Server(file=Path("my.json"), command=("serve",))
    )
    found = [router.is_as_planned() for _ in range(12)]
    assert found.index(True) == 11


def test_other_router_before_users_servers_that_say_who_answers_is_as_planned_once_they_have(
    answering: Answering,
) -> None:
    """By X-Predictor, theirs or the router's."""
    server = Server(file=Path("my.json"), command=("serve",))
    router = answering(by("predict1"), by("predict1"), by("predict2"), server=server)
    assert [router.is_as_planned() for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("name", ["predict1", ""])
def test_other_router_that_a_restart_does_not_change_is_awaited_no_more(
    answering: Answering, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It keeps requests from an active by its own rules, or fails some: no run fails for that, nor is it awaited again.

    One that answers nothing well is still not as planned.
    """
    monkeypatch.setattr(other_router, "SHOWN_WITHIN_S", 0.05)
    router = answering(by(name))
    monkeypatch.setattr(router, "_started", Mock())
    outcomes = itertools.cycle([by(name), REFUSED])
    monkeypatch.setattr(other_router, "predict", lambda *_: next(outcomes))
    assert not any(router.is_as_planned() for _ in range(20))
    list(router.put_back())
    assert any(router.is_as_planned() for _ in range(2))
    router.take_back("predict2", StopRequest())
    monkeypatch.setattr(other_router, "predict", lambda *_: REFUSED)
    assert not router.is_as_planned()


def test_other_router_that_never_shows_it_is_not_waited_for_without_end(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A predictor that stays out, or stays in rotation though down, fails no run."""
    monkeypatch.setattr(other_router, "SHOWN_WITHIN_S", 0.05)
    asked = Mock(return_value=REFUSED)
    router = answering(REFUSED)
    monkeypatch.setattr(other_router, "predict", asked)
    router.wait_until_out("predict1", StopRequest())
    router.take_back("predict1", StopRequest())
    assert asked.call_count >= 4
    asked.reset_mock()
    router.take_back("predict3", StopRequest())
    assert asked.call_count == 0, "a standby does not answer by plan"


def test_other_router_has_a_predictor_out_once_as_many_as_are_left_have_answered(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a row, so that the surge of a fault comes soon after the kill; of a domain it is waited for longer."""
    asked = Mock(side_effect=[by("predict2"), REFUSED, by("predict2"), by("predict2"), *[by("predict2")] * 6])
    router = answering(REFUSED)
    monkeypatch.setattr(other_router, "predict", asked)
    router.wait_until_out("predict1", StopRequest())
    assert asked.call_count == 4
    router.wait_until_replaced(["predict1"], StopRequest(), 5.0)
    assert asked.call_count == 4 + 6


def test_other_router_is_put_back_by_its_restart(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its operator has no other means; a crash is a kill of all of it and a start."""
    monkeypatch.setattr(other_router, "SHOWN_WITHIN_S", 0.05)
    router = answering(REFUSED)
    process = Mock()
    monkeypatch.setattr(router, "_started", process)
    assert list(router.put_back()) == ["router"]
    router.upgrade()
    router.crash()
    assert [call[0] for call in process.mock_calls] == ["restart", "restart", "crash", "start_again"]
    assert router.drains is False
