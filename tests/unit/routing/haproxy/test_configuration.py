"""A topology as an HAProxy configuration: pure text, which HAProxy itself accepts."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routing.haproxy.configuration import EMPTY, ProxyOptions, configuration, header_variables, why_inexpressible
from routing.topology import Topology, parse, read
from server_file import read as read_server

ROOT = Path(__file__).resolve().parents[4]
SHIPPED = sorted((ROOT / "topology").glob("*.json"))
OPTIONS = ProxyOptions("127.0.0.1:8000", "/tmp/runtime.sock")  # noqa: S108


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
    environment = {**os.environ, "ROUTER_HEADER_1": "Bearer 100%% x", "ROUTER_HEADER_2": EMPTY}
    ended = subprocess.run(["haproxy", "-c", "-f", str(file)], capture_output=True, text=True, env=environment)
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
    assert (lines(text, "retries"), lines(text, "timeout server")) == (["retries 3"], ["timeout server 2500ms"])


OTHER_HEADERS = {"Authorization": "Bearer {env:NO_SUCH_VARIABLE}", "X-Own": "1"}
OTHER = {
    "path": "/v1/a%20b?x='1'z",
    "health": "/up",
    "headers": OTHER_HEADERS,
    "health_interval_s": 0.05,
    "health_timeout_s": 2,
}


def other_topology(folder: Path, **changes: Any) -> Topology:
    """Two predictors of a server file."""
    path = folder / "my-server.json"
    path.write_text(json.dumps({**OTHER, **changes}))
    entries = {name: {"status": True, "port": port} for port, name in enumerate("ab", start=1)}
    return parse(json.dumps(entries), Path("own.json"), 10, read_server(path))


@needs_haproxy
def test_configuration_of_another_server_asks_and_checks_it_as_its_file_says(tmp_path: Path) -> None:
    """Path, health check, times; a header's value is read from the environment and stands in no file."""
    text = configuration(other_topology(tmp_path), OPTIONS)
    assert lines(text, "http-request set-pathq") == [
        "http-request set-pathq /predict if { query -m found }",
        r"http-request set-pathq '/v1/a%%20b?x='\''1'\''z'",
    ]
    asked = [f"http-request set-header 'Authorization' {json.dumps('${ROUTER_HEADER_1}')}"]
    assert lines(text, "http-request set-header 'A") == asked
    assert lines(text, "option httpchk") == ["option httpchk GET '/up'"]
    assert lines(text, "timeout check") == ["timeout check 2000ms"]
    assert lines(text, "default-server check") == ["default-server check inter 50ms fastinter 50ms fall 2 rise 2"]
    assert "NO_SUCH" not in text
    assert complaints(text, tmp_path) == (0, "")


@pytest.mark.parametrize(("key", "value"), [("path", "/score"), ("health", None)])
def test_why_inexpressible_names_the_entry_that_differs(key: str, value: str | None) -> None:
    """What all entries say alike can be served, what one alone says cannot."""
    own = {key: value}
    assert why_inexpressible(topology(a={**ONE["a"], **own}, b={"status": True, "port": 2, **own})) is None
    fault = why_inexpressible(topology(**ONE, b={"status": True, "port": 2, **own}))
    assert fault is not None
    assert fault.startswith(f"own.json: b: {key} is {json.dumps(value)}, a's ")
    assert fault.endswith("use --engine flask")


@needs_haproxy
@pytest.mark.parametrize("name", ["X-it's", "#X", "X#Y", "$X", "if", "!X"])
def test_configuration_takes_every_name_of_a_header(tmp_path: Path, name: str) -> None:
    """What HTTP allows in one may mean something to HAProxy."""
    assert complaints(configuration(other_topology(tmp_path, headers={name: "1"}), OPTIONS), tmp_path) == (0, "")


@needs_haproxy
def test_configuration_without_health_check_is_a_connection(tmp_path: Path) -> None:
    """Where the server file says null."""
    text = configuration(other_topology(tmp_path, health=None), OPTIONS)
    assert lines(text, "option httpchk") + lines(text, "http-check") == []
    assert complaints(text, tmp_path) == (0, "")


def test_header_variables_are_written_for_haproxys_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A percent sign would begin an expression, and nothing at all would be no argument."""
    monkeypatch.setenv("NO_SUCH_VARIABLE", "100% x")
    [entry, _] = other_topology(tmp_path, headers={**OTHER_HEADERS, "X-Own": ""}).entries
    assert header_variables(entry.server) == {"ROUTER_HEADER_1": "Bearer 100%% x", "ROUTER_HEADER_2": EMPTY}


def test_configuration_quotes_paths() -> None:
    """A folder's name may hold anything."""
    text = configuration(topology(**ONE), ProxyOptions("x:1", "/a b/it's"))
    assert lines(text, "stats socket") == [r"stats socket '/a b/it'\''s' mode 600 level admin"]
