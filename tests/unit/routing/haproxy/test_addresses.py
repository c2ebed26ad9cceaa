"""Where HAProxy finds predictors whose host is a name: known at the start, found later, moved."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from routing.haproxy.addresses import Addresses
from routing.haproxy.runtime import RuntimeApi, RuntimeApiError
from routing.topology import parse
from routing.upstream.errors import NoConnection

DOCUMENT = {
    "fixed": {"status": True, "port": 1, "host": "10.0.0.1"},
    "known": {"status": True, "port": 2, "host": "known.example"},
    "late": {"status": False, "port": 3, "host": "late.example"},
}
TOPOLOGY = parse(json.dumps(DOCUMENT), Path("own.json"), 10)


class FakeUpstream:
    """A predictor that answers where a test says, or nowhere."""

    def __init__(self, address: str | None, is_name: bool = True) -> None:
        self.resolver = SimpleNamespace(first=address, is_name=is_name)

    def check_health(self) -> None:
        """Is well where there is an address."""
        if self.resolver.first is None:
            raise NoConnection("unknown")


class FakeRuntime(RuntimeApi):
    """Notes what HAProxy is told, and answers as it does."""

    def __init__(self) -> None:
        super().__init__("/nowhere")
        self.told: list[str] = []
        self.answer = "IP changed from '192.0.2.1' to '10.0.0.3' by 'stats socket command'"

    def query(self, commands: list[str]) -> str:
        """Answers as HAProxy 2.6."""
        self.told += commands
        return self.answer if "addr" in commands[0] else "\n"


@pytest.fixture
def upstreams() -> dict[str, Any]:
    """The predictors; one is nowhere yet."""
    found = {"fixed": FakeUpstream("10.0.0.1", is_name=False), "known": FakeUpstream("10.0.0.2")}
    return {**found, "late": FakeUpstream(None)}


def test_addresses_resolved_gives_addresses_and_names_who_has_none(upstreams: dict[str, Any]) -> None:
    """HAProxy starts without the predictor that answered nowhere, instead of refusing them all."""
    topology, nowhere = Addresses(TOPOLOGY, upstreams).resolved()
    assert [entry.host for entry in topology.entries] == ["10.0.0.1", "10.0.0.2", "late.example"]
    assert nowhere == ["late"]


def test_addresses_find_finds_who_came_and_who_moved_and_tells_each_once(upstreams: dict[str, Any]) -> None:
    """A predictor that is well where HAProxy does not look for it is moved there, its spare entry too."""
    addresses, runtime = Addresses(TOPOLOGY, upstreams), FakeRuntime()
    addresses.resolved()
    assert addresses.find(["fixed", "known", "late"]) == {}
    upstreams["late"].resolver.first, upstreams["known"].resolver.first = "10.0.0.3", "10.0.0.4"
    found = addresses.find(["fixed", "known", "late"])
    assert found == {"known": "10.0.0.4", "late": "10.0.0.3"}
    addresses.apply(runtime, found)
    assert [told.removeprefix("set server pool/") for told in runtime.told] == [
        "known addr 10.0.0.4",
        "known state ready",
        "late addr 10.0.0.3",
        "late.spare addr 10.0.0.3",
        "late state ready",
    ]
    assert addresses.find(["known", "late"]) == {}


def test_addresses_apply_what_haproxy_does_not_take_is_told_again(upstreams: dict[str, Any]) -> None:
    """An order that HAProxy refuses is not taken for carried out."""
    addresses, runtime = Addresses(TOPOLOGY, upstreams), FakeRuntime()
    upstreams["late"].resolver.first = "10.0.0.3"
    found = addresses.find(["late"])
    runtime.answer = "No such server."
    with pytest.raises(RuntimeApiError, match="No such server"):
        addresses.apply(runtime, found)
    assert addresses.find(["late"]) == found
