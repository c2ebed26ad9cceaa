"""The topology file of an answer: what the router and the other experiments read of it."""

from pathlib import Path

import pytest

from cli import UsageError
from experiments.answer.topology_file import require_writable, write_topology
from experiments.theory.sizing import Deployment, Kind
from routing import topology as routing_topology

CASES = {
    Deployment(Kind.SINGLE, 1): ["active"],
    Deployment(Kind.ACTIVE, 4): ["active"] * 4,
    Deployment(Kind.WARM, 3): ["active", "active", "standby"],
    Deployment(Kind.COLD, 3): ["active", "active", "standby"],
}


@pytest.mark.parametrize("deployment", CASES, ids=lambda each: each.name)
def test_topology_written_is_what_the_router_reads(deployment: Deployment, tmp_path: Path) -> None:
    """Roles, capacities, ports of their own and the kind of standby."""
    path = tmp_path / "mine.json"
    write_topology(path, deployment, 7)
    read = routing_topology.read(path, threshold=10)
    assert [str(entry.role) for entry in read.entries] == CASES[deployment]
    assert {entry.capacity for entry in read.entries} == {7}
    assert [entry.port for entry in read.entries] == list(range(9696, 9696 + deployment.predictors))
    assert [entry.cold for entry in read.entries if entry.role.is_backup] == (
        [deployment.kind is Kind.COLD] if deployment.kind in (Kind.WARM, Kind.COLD) else []
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("there.json", "it is there already: give another name, or remove it first"),
        ("mine.txt", "give a name that ends in .json"),
        ("nowhere/mine.json", "no such folder"),
        ("a,b.json", "give a name without commas and outer spaces"),
    ],
)
def test_topology_that_cannot_be_written_is_told_and_nothing_is_lost(name: str, told: str, tmp_path: Path) -> None:
    """A file that stands there stays as it is."""
    (tmp_path / "there.json").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        require_writable(tmp_path / name)
    assert (tmp_path / "there.json").read_text(encoding="utf-8") == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["there.json"]
