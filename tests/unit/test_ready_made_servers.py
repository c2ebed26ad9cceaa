"""The ready-made server files: each can be read, says what it needs, and stands in docs/servers.md."""

import re
from pathlib import Path

import pytest

from server_file import read
from tools.servers import names

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ROOT / "servers"
FILES = sorted(SERVERS.glob("*.json"))
NOT_RUN = {"llamacpp", "ray", "triton", "vllm"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ready_made_file_is_valid_and_has_all_that_the_experiments_need(path: Path) -> None:
    """A command on a port of the rig's choice, and a payload: POST is what these servers answer."""
    server = read(path)
    assert any("{port}" in text for text in (*server.command, *server.env.values()))
    assert server.payload is not None


@pytest.mark.parametrize("name", names())
def test_ready_made_server_that_can_be_installed_is_started_from_its_environment(name: str) -> None:
    """The program is the one that the installer links to, not one that happens to be on the PATH."""
    assert read(SERVERS / f"{name}.json").command[0].startswith(f"../.env/{name}/bin/")


@pytest.mark.parametrize("name", names())
def test_ready_made_server_has_exact_versions(name: str) -> None:
    """What was measured can be had again: every package of the environment is pinned."""
    lines = (SERVERS / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.\-]+==[\w.]+", line)] == []
    assert any(line.startswith(f"{name}==") for line in lines)


def test_ready_made_servers_that_were_not_run_say_so() -> None:
    """JSON has no comments: the documentation's table tells which files are untried."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.+) \|$", (ROOT / "docs/servers.md").read_text("utf-8"), re.MULTILINE)
    said = {name: run for name, run in rows if name in {path.stem for path in FILES}}
    assert set(said) == {path.stem for path in FILES}
    assert {name for name, run in said.items() if "not run" in run} == NOT_RUN
    assert {*names()} == set(said) - NOT_RUN
