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


def stopped(script: str, folder: Path, signum: signal.Signals) -> tuple[int, str]:
    """Runs this there, sends the signal once its step has begun; returns the exit status, and what stderr was told."""
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, env={"PYTHONPATH": f"{root}:{folder}", "PATH": "/usr/bin:/bin"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(folder / "begun")
        process.send_signal(signum)
        _, told = process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()
    return process.returncode, told


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_step_ends_with_the_measurement(tmp_path: Path, signum: signal.Signals) -> None:
    """Whatever stops it, the command is told to end, and has cleared up before the measurement is gone."""
    _, told = stopped(STEP, tmp_path, signum)
    assert (tmp_path / "ended").exists()
    assert f"stopped by {signum.name}" in told


MEASUREMENT = """
import sys
from tools import peers, peers_measure
step = peers_measure.Step("2active-1", "2active", ("sleeper",), 1.0)
peers_measure.steps = lambda *_, **__: [step]
def command(_):
    env = peers_measure.with_programs(peers.Path("bin"))
    peers.measure(peers_measure.Plan(("flask",), 5), peers.Path("run").resolve(), env)
sys.exit(peers.run_subcommand("tools.peers", {"measure": (command, "")}, ["measure"]))
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_measurement_that_is_stopped_ends_with_what_goes_on(tmp_path: Path, signum: signal.Signals) -> None:
    """The last line, on stderr; the step is not finished."""
    (tmp_path / "sleeper.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)\n")
    status, told = stopped(MEASUREMENT, tmp_path, signum)
    assert status == 128 + signum
    assert told.splitlines()[-1] == (
        f"tools.peers measure: stopped by {signum.name}: go on: python -m tools.peers measure run --routers flask"
    )
    assert (tmp_path / "run" / "plan.json").is_file()
    assert not (tmp_path / "run" / "2active-1" / "finished.json").exists()
