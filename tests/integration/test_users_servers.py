"""A model server of a user's own in the experiments, with real processes: preflight, `compare --server`, mistakes."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from experiments.__main__ import main
from experiments.testbed.ports import free_ports
from experiments.testbed.servers.predictors import child_of
from experiments.testbed.servers.preflight import LoneServer, measure_drain
from experiments.testbed.signals import StopRequest
from server_file import PAYLOAD_LIMIT_BYTES, Place, read
from tests.harness.charts import empty_charts
from tests.harness.server_files import stand_in, write_server_file
from tests.harness.waiting import wait_until

GONE_WITHIN_S = 10.0


def still_running(folder: Path) -> list[str]:
    """The command lines of processes that name the folder, or run in it."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and f"{folder}" in f"{words} {process.cwd()}":
                found.append(words)
        except psutil.Error:
            continue
    return found


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """No process of a server stays."""
    yield
    wait_until(lambda: not still_running(tmp_path), GONE_WITHIN_S)


def test_preflight_says_what_a_server_carries_how_it_stops_and_what_surprises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that refuses beyond four at once and whose worker leaves the group: table, sentences, capacity, warnings."""
    file = write_server_file(tmp_path, "escaping", "--service-time", "0.05", "--limit", "4", "--name", tmp_path.name)
    figures = tmp_path / "figures.json"
    assert main(["server", str(file), "--json", str(figures)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "escaping alone, without a router" in printed
    assert "Answer to POST /score: 200, " in printed
    assert '{"score": 3.75, "model": ' in printed
    assert "Stop: 4 of 4 predictions in flight at SIGTERM got a good answer; it ended after" in printed
    assert "Warning: without a capacity in its file it has 10, which is more than it carries: with 8 at once" in printed
    assert "Warning: 1 of its 2 processes left the process group" in printed
    assert "Suggested capacity: 4, the most at once" in printed
    assert 'write "capacity": 4 into its file' in printed
    found = json.loads(figures.read_text())
    assert 0.05 <= found["service_time_s"] < 0.1
    assert [level["at_once"] for level in found["levels"]] == [1, 2, 4, 8, 16]
    assert "429" in found["levels"][3]["statuses"]
    assert found["capacity"] == 4


def test_preflight_predictions_that_outlive_the_leader_are_answered(tmp_path: Path) -> None:
    """A leader that ends at SIGTERM while its worker serves on has lost nothing yet; the worker is told as left."""
    alone = ["sh", "-c", '"$@" & wait', "sh", *stand_in("plain", "--service-time", "0.3")]
    server = read(write_server_file(tmp_path, "plain", command=alone, stop_within_s=1.0))
    stop, place = StopRequest(), Place("predict1", "127.0.0.1", tuple(free_ports(1)))
    with LoneServer(server, place, child_of, tmp_path) as lone:
        lone.wait_until_ready(stop, print)
        drain = measure_drain(lone, 10.0, 2, stop)
    assert (drain.in_flight, drain.answered, drain.left) == (2, 2, 1)
    assert drain.ended_after_s is not None
    assert drain.ended_after_s < 0.3


KEY = "c0ffee-5ecret"


def test_compare_of_a_server_that_queues_shows_no_theory_and_keeps_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From preflight to report: a dash and the reason; a header's value is in no file of the run and not printed."""
    monkeypatch.setenv("KEY", KEY)
    words = stand_in("plain", "--service-time", "0.1", "--at-once", "1")
    command = ["sh", "-c", f'exec {" ".join(words)} --token "$KEY"']
    file = write_server_file(
        tmp_path, "plain", command=command, capacity=3, headers={"Authorization": "Bearer {env:KEY}"}
    )
    out = tmp_path / "run"
    options = ("--topologies", "single", "--server", file, "--spawn-rate", 10, "--run-time", 30, "--out", out)
    with empty_charts():
        assert main(["compare", *map(str, options)]) == 0
    captured = capsys.readouterr()
    printed = " ".join(captured.out.split())
    assert "warning: 3 at once take" in printed
    assert "No theory stands beside these figures: 3 at once take" in printed
    assert "measured of plain" in printed
    assert KEY not in captured.out + captured.err
    assert [path for path in out.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []
    requests = (out / "single-1" / "requests.csv").read_text().splitlines()
    assert any(",POST,200," in row for row in requests), "predictions were answered, by a server that asks for the key"
    summary: Any = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["server"]["headers"] == ["Authorization"]
    assert summary["topologies"][0]["theory"]["rate_per_s"] is None


ELSEWHERE = [sys.executable, "-m", "http.server", "0", "--bind", "{host}"]
ENDS = [sys.executable, "-c", "import sys; print('no model at models/7'); sys.exit(3)"]
MISTAKES: dict[str, tuple[tuple[object, ...], dict[str, Any], str]] = {
    "unknown key": ((), {"comand": "serve"}, "unknown key 'comand': did you mean 'command'?"),
    "missing program": ((), {"command": "no-such-server --port {port}"}, "no program 'no-such-server' on PATH"),
    "wrong path": ((), {"path": "/predict", "ready_within_s": 1}, "but POST /predict answers 404 Not Found"),
    "wrong health": ((), {"health": "/alive", "ready_within_s": 1}, "GET /alive answers 404 Not Found"),
    "payload missing": ((), {"payload": "none.json"}, "payload 'none.json': No such file or directory"),
    "payload too large": ((), {"payload": "large.bin"}, f"payload 'large.bin': over {PAYLOAD_LIMIT_BYTES} bytes"),
    "variable not set": ((), {"headers": {"X-Key": "{env:NOT_SET}"}}, "the variable NOT_SET is not set: export it"),
    "ends at once": ((), {"command": ENDS}, "exit status 3"),
    "never ready": (
        ("--load-time", 60),
        {"ready_within_s": 1, "stop_within_s": 0.5},
        "did not come up within 1 s: nothing listens on port",
    ),
    "health lies": (("--model-time", 60), {"ready_within_s": 1}, "but POST /score answers 404 Not Found"),
    "port not taken": ((), {"command": ELSEWHERE, "ready_within_s": 1}, "its command must name {port}"),
    "wrong payload": ((), {"content_type": "text/plain"}, "POST /score answers 422"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_told_in_one_line_and_leaves_no_process(
    mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 1 or 2, no traceback; of a server that ends or does not come up also its log's last lines."""
    options, keys, told = MISTAKES[mistake]
    monkeypatch.delenv("NOT_SET", raising=False)
    (tmp_path / "large.bin").write_bytes(bytes(PAYLOAD_LIMIT_BYTES + 1))
    file = write_server_file(tmp_path, "plain", *options, **keys)
    assert main(["compare", "--topologies", "single", "--server", str(file), "--out", str(tmp_path / "run")]) in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert told in lines[0]
    assert all(line.startswith("  | ") for line in lines[1:]), "after the one line, its log"
    assert mistake != "ends at once" or lines[1:] == ["  | no model at models/7"]
    assert not (tmp_path / "run").exists(), "no folder of a run that never began"
