"""A topology as an HAProxy configuration: pure text, which HAProxy itself accepts."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routing.haproxy.configuration import ProxyOptions, configuration
from routing.topology import Topology, parse, read

ROOT = Path(__file__).resolve().parents[4]
SHIPPED = sorted((ROOT / "topology").glob("*.json"))
OPTIONS = ProxyOptions("127.0.0.1:8000", ROOT / "predictors" / "sample.json", "/tmp/sample.sock", "/tmp/runtime.sock")  # noqa: S108


needs_haproxy = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
ONE = {"a": {"status": True, "port": 1}}


def topology(**predictors: dict[str, Any]) -> Topology:
    """A topology of these entries."""
    return parse(json.dumps(predictors), Path("own.json"), 10)


def lines(text: str, start: str) -> list[str]:
    """The configuration's lines that begin so."""
    return [line.strip() for line in text.splitlines() if line.strip().startswith(start)]


def complaints(text: str, folder: Path) -> tuple[int, str]:
    """The exit status of `haproxy -c` on this configuration, and what it prints against it."""
    file = folder / "haproxy.cfg"
    file.write_text(text)
    ended = subprocess.run(["haproxy", "-c", "-f", str(file)], capture_output=True, text=True)
    return ended.returncode, ended.stderr


@needs_haproxy
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_configuration_of_a_shipped_topology_is_accepted(path: Path, tmp_path: Path) -> None:
    """`haproxy -c` finds nothing to say against it, not even a warning."""
    assert complaints(configuration(read(path, 10), OPTIONS), tmp_path) == (0, "")


def test_configuration_is_a_pure_function() -> None:
    """The same topology and options give the same text."""
    assert configuration(read(SHIPPED[0], 10), OPTIONS) == configuration(read(SHIPPED[0], 10), OPTIONS)


def test_configuration_gives_each_predictor_its_address_and_capacity() -> None:
    """A host of its own, IPv6 in brackets, and its own capacity; a standby has weight 0 and a spare entry."""
    text = configuration(
        topology(
            a={"status": True, "port": "9696", "host": "::1", "capacity": 3},
            b={"status": False, "port": 9697, "host": "model.example"},
        ),
        OPTIONS,
    )
    assert lines(text, "server ") == [
        "server a [::1]:9696 maxconn 3",
        "server b model.example:9697 maxconn 10 weight 0",
        "server b.spare model.example:9697 no-check backup track pool/b weight 1",
    ]


@needs_haproxy
@pytest.mark.parametrize("unresolved", [(), ("b", "c")], ids=["looked_up_by_haproxy", "looked_up_by_the_router"])
def test_configuration_with_unknown_host_names_is_accepted(unresolved: tuple[str, ...], tmp_path: Path) -> None:
    """HAProxy starts without those predictors; those that the router could not find wait to be told an address."""
    unknown = {"port": 1, "host": "no-such-host.invalid"}
    entries = {
        "a": {"status": True, "port": 2},
        "b": {"status": True, **unknown},
        "c": {"status": False, **unknown, "port": 3},
    }
    text = configuration(topology(**entries), replace(OPTIONS, unresolved=unresolved))
    status, printed = complaints(text, tmp_path)
    assert (status, "ALERT" in printed) == (0, False)
    assert ("no-such-host" not in text) == bool(unresolved)


@needs_haproxy
def test_configuration_begins_with_the_weights_it_is_given(tmp_path: Path) -> None:
    """Where HAProxy takes over in the middle, who is drained has weight 0 from the start; even where all are."""
    text = configuration(
        topology(a={"status": True, "port": 1}, b={"status": False, "port": 2}),
        replace(OPTIONS, weights={"a": 0, "b.spare": 0}),
    )
    assert [line.partition(" weight ")[2] for line in lines(text, "server ")] == ["0", "0", "0"]
    assert complaints(text, tmp_path) == (0, "")


@pytest.mark.parametrize(
    ("others", "resend", "retries", "retry_on"),
    [
        ({}, True, ["retries 0"], []),
        ({"b": {"status": True, "port": 2}}, False, ["retries 1"], ["retry-on conn-failure"]),
    ],
    ids=["nobody_else", "no_resend"],
)
def test_configuration_sends_again_only_what_may_be(
    others: dict[str, Any], resend: bool, retries: list[str], retry_on: list[str]
) -> None:
    """Nothing goes twice to one predictor, nor again with `--no-resend` unless it was never sent: all the deadline."""
    text = configuration(topology(**ONE, **others), replace(OPTIONS, resend=resend))
    assert (lines(text, "retries"), lines(text, "retry-on")) == (retries, retry_on)
    assert lines(text, "timeout server") == ["timeout server 10000ms"]


def test_configuration_with_attempts_shares_the_deadline() -> None:
    """All attempts together stay within it."""
    text = configuration(read(ROOT / "topology" / "2active.json", 10), OPTIONS)
    assert (lines(text, "retries"), lines(text, "timeout server")) == (["retries 2"], ["timeout server 3333ms"])


def test_configuration_quotes_paths() -> None:
    """A folder's name may hold anything."""
    text = configuration(topology(**ONE), ProxyOptions("x:1", Path("/a b/it's"), "/c d"))
    assert lines(text, "setenv ROUTER_SAMPLE '") == [r"setenv ROUTER_SAMPLE '/a b/it'\''s'"]
