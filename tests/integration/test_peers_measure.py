"""A step of `python -m tools.peers measure` that is broken off, in a process of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WITHIN_S = 20.0
STEP = """
import sys
from tools.peers_measure import run_to_end
run_to_end(["sh", "-c", "trap 'touch ended; exit 0' TERM; touch begun; while :; do sleep 0.05; done"], None)
"""


def wait_for(path: Path) -> None:
    """Waits until the file is there."""
    deadline = time.monotonic() + WITHIN_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.02)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_step_ends_with_the_measurement(tmp_path: Path, signum: signal.Signals) -> None:
    """Whatever stops it, the command is told to end, and has cleared up before the measurement is gone."""
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", STEP], cwd=tmp_path, env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(tmp_path / "begun")
        process.send_signal(signum)
        _, told = process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()
    assert (tmp_path / "ended").exists()
    assert f"stopped by {signum.name}" in told
