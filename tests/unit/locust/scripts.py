"""Processes for what would patch this one: importing Locust patches sockets."""

import subprocess
from pathlib import Path

from tests.harness.project import ROOT
from tests.harness.warm import run_warm

HEAD = "import json\nfrom types import SimpleNamespace as Some\n"
"""What every script begins with."""


def run(*words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Runs Python with these words to its end, where Locust has been imported."""
    return run_warm(("locust",), *words, cwd=cwd)


def printed(script: str) -> str:
    """Returns the output of HEAD and a script that imports modules as Locust does: from their own folder."""
    done = run("-c", HEAD + script, cwd=ROOT / "locust")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
