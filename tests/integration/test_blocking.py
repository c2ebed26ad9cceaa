"""`python -m experiments blocking` with the real router, predictors and generator, briefly."""

import csv
import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from experiments.blocking import experiment as blocking_experiment
from experiments.blocking import figures
from experiments.blocking.experiment import EXPERIMENT
from experiments.experiment import run_experiment, write_report
from tests.harness.experiment import left_behind
from tests.harness.light import light_project
from tests.harness.project import ROOT

pytestmark = pytest.mark.usefixtures("no_charts")

BRIEF = ("--service-time", "0.1", "--arrivals", "300", "--seed", "3")


def test_blocking_points_side_by_side_leave_records_that_can_be_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two short points from start to report: every request is recorded, good ones took the service time."""
    monkeypatch.setattr(blocking_experiment, "PREDICTORS", (1,))
    monkeypatch.setattr(blocking_experiment, "BLOCKING_AIMED", (0.1, 0.2))
    out = io.StringIO()
    options = [*BRIEF, "--at-once", "2", "--out", str(tmp_path / "a")]
    run_experiment(EXPERIMENT, options, Console(file=out, width=80), light_project(tmp_path))
    assert left_behind(tmp_path) == []
    point = json.loads((tmp_path / "a" / "summary.json").read_text())["points"][-1]
    with (tmp_path / "a" / "10-slots-20" / "requests.csv").open() as file:
        rows = list(csv.DictReader(file))
    planned = next(each for each in blocking_experiment.plan_points(0.1, 300, 3) if each.aimed_blocking == 0.2)
    assert len(rows) == planned.warm_up_arrivals + 300
    assert point["arrivals"] == 300
    assert point["refused"] > 0
    good = [float(row["latency_s"]) for row in rows if not row["reason"]]
    assert min(good) >= 0.1
    assert {row["predictor"] for row in rows} == {"", "predict1"}
    assert all(float(row["sent_at_s"]) >= float(row["scheduled_at_s"]) for row in rows)
    assert "beside Erlang B" in out.getvalue()
    assert write_report(EXPERIMENT, tmp_path / "a").points[-1].refused == point["refused"]


def test_blocking_tells_a_topology_that_misses_a_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby of capacity 9: the same moments for both, their files' roles kept, and the missing slot is seen.

    Tests run side by side, so the machine may be busier than a measurement allows: here no point is refused for that.
    """
    monkeypatch.setattr(blocking_experiment, "CURVE_AIMED", (0.2,))
    for name, capacity in (("short", 9), ("whole", 10)):
        entries = json.loads((ROOT / "topology" / "2active.json").read_text())
        pair = {"predict1": entries["predict1"], "predict3": entries["predict3"] | {"capacity": capacity}}
        (tmp_path / f"{name}.json").write_text(json.dumps(pair))
    monkeypatch.setattr(figures, "LAG_OF_SERVICE_TIME", math.inf)
    monkeypatch.setattr(figures, "REFUSAL_OF_SERVICE_TIME", math.inf)
    out, folder = io.StringIO(), tmp_path / "a"
    options = [
        "--topologies",
        f"{tmp_path / 'short.json'},{tmp_path / 'whole.json'}",
        "--service-time",
        "0.6",
        "--arrivals",
        "700",
        "--seed",
        "3",
    ]
    run_experiment(EXPERIMENT, [*options, "--out", str(folder)], Console(file=out, width=80), light_project(tmp_path))
    assert left_behind(tmp_path) == []
    due = []
    for name in ("short", "whole"):
        with (folder / f"{name}-20" / "requests.csv").open() as file:
            due.append(sorted(float(row["scheduled_at_s"]) for row in csv.DictReader(file)))
    assert all(abs(one - other) < 1e-5 for one, other in zip(*due, strict=True))
    assert not json.loads((folder / "short-20" / "topology" / "short.json").read_text())["predict3"]["status"]
    [pair] = json.loads((folder / "summary.json").read_text())["comparison"]["pairs"]
    assert (pair["topology"], pair["planned_slots_more"], pair["saturation"]) == ("whole", 1, None)
    assert pair["beyond"]["verdict"] in ("better", "not decided")
    assert pair["beyond"]["slots"] > 0
    assert pair["beyond"]["low"] <= 1 <= pair["beyond"]["high"]  # as wide as a busy machine makes it
    assert "slots apart" in out.getvalue()
