"""Processes for what would patch this one: importing Locust patches sockets."""

import subprocess
import sys
from pathlib import Path

HEAD = "import json\nfrom types import SimpleNamespace as Some\nimport locust\n"
"""What every script begins with; Locust comes first, for it patches sockets."""

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs a Python process to its end."""
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=30)


def printed(script: str) -> str:
    """Returns the output of HEAD and a script that imports modules as Locust does: from their own folder."""
    done = run("-c", HEAD + script, cwd=ROOT / "locust")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
