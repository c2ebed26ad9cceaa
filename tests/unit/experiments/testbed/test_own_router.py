"""This project's router in a deployment, by what its admin port says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import CommandError
from experiments.testbed import own_router
from experiments.testbed.own_router import OwnRouter
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import find_topology
from tests.harness.project import ROOT

States = dict[str, str]
AS_PLANNED = {"predict1": "serving", "predict2": "serving", "predict3": "standby"}
ROLES = {"predict1": "active", "predict2": "active", "predict3": "standby"}


@pytest.fixture
def telling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[States | None], OwnRouter]:
    """Makes a router of 2active whose admin port tells these states; None: it does not answer."""

    def make(states: States | None) -> OwnRouter:
        programs = Programs(ROOT)
        topology = find_topology("2active", programs.topologies)
        router = OwnRouter(topology, programs, DeploymentSettings(1.0, 10), tmp_path, lambda: False)
        predictors: Any = {name: {"state": state, "role": ROLES[name]} for name, state in (states or {}).items()}
        monkeypatch.setattr(router, "state", lambda: {"predictors": predictors} if states else None)
        return router

    return make


@pytest.mark.parametrize(
    ("states", "as_planned", "whole", "replaced"),
    [
        (AS_PLANNED, True, True, False),
        (AS_PLANNED | {"predict3": "serving"}, False, True, False),
        (AS_PLANNED | {"predict1": "down", "predict3": "serving"}, False, False, True),
        (AS_PLANNED | {"predict1": "down", "predict3": "wanted"}, False, False, False),
        (None, False, False, False),
    ],
)
def test_own_router_is_what_its_states_say(
    telling: Callable[[States | None], OwnRouter], states: States | None, as_planned: bool, whole: bool, replaced: bool
) -> None:
    """All in their roles; no predictor missing; one that is down replaced: by its word, which an outage leaves open."""
    router = telling(states)
    assert (router.is_as_planned(), router.is_whole(), router.has_replaced(["predict1"])) == (
        as_planned, whole, replaced,
    )  # fmt: skip


def test_own_router_that_does_not_obey_is_waited_for_and_named(
    telling: Callable[[States | None], OwnRouter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A predictor that it never takes out, drained or down, ends the run with an error."""
    monkeypatch.setattr(own_router, "ORDERED_WITHIN_S", 0.0)
    ordered: list[str] = []
    monkeypatch.setattr(own_router, "post_json", lambda url, _: ordered.append(url.rpartition("/")[2]))
    router = telling(AS_PLANNED | {"predict1": "draining"})
    with pytest.raises(CommandError, match="predict1 is still draining after 0 s: not drained"):
        router.take_out("predict1", StopRequest())
    with pytest.raises(CommandError, match="predict1 is still draining after 0 s: not down"):
        router.wait_until_out("predict1", StopRequest())
    with pytest.raises(CommandError, match="the domain to be out and replaced, in vain"):
        router.wait_until_replaced(["predict1"], StopRequest(), 0.0)
    assert ordered == ["drain"]


def test_own_router_puts_back_what_the_load_has_promoted(
    telling: Callable[[States | None], OwnRouter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each standby in rotation is drained and readied, and no active."""
    ordered: list[str] = []
    monkeypatch.setattr(own_router, "post_json", lambda url, _: ordered.append(url.partition("predictors/")[2]))
    assert list(telling(AS_PLANNED | {"predict3": "serving"}).put_back()) == ["predict3"]
    assert ordered == ["predict3/drain", "predict3/ready"]
