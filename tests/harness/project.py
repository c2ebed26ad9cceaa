"""Where the project is, its sample request, and what a topology file says."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = (ROOT / "predictors" / "sample.json").read_bytes()
POSTS_PORTS = ("9696", "9697", "9698")


def with_ports(name: str, ports: list[int]) -> str:
    """The text of the project's topology file of this name, with these ports."""
    text = (ROOT / "topology" / f"{name}.json").read_text()
    for posts, own in zip(POSTS_PORTS, ports, strict=False):
        text = text.replace(f'"{posts}"', f'"{own}"')
    return text


def topology_files() -> dict[str, bytes]:
    """The tree's own topology files."""
    return {path.name: path.read_bytes() for path in (ROOT / "topology").iterdir()}


def statuses(path: Path) -> list[bool]:
    """Every predictor's status as the topology file shows it now."""
    return [entry["status"] for entry in json.loads(path.read_bytes()).values()]


def loads(path: Path) -> list[int]:
    """Every predictor's load as the topology file shows it now."""
    return [entry["load"] for entry in json.loads(path.read_bytes()).values()]


def side_files(path: Path) -> list[str]:
    """What lies beside the topology file and is no topology file itself."""
    return [found.name for found in path.parent.iterdir() if found.suffix != ".json" or found.name[0] == "."]
