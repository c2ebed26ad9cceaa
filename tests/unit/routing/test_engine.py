"""What an engine tells of what has happened: events of requests refused, and of the topologies before it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from routing.engine import EngineSettings
from routing.flask_engine import FlaskEngine
from routing.refusals import RefusedError
from routing.upstream.client import Request
from server_file import Server
from tests.harness.stubs import StubPredictor

NOBODY = {"predict1": {"status": True, "load": 0, "port": "9"}}
"""A topology whose predictor is down."""

Open = Callable[..., FlaskEngine]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens engines on topologies of which nobody is up, by name, one after the other."""
    with ExitStack() as ends:

        def open_engine(name: str, previous: FlaskEngine | None = None, threshold: int = 10) -> FlaskEngine:
            path = tmp_path / f"{name}.json"
            if not path.exists():
                path.write_text(json.dumps(NOBODY), encoding="utf-8")
            engine = FlaskEngine.open(path, EngineSettings(threshold), previous)
            ends.callback(engine.close)
            return engine

        yield open_engine


def events(engine: FlaskEngine) -> list[tuple[str, str, str]]:
    """Event, predictor and reason of each, oldest first."""
    return [(event["event"], event["predictor"], event["reason"]) for event in engine.snapshot()["events"]]


def refuse(engine: FlaskEngine) -> None:
    """Has a request refused."""
    with pytest.raises(RefusedError):
        engine.send(Request(b"{}", {"Content-Type": "application/json"}))


EJECTED = ("ejected", "predict1", "connection refused")
REFUSED = ("refused", "", "down: no predictor takes requests")


def test_first_refusal_is_an_event_and_the_next_is_none(opened: Open) -> None:
    """One for the episode, however many requests it refuses."""
    engine = opened("one")
    for _ in range(3):
        refuse(engine)
    assert events(engine) == [EJECTED, REFUSED]


def test_events_survive_a_change_of_topology_which_is_one_itself(opened: Open) -> None:
    """The same list, with the same times, goes on: what changed into what, then what happens there."""
    one = opened("one")
    refuse(one)
    before = one.snapshot()["events"]
    two = opened("two", one)
    three = opened("two", two, threshold=7)
    assert three.snapshot()["events"][:2] == before
    assert events(three)[2:] == [
        ("topology", "", "changed from one to two"),
        EJECTED,
        ("topology", "", "two as before; node_threshold changed from 10 to 7"),
        EJECTED,
    ]


def test_events_of_an_engine_that_is_followed_are_its_own(opened: Open) -> None:
    """What still happens to the topology of before is not told as of the new one."""
    one = opened("one")
    two = opened("two", one)
    told = events(two)
    refuse(one)
    assert events(two) == told


def test_events_kept_over_changes_of_topology_are_bounded(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the topology changes, the list does not grow for ever."""
    kept = 10  # of a thousand: each event costs a write of the file
    monkeypatch.setattr("routing.engine.EVENTS_KEPT", kept)
    monkeypatch.setattr("routing.events.EVENTS_KEPT", kept)
    engine = opened("one")
    for _ in range(kept):
        engine.drain("predict1")
        engine.ready("predict1")
    assert len(opened("two", engine).snapshot()["events"]) == kept


def test_times_of_events_do_not_change_from_one_look_to_the_next(opened: Open) -> None:
    """Whoever polls knows an event again by its time."""
    engine = opened("one")
    refuse(engine)
    assert engine.snapshot()["events"] == engine.snapshot()["events"]


def test_predictor_that_serves_and_is_full_stays_in_rotation_over_a_change_of_topology(tmp_path: Path) -> None:
    """Its health check and a proof are turned away then, as they are at no other time taken for a failure."""
    stub = StubPredictor("predict1", 0)
    settings = EngineSettings(10, server=Server(file=Path("my.json"), payload=b"{}", health_interval_s=5.0))
    with ExitStack() as ends:
        ends.callback(stub.close)

        def opened(name: str, previous: FlaskEngine | None = None) -> FlaskEngine:
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps({"predict1": {"status": True, "load": 0, "port": stub.port}}), encoding="utf-8")
            engine = FlaskEngine.open(path, settings, previous)
            ends.callback(engine.close)
            return engine

        one = opened("one")
        one.send(Request(b"{}", {}))
        stub.most_connections = 0
        assert [event for event, *_ in events(opened("two", one))] == ["topology"]
