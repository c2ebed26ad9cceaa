"""The preflight while it waits: what it tells its user meanwhile."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from cli import CommandError
from experiments.testbed.ports import free_ports
from experiments.testbed.servers import preflight
from experiments.testbed.servers.preflight import LoneServer
from experiments.testbed.signals import StopRequest
from server_file import Place, Server
from tests.harness.stubs import StubPredictor, answers


def test_wait_that_goes_on_is_explained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong path is not found out after three minutes only."""
    monkeypatch.setattr(preflight, "TELL_AFTER_S", 0.2)
    monkeypatch.setattr(preflight, "end_alone", Mock())
    [port] = free_ports(1)
    stub = StubPredictor("a", port)
    stub.script = answers(404, b"{}")
    child: Any = Mock()
    child.name, child.tail.return_value, child.processes = "a", "", list
    told: list[str] = []
    server = Server(path="/scores", payload=b"{}", ready_within_s=1.0)
    with (
        LoneServer(server, Place("a", "127.0.0.1", (port,)), lambda *_: child, tmp_path) as lone,
        pytest.raises(CommandError, match="did not come up within 1 s"),
    ):
        lone.wait_until_ready(StopRequest(), told.append)
    stub.close()
    why = "GET /health answers 200 OK, but POST /scores answers 404 Not Found: is `path` right?"
    assert told == [f"still waiting, up to 1 s: {why}"]
