"""`python -m experiments compare|failover --router` with nginx in the router's place, real and short."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.harness.experiment import ExperimentProcess, left_behind

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx on PATH: apt install nginx")


def nginx_of(folder: Path) -> list[str]:
    """The command lines of every nginx that was started with a configuration in this folder."""
    lines = (" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"]))
    return [line for line in lines if "nginx" in line and str(folder) in line]


def test_compare_swarms_another_router_beside_this_projects(
    start: Callable[..., ExperimentProcess], tmp_path: Path
) -> None:
    """Both to the first failure; of the other there are no loads and no events, and the report is made all the same."""
    run = start("compare", "--router", "flask,nginx", "--topologies", "2only", "--threshold", "2", "--spawn-rate", "8",
                "--service-time", "0.5", light=True)  # fmt: skip
    out = run.finish()
    assert (left_behind(tmp_path), nginx_of(tmp_path)) == ([], [])
    assert max(map(len, out.splitlines()[:-1])) <= 80
    summary = json.loads((run.out / "summary.json").read_text())
    own, other = summary["topologies"]
    assert (own["topology"], other["topology"]) == ("2only / flask", "2only / nginx")
    assert (own["causes"], other["causes"]) == ({"saturated": 1}, {"Bad Gateway": 1})
    assert own["loads"]["predict1"]["peak_load"]["median"] == 2
    assert other["loads"]["predict1"] == {"load": None, "peak_load": None}
    assert json.loads((run.out / "2only-nginx-1" / "events.json").read_text()) == []
    [record] = summary["settings"]["routers"]
    assert record["version"].startswith("nginx version: ")
    assert "--router flask,nginx" in summary["settings"]["command"]


def test_failover_breaks_predictor_and_router_where_that_is_another(
    start: Callable[..., ExperimentProcess], tmp_path: Path
) -> None:
    """A crash is recovered from once both have answered through it; the router's own is a SIGKILL and a start."""
    brief = ["--loads", "calm", "--rate", "10", "--no-capacity", "--repair-after", "1", "--window", "2", "--seed", "1"]
    faults = ["--faults", "crash,router crash"]
    run = start("failover", "--router", "nginx", "--topologies", "2only", *faults, *brief, light=True)
    out = run.finish()
    assert (left_behind(tmp_path), nginx_of(tmp_path)) == ([], [])
    assert "neither is judged here" in " ".join(out.split())
    summary = json.loads((run.out / "summary.json").read_text())
    [deployment] = summary["topologies"]
    assert (deployment["topology"], summary["settings"]["topologies"][0]["router"]) == ("2only", "nginx")
    crash, of_router = ({each["fault"]: each for each in deployment["windows"]}[n] for n in ("crash", "router crash"))
    assert crash["offered"] > of_router["offered"] > 0
    assert (crash["response_s"], crash["recovery_s"], crash["below_need_s"]) == (None, None, None)
    assert crash["outage_s"] <= crash["length_s"]
    assert 0 < of_router["recovery_s"] < of_router["length_s"] + 1
    check_actions(run.out / "2only-1")


def check_actions(folder: Path) -> None:
    """Every fault struck, and after each all was seen to be as planned; the router has been started twice."""
    with (folder / "faults.csv").open(newline="") as file:
        actions = [(row["fault"], row["action"]) for row in csv.DictReader(file)]
    for fault in ("crash", "router crash"):
        assert {"injected", "repaired", "recovered", "window ended"} <= {act for of, act in actions if of == fault}
    assert not {action for _, action in actions} & {"missed", "put back", "skipped"}
    assert (folder / "router" / "nginx.conf").is_file()
    assert (folder / "loads.csv").read_text().count("\n") == 1
