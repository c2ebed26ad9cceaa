"""Predictors that are a user's model server: started, awaited, killed as a tree; or reached by hooks."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import CommandError
from experiments.testbed.deployment import Deployment
from experiments.testbed.ports import free_ports
from experiments.testbed.process_trees import ProcessTree
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.servers.probes import port_refuses
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import find_topology
from server_file import HOOKS, read
from tests.harness.experiment import OWNER, still_running
from tests.harness.project import ROOT
from tests.harness.server_files import SUPERVISOR, stand_in, write_server_file
from tests.harness.waiting import wait_until

Deploy = Callable[..., Deployment]
ELSEWHERE = "127.0.0.2"
"""Another host as far as the experiments know."""

STOP = StopRequest()


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploy]:
    """Makes a deployment of stand-ins of this kind; all of it is ended with the test, and no process stays."""
    monkeypatch.setenv(OWNER, str(tmp_path))
    made: list[Deployment] = []

    def deploy_one(kind: str, *options: object, topology: str = "single", **keys: Any) -> Deployment:
        server = read(write_server_file(tmp_path, kind, *options, **keys))
        found = find_topology(topology, ROOT / "topology", elsewhere=True)
        made.append(Deployment(found, Programs(ROOT), DeploymentSettings(0.0, 10, server=server), tmp_path))
        return made[-1]

    yield deploy_one
    for deployment in made:
        deployment.__exit__(None, None, None)
    wait_until(lambda: not still_running(tmp_path))  # a supervisor that was told to end may still be at it


def start(deployment: Deployment) -> None:
    """Starts all its predictors, and waits until they are ready."""
    deployment.start_predictors(deployment.topology.predictors, STOP)


# As children


@pytest.mark.parametrize("kind", ["plain", "escaping"])
def test_crash_and_hang_strike_the_whole_tree_and_restart_succeeds(deploy: Deploy, kind: str) -> None:
    """Each fault proves that it struck; the port is free again for the next start."""
    deployment = deploy(kind, topology="2active")
    start(deployment)
    deployment.predictor("predict1").freeze()
    assert deployment.why_not_silent("predict1", 0.5) == ""
    assert deployment.why_not_silent("predict2", 0.5) != ""
    deployment.predictor("predict1").thaw()
    assert deployment.why_not_refused("predict1", 0.2) != ""
    deployment.kill(["predict1", "predict2"])
    assert [deployment.why_not_refused(name) for name in ("predict1", "predict2")] == ["", ""]
    deployment.start_predictors(["predict1"], STOP)


def test_kill_of_the_group_in_place_of_the_tree_is_told_by_the_proof(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that left the group serves on, and the crash is not taken for one."""
    deployment = deploy("escaping")
    start(deployment)
    port = deployment.predictor("predict1").processes()[0].cmdline()[-3]
    with monkeypatch.context() as patched:
        patched.setattr(ProcessTree, "kill", lambda _: None)
        deployment.kill(["predict1"])
        said = deployment.why_not_refused("predict1", 0.3)
    assert said == f"port {port} of predict1 still takes connections after 0.3 s"
    deployment.kill(["predict1"])
    assert deployment.why_not_refused("predict1") == ""


@pytest.mark.parametrize("kind", ["plain", "escaping"])
def test_stop_answers_what_is_in_flight(deploy: Deploy, kind: str) -> None:
    """SIGTERM goes to the leader, which passes it on as it sees fit."""
    deployment = deploy(kind)
    start(deployment)
    deployment.expect_exit("predict1").stop()
    assert deployment.why_not_refused("predict1", 0.0) == ""


@pytest.mark.parametrize(
    ("options", "keys", "said"),
    [
        ([], {"command": "no-such-server"}, "no program 'no-such-server' on PATH: install it, or give the path in"),
        ([], {"command": [sys.executable, "-c", "exit('no model')"]}, "predict1 ended (exit status 1)\n  | no model"),
        (
            [],
            {"path": "/predictions"},
            "GET /healthz answers 200 OK, but POST /predictions answers 404 Not Found: is `path` right?\n  | ",
        ),
        (
            [],
            {"health": "/health"},
            "predict1 did not come up within 1 s: GET /health answers 404 Not Found: is `health` right?\n  | ",
        ),
        (["--load-time", 60], {}, "predict1 did not come up within 1 s: nothing listens on port "),
        (
            ["--model-time", 60],
            {},
            "GET /healthz answers 200 OK, but POST /score answers 404 Not Found: is `path` right?\n  | predict1:",
        ),
        (
            ["--token", "k"],
            {"health": None},
            "connection is accepted, but POST /score answers 401 Unauthorized: ",
        ),
        ([], {"headers": {"X-Key": "{env:NO_SUCH_KEY}"}}, "the variable NO_SUCH_KEY is not set: export it"),
    ],
    ids=["program", "exits", "path", "health", "not ready", "health lies", "token", "variable"],
)
def test_mistake_is_told_with_the_last_lines_and_leaves_no_process(
    deploy: Deploy, options: list[object], keys: dict[str, Any], said: str
) -> None:
    """One line, what the server said at last below it."""
    with pytest.raises(CommandError) as raised:
        start(deploy("plain", *options, **{"ready_within_s": 1} | keys))
    assert said in str(raised.value)


