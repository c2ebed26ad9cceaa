"""`python -m experiments blocking` with the real router, predictors and generator, briefly."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from experiments.blocking import plan_points
from experiments.blocking_report import make_report

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 100.0

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python program with these arguments; whatever still runs is stopped with the test."""
    started: list[subprocess.Popen[str]] = []

    def start_one(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)


def left_behind(folder: Path) -> list[str]:
    """The command lines of processes that run in a run folder or have it among their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            is_ours = Path(process.cwd()).is_relative_to(folder) or str(folder) in words
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(words)
        except psutil.Error:
            continue
    return found


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until it holds, or fail."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_poisson_load_of_a_real_router_leaves_a_point_that_can_be_reported(start: Start, tmp_path: Path) -> None:
    """One short point from start to report: every request is recorded, good ones took the service time."""
    script = (
        "import sys; from rich.console import Console; from experiments import blocking;"
        "blocking.SLOTS, blocking.BLOCKING_AIMED = (10,), (0.2,);"
        "blocking.main(sys.argv[1:], Console(width=80))"
    )
    run = start("-c", script, "--arrivals", "300", "--seed", "3", "--out", tmp_path / "a")
    out, err = run.communicate(timeout=DEADLINE_S)
    assert (run.returncode, err) == (0, "")
    assert left_behind(tmp_path) == []
    point = json.loads((tmp_path / "a" / "summary.json").read_text())["points"][0]
    with (tmp_path / "a" / "10-slots-20" / "requests.csv").open() as file:
        rows = list(csv.DictReader(file))
    planned = next(each for each in plan_points(0.1, 300, 3) if each.slots == 10 and each.aimed_blocking == 0.2)
    assert len(rows) == planned.warm_up_arrivals + 300
    assert point["arrivals"] == 300
    assert point["refused"] > 0
    good = [float(row["latency_s"]) for row in rows if not row["reason"]]
    assert min(good) >= 0.1
    assert {row["predictor"] for row in rows} == {"", "predict1"}
    assert all(float(row["sent_at_s"]) >= float(row["scheduled_at_s"]) for row in rows)
    assert "beside Erlang B" in out
    assert make_report(tmp_path / "a").points[0].refused == point["refused"]


@pytest.mark.parametrize("file", ["requests.csv", "logs/predict1.log"], ids=["while it sends", "in the start"])
def test_blocking_stopped_in_the_middle_leaves_no_process(start: Start, tmp_path: Path, file: str) -> None:
    """Ctrl-C at any moment ends generator, router and predictors, and says where the records are."""
    run = start("-m", "experiments", "blocking", "--out", tmp_path / "a")
    wait_for((tmp_path / "a" / "10-slots-01" / file).is_file)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 128 + signal.SIGINT
    assert err == "experiments blocking: stopped by SIGINT\n"
    assert f"Records so far: {tmp_path / 'a'}" in out
    assert left_behind(tmp_path) == []
