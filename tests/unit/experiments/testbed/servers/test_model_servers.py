"""A user's model server: what starts it, with which environment, and when it counts as ready."""

import dataclasses
import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli import CommandError, UsageError
from experiments.testbed.ports import free_ports
from experiments.testbed.servers.model_servers import (
    Readiness,
    command_of,
    environment_of,
    listening_ports,
    places_of,
    servers_of,
)
from experiments.testbed.servers.probes import check_health, health_is_silent, method_of, port_refuses, predict
from experiments.testbed.topologies import Topology
from routing.proofs import prediction_of
from server_file import OWN, Place, Server, read
from tests.harness.server_files import write_server_file
from tests.harness.stubs import StubPredictor, answers
from tests.harness.waiting import wait_until

HERE = "127.0.0.1"
PLACE = Place("predict1", HERE, (20001, 20002))
SERVER = Server(file=Path("my.json"), command=("serve", "--port", "{port}"), cwd=Path("/"))
HOOKED = Server(file=Path("my.json"), hooks={"crash": ("true",)})
ENTRY = {"status": True, "load": 0, "port": 9696}


def topology(**fields: object) -> Topology:
    """A topology of one predictor with these fields."""
    return Topology("single", {"predict1": ENTRY | fields})


@pytest.fixture
def stub() -> Iterator[StubPredictor]:
    """A predictor that answers as it is told; its health check is well."""
    [port] = free_ports(1)
    made = StubPredictor("predict1", port)
    yield made
    made.close()


def program(path: Path) -> Path:
    """Makes a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


# What starts it


def test_command_of_fills_placeholders_and_nothing_else(tmp_path: Path) -> None:
    """Ports, host and name are filled in, words stay words, braces of JSON stay."""
    words = (sys.executable, "-c", '{"a": "{name}"}', "{host}:{port}", "{port2} {port3}")
    server = dataclasses.replace(SERVER, command=words, cwd=tmp_path)
    assert command_of(server, PLACE).argv == [
        sys.executable, "-c", '{"a": "predict1"}', "127.0.0.1:20001", "20002 {port3}",
    ]  # fmt: skip


def test_command_of_program_with_a_slash_is_relative_to_its_folder_which_comes_first_on_path(tmp_path: Path) -> None:
    """MLflow starts further programs of its own environment, which are found beside it."""
    made = program(tmp_path / "venv" / "bin" / "mlflow")
    command = command_of(dataclasses.replace(SERVER, command=("venv/bin/mlflow",), cwd=tmp_path), PLACE)
    assert command.argv == [str(made)]
    assert command.cwd == tmp_path
    assert command.env is not None
    assert command.env["PATH"].split(os.pathsep)[0] == str(made.parent)


def test_command_of_program_without_a_slash_is_found_on_the_path_of_its_environment(tmp_path: Path) -> None:
    """The file's env may name another PATH."""
    made = program(tmp_path / "bin" / "serve")
    server = dataclasses.replace(SERVER, env={"PATH": str(made.parent)})
    assert command_of(server, PLACE).argv[0] == "serve"


@pytest.mark.parametrize(("word", "where"), [("no-such-server", " on PATH"), ("./no-such-server", "")])
def test_command_of_missing_program_is_named_in_one_line(word: str, where: str) -> None:
    """The file, the program and the remedy, before anything is started."""
    with pytest.raises(
        UsageError, match=rf"^my.json: command: no program '.*no-such-server'{where}: install it"
    ) as said:
        command_of(dataclasses.replace(SERVER, command=(word,)), PLACE)
    assert "\n" not in str(said.value)
    assert "give the path in your model's environment, as /path/to/venv/bin/python" in str(said.value)


def test_command_of_a_ready_made_server_that_is_not_installed_names_its_installer(tmp_path: Path) -> None:
    """And the path without `..`."""
    (tmp_path / "fastapi").mkdir()
    (tmp_path / "requirements-fastapi.txt").touch()
    server = Server(tmp_path / "fastapi.json", ("../.env/fastapi/bin/uvicorn",), cwd=tmp_path / "fastapi")
    missing = tmp_path / ".env/fastapi/bin/uvicorn"
    with pytest.raises(UsageError, match=rf"no program '{missing}': run python -m tools.servers install fastapi$"):
        command_of(server, PLACE)