def test_port_that_it_does_not_take_is_told_with_the_one_that_it_took(deploy: Deploy) -> None:
    """The usual cause is a command that names a port of its own."""
    [port] = free_ports(1)
    command = [word.replace("{port}", str(port)) for word in stand_in("escaping")]
    with pytest.raises(CommandError, match=rf"nothing listens on port \d+, but on {port}: its command must name"):
        start(deploy("escaping", command=command, ready_within_s=1))


# By hooks


def hooks(folder: Path, *actions: str) -> dict[str, list[str]]:
    """The hooks by which that process manager does this."""
    return {each: [sys.executable, SUPERVISOR, str(folder), each, "{name}", "{host}", "{port}"] for each in actions}


def topology_elsewhere(folder: Path) -> tuple[str, int]:
    """A topology of one predictor on another host; its path, and the port."""
    [port] = free_ports(1)
    path = folder / "elsewhere.json"
    path.write_text(json.dumps({"far": {"status": True, "load": 0, "port": port, "host": ELSEWHERE}}))
    return str(path), port


def test_hooks_crash_freeze_and_restart_a_predictor_of_another_process_manager(
    deploy: Deploy, supervisor: Path, tmp_path: Path
) -> None:
    """It stands where the topology says; each order strikes, and at the end it is stopped as it was started."""
    path, _ = topology_elsewhere(tmp_path)
    deployment = deploy("plain", topology=path, command=None, hooks=hooks(supervisor, *HOOKS))
    start(deployment)
    assert deployment.can("far", *HOOKS)
    deployment.predictor("far").freeze()
    assert deployment.why_not_silent("far", 0.5) == ""
    deployment.predictor("far").thaw()
    assert deployment.why_not_silent("far", 5.0) != ""
    deployment.kill(["far"])
    assert deployment.why_not_refused("far") == ""
    start(deployment)
    deployment.expect_exit("far").stop()
    assert deployment.why_not_refused("far") == ""
    start(deployment)
    deployment.__exit__(None, None, None)
    assert deployment.why_not_refused("far") == ""


def test_hooks_without_start_leave_a_predictor_that_ran_before_running(
    deploy: Deploy, supervisor: Path, tmp_path: Path
) -> None:
    """Nothing is stopped that was not started here, and what was frozen goes on."""
    path, port = topology_elsewhere(tmp_path)
    order = [sys.executable, SUPERVISOR, str(supervisor), "start", "far", ELSEWHERE, str(port)]
    subprocess.run(order, check=True)
    wait_until(lambda: not port_refuses(ELSEWHERE, port, 0.0))
    deployment = deploy("plain", topology=path, command=None, hooks=hooks(supervisor, "stop", "hang", "resume"))
    start(deployment)
    assert not deployment.can("far", "crash")
    deployment.predictor("far").freeze()
    deployment.__exit__(None, None, None)
    assert deployment.why_not_silent("far", 5.0) != ""
    assert deployment.why_not_refused("far", 0.0) != ""


def test_hook_that_fails_is_told_with_its_command_and_last_line(
    deploy: Deploy, supervisor: Path, tmp_path: Path
) -> None:
    """One line names the predictor, the hook, its command and what it said."""
    path, port = topology_elsewhere(tmp_path)
    deployment = deploy("plain", topology=path, command=None, hooks=hooks(supervisor, "start", "crash"))
    start(deployment)
    deployment.kill(["far"])
    with pytest.raises(CommandError) as raised:
        deployment.kill(["far"])
    assert f"supervisor.py {supervisor} crash far {ELSEWHERE} {port}) ended with exit status 1" in str(raised.value)
    assert str(raised.value).endswith(": far is not started")
