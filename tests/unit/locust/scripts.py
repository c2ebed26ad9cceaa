"""Processes for what would patch this one: importing Locust patches sockets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A Python process, to its end."""
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=30)


def printed(script: str) -> str:
    """What a script prints that imports the swarm's modules as Locust does: from their own folder."""
    done = run("-c", script, cwd=ROOT / "locust")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