def test_environment_of_is_the_users_own_with_place_and_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOST, PORT and NAME are there; the file's own come last, placeholders filled; the user's are kept."""
    monkeypatch.setenv("LOCUST_USERS", "5")
    monkeypatch.setenv("NAME", "mine")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    env = environment_of(dataclasses.replace(SERVER, env={"GRPC": "{port2}", "HOST": "0.0.0.0"}), PLACE)
    assert {key: env[key] for key in ("NAME", "HOST", "PORT", "PORT2", "GRPC", "LOCUST_USERS")} == {
        "NAME": "predict1", "HOST": "0.0.0.0", "PORT": "20001", "PORT2": "20002", "GRPC": "20002", "LOCUST_USERS": "5",
    }  # fmt: skip
    assert env["PYTHONUNBUFFERED"] == "1"


# Which they are


def test_servers_of_takes_what_an_entry_says_otherwise() -> None:
    """Pools may be of different servers."""
    assert servers_of(topology(path="/other"), SERVER)["predict1"] == dataclasses.replace(SERVER, path="/other")
    assert servers_of(topology(capacity=3), OWN)["predict1"].command == ()


def test_servers_of_without_a_file_are_asked_as_the_router_asks_them() -> None:
    """By GET, as the loads ask: what is measured before is to be the same request."""
    found = servers_of(topology(command="serve {port}", path="/score"), OWN)["predict1"]
    assert method_of(found) == prediction_of(found).method == "GET"


@pytest.mark.parametrize(
    ("fields", "server", "said"),
    [
        ({}, Server(file=Path("my.json")), "my.json: command is missing"),
        ({"host": "10.0.0.7"}, SERVER, "single: predict1: host is '10.0.0.7': predictors can be started here only"),
        ({"path": "/score"}, OWN, "single: predict1: path and health are of a server of your own: give a command"),
        ({}, dataclasses.replace(SERVER, headers={"X-Key": "{env:NO_SUCH_KEY}"}), "NO_SUCH_KEY is not set: export it"),
        ({}, dataclasses.replace(SERVER, hooks={"stop": ("true",)}), "my.json: command and hooks: give one of them"),
        ({}, dataclasses.replace(HOOKED, hooks={"stop": ("kill", "{port2}")}), "my.json: port2 beside hooks"),
        ({}, dataclasses.replace(HOOKED, next=SERVER), "my.json: next beside hooks"),
        (
            {"status": False, "standby": "cold"},
            HOOKED,
            "predict1: standby is cold: my.json has no hooks start and stop",
        ),
    ],
)
def test_servers_of_refuses_what_cannot_be_started(fields: dict[str, object], server: Server, said: str) -> None:
    """One line, before anything is started."""
    with pytest.raises(UsageError, match=said):
        servers_of(topology(**fields), server)


def test_servers_of_gives_the_next_version_what_an_entry_says_otherwise() -> None:
    """Another command, asked by the same path."""
    server = dataclasses.replace(SERVER, next=dataclasses.replace(SERVER, command=("serve", "2")))
    found = servers_of(topology(path="/other"), server)["predict1"].next
    assert found
    assert (found.command, found.path, found.next) == (("serve", "2"), "/other", None)


def test_servers_of_keeps_an_entrys_own_command_where_next_has_none() -> None:
    """In a pool of different servers an upgrade makes none another."""
    server = dataclasses.replace(SERVER, next=dataclasses.replace(SERVER, env={"VERSION": "2"}))
    found = servers_of(topology(command="other {port}"), server)["predict1"].next
    assert found
    assert (found.command, found.env) == (("other", "{port}"), {"VERSION": "2"})


def test_places_of_gives_each_its_own_free_ports_as_many_as_any_version_needs() -> None:
    """Upgrades keep their ports."""
    server = dataclasses.replace(SERVER, next=dataclasses.replace(SERVER, command=("serve", "{port3}")))
    place = places_of(topology(), {"predict1": server}, HERE)["predict1"]
    assert (place.host, len(set(place.ports))) == (HERE, 3)


def test_places_of_hooked_predictors_are_the_topologys() -> None:
    """Nobody is told another port."""
    found = topology(host="10.0.0.7", port="9697")
    assert places_of(found, {"predict1": HOOKED}, HERE)["predict1"] == Place("predict1", "10.0.0.7", (9697,))
    with pytest.raises(UsageError, match=r"^single: predict1: port is 'x': give a number"):
        places_of(topology(port="x"), {"predict1": HOOKED}, HERE)


# When it is ready


def settled(readiness: Readiness) -> Readiness:
    """Asks once, and waits for what comes of it."""
    assert not readiness()
    wait_until(lambda: readiness.reason() != "")
    return readiness


def ready_of(stub: StubPredictor, **fields: object) -> Readiness:
    """The readiness of a stub, whose server has these fields."""
    return Readiness(dataclasses.replace(SERVER, **fields), Place("predict1", HERE, (stub.port,)), list)  # type: ignore[arg-type]


def test_readiness_is_health_and_a_good_prediction(stub: StubPredictor) -> None:
    """The payload is sent as it is; once ready, it is not asked again."""
    readiness = ready_of(stub, path="/predict", payload=b"\x00body")
    wait_until(readiness)
    assert [request.body for request in stub.received] == [b"\x00body"]
    assert readiness()
    assert len(stub.received) == 1


def test_readiness_of_health_that_lies_names_the_predictions_status_and_path(stub: StubPredictor) -> None:
    """Health passes and predictions are not found: not ready, and why."""
    stub.script = answers(404, b"{}")
    said = settled(ready_of(stub, path="/predict", payload=b"{}")).reason()
    assert said == "GET /health answers 200 OK, but POST /predict answers 404 Not Found: is `path` right?"


def test_readiness_gives_up_on_an_answer_that_waiting_does_not_change(stub: StubPredictor) -> None:
    """A payload that is no valid request stays one."""
    stub.script = answers(422, b'{"detail":\n "x is missing"}' + b" y" * 100)
    readiness = ready_of(stub, path="/predict", payload=b"{}")
    with pytest.raises(CommandError, match=r"^predict1: .*POST /predict answers 422 [^\n]*") as said:
        wait_until(readiness)
    assert ': is `payload` right? The answer: {"detail": "x is missing"} y y' in str(said.value)
    assert len(str(said.value)) < 240


@pytest.mark.parametrize(
    ("status", "payload", "told"),
    [
        (401, b"{}", "POST /predict answers 401 Unauthorized: `headers` may be missing or wrong"),
        (403, b"{}", "POST /predict answers 403 Forbidden: `headers` may be missing or wrong"),
        (405, b"{}", "POST /predict answers 405 Method Not Allowed: is `path` right?"),
        (405, None, "GET /predict answers 405 Method Not Allowed: GET is sent, as no `payload` is given"),
        (415, b"{}", "POST /predict answers 415 Unsupported Media Type: is `content_type` right? The answer: no"),
    ],
)
def test_readiness_names_the_key_to_mend(stub: StubPredictor, status: int, payload: bytes | None, told: str) -> None:
    """As the answer suggests."""
    stub.script = answers(status, b"no")
    with pytest.raises(CommandError) as said:
        wait_until(ready_of(stub, path="/predict", payload=payload))
    assert str(said.value) == f"predict1: GET /health answers 200 OK, but {told}"


def test_readiness_of_a_wrong_path_for_health_names_that_key(stub: StubPredictor) -> None:
    """A typing mistake there is as likely."""
    stub.health_path, stub.script = "/healthz", answers(404, b"{}")
    assert settled(ready_of(stub)).reason() == "GET /health answers 404 Not Found: is `health` right?"


def test_readiness_tells_since_when_it_hears_the_same(stub: StubPredictor) -> None:
    """From its first answer on, not from each."""
    stub.script = answers(404, b"{}")
    readiness = ready_of(stub, path="/predict", payload=b"{}")
    assert readiness.same_for_s < 0
    settled(readiness)
    wait_until(lambda: not readiness() and readiness.same_for_s > 0.2)


def test_readiness_of_who_is_not_started_here_and_does_not_listen_fails_at_once() -> None:
    """Waiting for it is no use: nothing here starts it."""
    [port] = free_ports(1)
    readiness = Readiness(HOOKED, Place("predict1", HERE, (port,)), list)
    told = rf"^predict1: nothing listens on {HERE}:{port}, and the server file has no hook `start`: start it yourself"
    with pytest.raises(CommandError, match=told):
        wait_until(readiness)


def test_readiness_of_who_is_started_by_a_hook_waits() -> None:
    """What its hook started may take its time."""
    [port] = free_ports(1)
    server = dataclasses.replace(HOOKED, hooks={"start": ("true",)})
    readiness = settled(Readiness(server, Place("predict1", HERE, (port,)), list))
    assert not readiness()


def test_readiness_of_a_port_that_nobody_took_says_where_it_listens_instead(stub: StubPredictor) -> None:
    """A command that does not name {port} is the usual cause."""
    [port] = free_ports(1)
    readiness = Readiness(SERVER, Place("predict1", HERE, (port,)), lambda: [psutil.Process()])
    said = settled(readiness).reason()
    assert said.startswith(f"nothing listens on port {port}, but on ")
    assert str(stub.port) in said


# What is seen of it


def test_probes_of_a_port_that_refuses(tmp_path: Path) -> None:
    """A server that is not there refuses; it is neither well, nor silent."""
    server = read(write_server_file(tmp_path, "plain"))
    [port] = free_ports(1)
    assert not check_health(server, HERE, port, 1.0).is_good
    assert predict(server, HERE, port, 1.0).is_refused
    assert port_refuses(HERE, port, 0.0)
    assert not health_is_silent(server, HERE, port, 0.1)


def test_port_of_a_host_that_is_not_reached_does_not_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a container that was killed, whose address is nobody's then."""

    def unreachable(*_: object) -> None:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr("socket.create_connection", unreachable)
    assert not port_refuses("10.0.0.7", 9696, 0.0)


@pytest.mark.parametrize("health", ["/health", None])
def test_health_is_silent_where_connections_are_taken_and_nothing_is_answered(
    stub: StubPredictor, health: str | None
) -> None:
    """Without a path for health a prediction is asked for: a frozen server's port still takes connections."""
    server = dataclasses.replace(SERVER, path="/predict", health=health)
    with socket.create_server((HERE, 0)) as frozen:
        assert health_is_silent(server, HERE, frozen.getsockname()[1], 0.2)
    assert not health_is_silent(server, HERE, stub.port, 5.0)


def test_listening_ports_are_those_of_all_processes(stub: StubPredictor) -> None:
    """Ascending, and none of a process that has gone."""
    assert stub.port in listening_ports([psutil.Process()])
    assert listening_ports([]) == []
