"""The topology file of a deployment: what `--write` leaves, for the router and the other experiments."""

import json
from pathlib import Path

from cli import UsageError
from experiments.theory.sizing import Deployment, Kind

FIRST_PORT = 9696
"""Predictors stand on ports from the post's first on."""


def topology_of(deployment: Deployment, capacity: int) -> dict[str, dict[str, object]]:
    """Returns the topology file's object: each predictor's role, capacity and port."""
    document: dict[str, dict[str, object]] = {}
    for place in range(deployment.predictors):
        active = place < deployment.actives
        entry: dict[str, object] = {"status": active, "load": 0, "port": str(FIRST_PORT + place), "capacity": capacity}
        if not active and deployment.kind is Kind.COLD:
            entry["standby"] = str(Kind.COLD)
        document[f"predict{place + 1}"] = entry
    return document


def require_writable(path: Path) -> None:
    """Raises UsageError, before anything is computed, where the file cannot be written or is there already."""
    place = f"argument --write: {str(path)!r}"
    if path.suffix != ".json":
        raise UsageError(f"{place}: give a name that ends in .json, as topology/mine.json")
    if "," in str(path) or str(path) != str(path).strip():
        raise UsageError(
            f"{place}: give a name without commas and outer spaces, by which lists of topologies are split"
        )
    if path.exists():
        raise UsageError(f"{place}: it is there already: give another name, or remove it first")
    if not path.parent.is_dir():
        raise UsageError(f"{place}: no such folder: give one that exists, as topology/mine.json")


def write_topology(path: Path, deployment: Deployment, capacity: int) -> None:
    """Writes the topology into a new file. Raises UsageError where it cannot."""
    text = json.dumps(topology_of(deployment, capacity), indent=4) + "\n"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"argument --write: {str(path)!r}: {error.strerror}: give another") from error
