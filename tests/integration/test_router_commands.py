"""The router as a command: its mistakes, and its topology file."""

import json
import os
import socket
from pathlib import Path

import pytest

from tests.harness.processes import ANY_PORTS, assert_mistake, run_router
from tests.harness.project import loads, side_files, statuses
from tests.harness.stage import Stage
from tests.harness.stubs import ports_of
from tests.harness.waiting import wait_until


@pytest.fixture
def path(stage: Stage) -> Path:
    """A copy of 2active whose predictors are not there."""
    return stage.topology("2active", [stage.reserve_port() for _ in range(3)])


def test_command_unknown_topology_lists_the_known_ones() -> None:
    """A topology that does not exist is named, with those that do."""
    known = "2active, 2cold, 2hosts, 2only, 2region, 3active, single"
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
    """Place and remedy are named, not a byte changes. More mistakes: tests/unit/routing/test_topology.py."""
    path = tmp_path / "broken.json"
    path.write_text(text)
    assert_mistake(run_router("--topology", str(path), *ANY_PORTS), str(path), *parts)
    assert path.read_text() == text
    assert side_files(path) == []


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--threshold=0"], ["'0'", "1 or more"]),
        (["--host=no such host"], ["no such host", "give an address"]),
        (["--port=8000", "--admin-port=8000"], ["both 8000", "give"]),
    ],
)
def test_command_bad_value_of_an_option_is_named_with_what_is_accepted(
    path: Path, options: list[str], parts: list[str]
) -> None:
    """A wrong value is told in one line, the file is as it was. More of them: tests/unit/routing/test_options.py."""
    initial = path.read_bytes()
    assert_mistake(run_router("--topology", str(path), *ANY_PORTS, *options), *parts)
    assert path.read_bytes() == initial
    assert side_files(path) == []


def test_file_keeps_all_keys_and_the_ports_type(stage: Stage, tmp_path: Path) -> None:
    """Status and load are the router's; every other key, and whether a port is a number, is the user's."""
    stubs = stage.stubs(2)
    document = {
        "alpha": {"region": None, "capacity": 9, "port": stubs[0].port, "status": True, "load": 0},
        "beta": {"port": str(stubs[1].port), "status": True, "load": 0, "region": "eu-1"},
    }
    path = tmp_path / "own.json"
    path.write_text(json.dumps(document))
    deployed = stage.deploy(path, stubs=stubs)
    stubs[0].holding = True
    deployed.send(1)
    wait_until(lambda: loads(path) == [1, 0])
    document["alpha"]["load"] = 1
    assert json.loads(path.read_bytes()) == document
    deployed.release_held()
    assert deployed.router.stop() == 0
    assert path.read_bytes() == deployed.initial


def test_file_with_loads_left_in_it_starts_from_zero(stage: Stage, path: Path) -> None:
    """Loads that a file brings along, as the post's own does after a test, are not requests in flight."""
    path.write_text(path.read_text().replace('"load": 0', '"load": 9'))
    router = stage.router(path)
    assert router.loads() == [0, 0, 0]
    wait_until(lambda: loads(path) == [0, 0, 0])
    assert router.stop() == 0
    assert loads(path) == [0, 0, 0]
    assert statuses(path) == [True, True, False]


def test_command_given_in_any_directory_finds_the_topology_beside_router_py(stage: Stage) -> None:
    """The topology's name is looked up beside router.py, wherever the command is given."""
    tree = stage.tree(ports_of(stage.stubs(3)))
    router = stage.router(Path("3active"), tree=tree.root)
    assert router.snapshot()["file"] == str(tree.topology("3active"))
    assert os.readlink(f"/proc/{router.pid}/cwd") == "/"
