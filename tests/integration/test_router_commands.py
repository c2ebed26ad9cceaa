"""The router as a command: its mistakes, its topology file, its ends and its successors."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.harness.processes import (
    Load,
    Router,
    Stage,
    ask,
    assert_mistake,
    loads,
    run_router,
    side_files,
    statuses,
    wait_until,
)
from tests.harness.stubs import ports_of

ANY_PORTS = ("--port", "0", "--admin-port", "0")
SERVICE_TIME_S = 0.1


@pytest.fixture
def path(stage: Stage) -> Path:
    """A copy of 2active whose predictors are not there."""
    return stage.topology("2active", [stage.reserve_port() for _ in range(3)])


def test_command_unknown_topology_lists_the_known_ones() -> None:
    """A topology that does not exist is named, with those that do."""
    known = "2active, 2region, 3active, single"
    assert_mistake(run_router("--topology", "4active", *ANY_PORTS), "'4active'", known, "give")


@pytest.mark.parametrize("busy", ["--port", "--admin-port"])
def test_command_busy_port_is_named_with_the_remedy(path: Path, busy: str) -> None:
    """A port that another program holds is named, before anything else is said; nothing is left of the start."""
    initial = path.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        ended = run_router("--topology", str(path), *ANY_PORTS, busy, str(port))
    assert_mistake(ended, f"port {port} ", "busy", f"another port with {busy}\n")
    assert ended.stdout == ""
    assert path.read_bytes() == initial
    assert side_files(path) == []


def test_command_same_port_twice_is_told_in_one_line(path: Path) -> None:
    """The public and the admin port cannot be one; the topology file is not even looked at."""
    initial = path.read_bytes()
    assert_mistake(run_router("--topology", str(path), "--port", "8000", "--admin-port", "8000"), "both 8000", "give")
    assert path.read_bytes() == initial


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"predict1":\n {"status": true,}}', ["line 2 column ", "not valid JSON"]),
        ("[" * 100_000, ["nested too deep"]),
        ('{"predict1": {"status": false, "load": 0, "port": "9696"}}', ["no predictor is active"]),
    ],
    ids=["not-json", "deep", "no-active"],
)
def test_command_broken_topology_file_is_told_in_one_line_and_left_alone(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    """A file that cannot be used is named with the place and the remedy; not a byte of it changes.

    What else can be wrong in it: tests/test_topology.py.
    """
    path = tmp_path / "broken.json"
    path.write_text(text)
    assert_mistake(run_router("--topology", str(path), *ANY_PORTS), str(path), *parts)
    assert path.read_text() == text
    assert side_files(path) == []


@pytest.mark.parametrize(
    ("option", "value", "said"), [("--threshold", "0", "1 or more"), ("--host", "no such host", "give an address")]
)
def test_command_bad_value_of_an_option_is_named_with_what_is_accepted(
    path: Path, option: str, value: str, said: str
) -> None:
    """A wrong value is told in one line, and the topology file is as it was. More of them: tests/test_router.py."""
    initial = path.read_bytes()
    assert_mistake(run_router("--topology", str(path), *ANY_PORTS, f"{option}={value}"), value, said)
    assert path.read_bytes() == initial
    assert side_files(path) == []


def test_second_router_on_the_same_file_is_refused_by_name_of_file_and_holder(stage: Stage, path: Path) -> None:
    """One router per file: the second says which file, and which process has it; the first goes on."""
    first = stage.router(path)
    wait_until(lambda: not any(statuses(path)))  # nobody is up: the file will not change any more
    during = path.read_bytes()
    link = path.with_name("other.json")
    link.symlink_to(path)
    for name in (path, link):
        assert_mistake(run_router("--topology", str(name), *ANY_PORTS), str(path), f"process {first.pid}", "stop")
    assert path.read_bytes() == during
    assert first.picture()["file"] == str(path)
    assert first.stop() == 0
    link.unlink()
    stage.router(path)  # free again


def test_file_of_an_ended_router_is_free_at_once_though_it_was_killed(stage: Stage, path: Path) -> None:
    """A killed router's lock dies with it."""
    for _ in range(3):
        stage.router(path).kill()
    assert stage.router(path).running()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_polite_stop_under_load_answers_what_is_accepted_and_restores_the_file(
    stage: Stage, signum: signal.Signals
) -> None:
    """SIGTERM or Ctrl-C: requests in flight are answered, exit status 0, the file as at first, nothing beside it."""
    stubs = stage.stubs(3, SERVICE_TIME_S)
    path = stage.topology("2active", ports_of(stubs))
    initial = path.read_bytes()
    router = stage.router(path, "--threshold", "4")
    stubs[0].holding = True
    sent = stage.hold(router, 8)
    wait_until(lambda: stubs[0].held == 4)
    with Load(router.url, rate_per_s=20) as load:
        wait_until(lambda: "promoted" in router.events("predict3") or len(load.answers) > 5)
        router.signal(signum)
        wait_until(lambda: any(answer.body == b"ConnectionRefusedError" for answer in load.answers))
        assert router.running()
        stubs[0].let_go()
        assert router.wait() == 0
    assert {exchange.answer().status for exchange in sent} == {200}
    assert {answer.body for answer in load.lost()} == {b"ConnectionRefusedError"}
    assert path.read_bytes() == initial
    assert side_files(path) == []
    assert router.output().endswith(f"router: stopped; {path} is back in its initial state\n")
    assert router.errors() == ""


