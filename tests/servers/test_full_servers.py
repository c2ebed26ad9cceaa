"""Real servers that are full most of the time, and fail their health checks then: `make servers`."""

import json
from pathlib import Path

import pytest

from tests.harness.project import ROOT
from tests.servers.test_real_servers import experiments, summary

CAPACITY, LIMIT = 3, 4
"""uvicorn counts connections, the health check's too: of four it answers one with 503."""


@pytest.fixture
def limited(server: str, tmp_path: Path) -> Path:
    """The server's file with a limit of its own, at which it answers 503 to everything."""
    folder = ROOT / "servers"
    file = json.loads((folder / f"{server}.json").read_text())
    file |= {"cwd": str(folder / file["cwd"]), "payload": str(folder / file["payload"]), "capacity": CAPACITY}
    file["command"] += f" --limit-concurrency {LIMIT}"
    path = tmp_path / "limited.json"
    path.write_text(json.dumps(file))
    return path


@pytest.mark.timeout(600)
@pytest.mark.parametrize("server", ["fastapi"], indirect=True)
def test_full_uvicorn_refuses_as_erlang_says_and_nobody_is_ejected(limited: Path, runs: Path) -> None:
    """From a lone server with three times what it carries to three with half of it."""
    folder = runs / "fastapi-blocking"
    load = ["--topologies", "single,3active", "--arrivals", "600", "--seed", "4"]
    experiments("blocking", "--server", str(limited), *load, "--out", str(folder))
    points = summary(folder)["points"]
    assert [point["invalid"] for point in points] == [""] * len(points)
    assert sum(point["inside"] for point in points) >= len(points) - 1  # of 95 % intervals
    logs = [log.read_text() for log in folder.glob("*/logs/router.log")]
    assert len(logs) == len(points)
    assert not [log for log in logs if "ejected" in log]
