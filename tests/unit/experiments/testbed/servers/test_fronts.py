"""Where sidecars stand, and what starts them."""

import socket
import sys
from pathlib import Path

from experiments.testbed.servers.fronts import Fronts
from experiments.testbed.servers.model_servers import Command
from server_file import OWN, Place, Server

PLACE = Place("predict1", "10.0.0.7", (9696, 9697))
SERVER = Server(file=Path("my.json"), command=("serve",), path="/score", health="/healthz")
HOOKED = Server(file=Path("my.json"), hooks={"start": ("serve",)})
COMMAND = Command(["serve", "--", "-x"], {"PORT": "9696"}, Path("/models"))


def fronts_of(server: Server, folder: Path) -> Fronts:
    """Sidecars of one predictor."""
    return Fronts({"predict1": server}, {"predict1": PLACE}, "127.0.0.1", folder, folder)


def test_sidecar_starts_the_server_in_its_folder_and_environment(tmp_path: Path) -> None:
    """It stands on ports of its own, and knows where the server is, and which path faults are for."""
    fronts = fronts_of(SERVER, tmp_path)
    argv, env, cwd = fronts.in_front_of("predict1", COMMAND)
    assert (env, cwd, argv[0]) == (COMMAND.env, tmp_path, sys.executable)
    words = " ".join(argv)
    port, control = fronts.ports("predict1")
    assert f"--port {port} --upstream 10.0.0.7:9696 --control {control} --path /score --health /healthz" in words
    assert words.endswith("--cwd /models -- serve -- -x")
    assert f"--host 10.0.0.7 --port {port}" in words
    assert fronts.address("predict1") == ("10.0.0.7", port)


def test_sidecar_of_a_server_that_hooks_start_is_on_the_routers_host(tmp_path: Path) -> None:
    """Nothing can be started on the server's."""
    assert fronts_of(HOOKED, tmp_path).address("predict1")[0] == "127.0.0.1"


def test_rigs_own_predictor_has_none(tmp_path: Path) -> None:
    """Its faults are built in."""
    fronts = fronts_of(OWN, tmp_path)
    assert ("predict1" in fronts, fronts.ports("predict1"), fronts.is_open("predict1")) == (False, (), True)


def test_sidecar_is_open_once_it_lets_connections_in(tmp_path: Path) -> None:
    """Until then its predictor is not ready."""
    fronts = fronts_of(HOOKED, tmp_path)
    assert not fronts.is_open("predict1")
    with socket.create_server(fronts.address("predict1")):
        assert fronts.is_open("predict1")