def test_polite_stop_does_not_wait_for_idle_clients(stage: Stage, path: Path) -> None:
    """A connection that waits for its next request keeps nobody from stopping."""
    router = stage.router(path)
    with socket.create_connection(("127.0.0.1", int(router.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 503 ")
        start_s = time.monotonic()
        assert router.stop() == 0
        assert time.monotonic() - start_s < 5.0


def test_killed_router_leaves_a_valid_file_and_the_next_start_restores_it(stage: Stage) -> None:
    """SIGKILL under load: the file stays valid JSON; the next router starts from initial statuses and loads of 0."""
    stubs = stage.stubs(3)
    path = stage.topology("2active", ports_of(stubs))
    initial = path.read_bytes()
    router = stage.router(path, "--threshold", "2")
    for stub in stubs:
        stub.holding = True
    stage.hold(router, 5)
    wait_until(lambda: (statuses(path), loads(path)) == ([True, True, True], [2, 2, 1]))
    router.kill()
    assert (statuses(path), loads(path)) == ([True, True, True], [2, 2, 1])
    again = stage.router(path, "--threshold", "2")
    assert again.predictors("status") == [True, True, False]
    assert again.loads() == [0, 0, 0]
    wait_until(lambda: path.read_bytes() == initial)
    for stub in stubs:
        stub.let_go()  # the late answers are to nobody
    assert ask(again.url).status == 200
    wait_until(lambda: again.loads() == [0, 0, 0])
    assert again.stop() == 0
    assert path.read_bytes() == initial
    assert side_files(path) == []


def kill_under_load(router: Router) -> None:
    """Kill the router in the middle of its work."""
    with Load(router.url, rate_per_s=60) as load:
        wait_until(lambda: len(load.answers) > 10)
        router.kill()


def test_killed_routers_under_load_always_leave_a_valid_file(stage: Stage) -> None:
    """Killed at any moment of its work, the router leaves a whole file; loads and statuses start anew each time."""
    stubs = stage.stubs(3, SERVICE_TIME_S)
    path = stage.topology("2active", ports_of(stubs))
    for _ in range(5):
        router = stage.router(path, "--threshold", "2")
        assert router.predictors("status") == [True, True, False]
        assert router.loads() == [0, 0, 0]
        kill_under_load(router)
        assert all(0 <= load <= 2 for load in loads(path))


def test_file_keeps_unknown_keys_and_the_ports_type(stage: Stage) -> None:
    """Status and load are the router's; every other key, and whether a port is a number, is the user's."""
    stubs = stage.stubs(2)
    path = stage.topology("single", ports_of(stubs))
    document = {
        "alpha": {"note": {"deep": [1, None]}, "port": stubs[0].port, "status": True, "load": 0},
        "beta": {"port": str(stubs[1].port), "status": True, "load": 0, "region": "eu-1"},
    }
    path.write_text(json.dumps(document))
    initial = path.read_bytes()
    router = stage.router(path)
    stubs[0].holding = True
    stage.hold(router, 1)
    wait_until(lambda: loads(path) == [1, 0])
    document["alpha"]["load"] = 1
    assert json.loads(path.read_bytes()) == document
    stubs[0].let_go()
    assert router.stop() == 0
    assert path.read_bytes() == initial


def test_file_with_loads_left_in_it_starts_from_zero(stage: Stage, path: Path) -> None:
    """Loads that a file brings along, as the post's own does after a test, are not requests in flight."""
    path.write_text(path.read_text().replace('"load": 0', '"load": 9'))
    router = stage.router(path)
    assert router.loads() == [0, 0, 0]
    wait_until(lambda: loads(path) == [0, 0, 0])
    assert router.stop() == 0
    assert loads(path) == [0, 0, 0]
    assert statuses(path) == [True, True, False]


@pytest.mark.parametrize("junk", [b"", b"{", b'{"predict1": 1}', b"\xff\xfe"])
def test_file_overwritten_by_others_warns_and_is_valid_again_at_the_next_change(stage: Stage, junk: bytes) -> None:
    """Memory is the truth: junk in the file disturbs no request, and the file soon shows the truth again."""
    stubs = stage.stubs(3)
    path = stage.topology("3active", ports_of(stubs))
    initial, own = path.read_bytes(), path.stat().st_ino
    router = stage.router(path)
    wait_until(lambda: path.stat().st_ino != own)  # the router's first write is done
    path.write_bytes(junk)
    assert ask(router.url).status == 200
    wait_until(lambda: path.read_bytes() == initial)
    wait_until(lambda: "warning" in router.errors())
    assert router.errors().count("\n") == 1
    assert router.stop() == 0
    assert path.read_bytes() == initial


def test_command_given_in_any_directory_finds_the_topology_beside_router_py(stage: Stage) -> None:
    """The topology's name is looked up beside router.py, wherever the command is given."""
    tree = stage.tree(ports_of(stage.stubs(3)))
    router = stage.router(Path("3active"), tree=tree)
    assert router.picture()["file"] == str(tree / "topology" / "3active.json")
    assert os.readlink(f"/proc/{router.pid}/cwd") == "/"
