"""Losses and delays recomputed by hand, in plain Python, from requests*.csv and faults.csv."""

import csv
import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from experiments.experiment import write_report
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.records import Action, SteadyRequest
from experiments.results.store import SETTINGS, write_json
from tests.unit.experiments.failover.hand_written import SETTINGS_HERE, fault_steps, request, write_folder, write_rows

pytestmark = pytest.mark.usefixtures("no_charts", "no_answer")

KEPT_RUN = Path(__file__).resolve().parents[3] / "frozen" / "runs" / "failover"


@pytest.fixture(params=["kept run", "made up"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A real run that is kept with the tests, and one written by hand with requests at every edge."""
    return kept(tmp_path) if request.param == "kept run" else made_up(tmp_path)


def kept(tmp_path: Path) -> Path:
    """A copy of the kept run."""
    return shutil.copytree(KEPT_RUN, tmp_path / "run")


def made_up(tmp_path: Path) -> Path:
    """Two loads, a crash under each, requests in flight when they strike and a surge's in a file of its own."""
    folder = write_folder(tmp_path / "run", {"single": [5], "2active": [0]})
    shift_s = 40.0
    for name in ("single-1", "2active-1"):
        steps = [*fault_steps(), *fault_steps("hang", "predict1", 2)]
        moved = [dataclasses.replace(a, time_s=a.time_s + shift_s, load="n+1") if a.window == 2 else a for a in steps]
        write_rows(folder / name / "faults.csv", Action, moved)
        edges = [request(-0.1, "down"), request(-0.2, "down"), request(-0.1, latency_s=3.0), request(-0.3)]
        second = [request(shift_s + k / 7, "down" if k % 3 else "", latency_s=0.71 + k / 100) for k in range(-5, 90)]
        write_rows(folder / name / "requests.csv", SteadyRequest, [*edges, *second])
        write_rows(folder / name / "requests.more-1.csv", SteadyRequest, [request(1, "saturated", kind="more")] * 3)
        bodies = [request(2, "Too large", kind="oversize")]
        write_rows(folder / name / "requests.oversize-2.csv", SteadyRequest, bodies)
    settings = json.loads((folder / SETTINGS).read_text())
    loads = [{"name": n, "rate_per_s": 7.0, "reason": "", "faults": ["crash", "hang"]} for n in ("calm", "n+1")]
    write_json(folder / SETTINGS, settings | {"loads": loads, "faults": ["crash", "hang"]})
    return folder


def rows(path: Path) -> Iterator[Mapping[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def by_hand(folder: Path) -> dict[tuple[str, int, str, float], tuple[int, int, int]]:
    """Topology, repeat, fault and moment -> requests offered, lost and delayed, from the records alone."""
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    found = {}
    for run in sorted(path.parent for path in folder.glob("*/run.json")):
        requests = [row for path in run.glob("requests*.csv") for row in rows(path) if row["kind"] != "oversize"]
        windows: dict[str, dict[str, Mapping[str, str]]] = {}
        for row in rows(run / "faults.csv"):
            windows.setdefault(row["window"], {})[row["action"]] = row
        for steps in windows.values():
            if "injected" not in steps:
                continue
            struck, fault = float(steps["injected"]["time_s"]), steps["injected"]["fault"]
            end = max(struck + settings["window_s"], float(steps["recovered"]["time_s"]))
            if fault == "upgrade":
                end = float(steps["repaired"]["time_s"])
            own = []
            for row in requests:
                sent, done = float(row["sent_at_s"]), float(row["sent_at_s"]) + float(row["latency_s"])
                if struck <= sent < end or sent < struck < done:
                    own.append(row)
            lost = [row for row in own if row["reason"]]
            limit = settings["service_time_s"] + 0.5
            delayed = [row for row in own if not row["reason"] and float(row["latency_s"]) > limit]
            topology, _, repeat = run.name.rpartition("-")
            found[topology, int(repeat), fault, struck] = (len(own), len(lost), len(delayed))
    return found


def summary_of(folder: Path) -> dict[str, Any]:
    """The report's summary.json."""
    write_report(EXPERIMENT, folder)
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary


def test_losses_of_every_window_are_those_counted_by_hand(folder: Path) -> None:
    """Sent in the window, or in flight when the fault struck: offered, lost and delayed as the records say."""
    expected = by_hand(folder)
    found = {
        (topology["topology"], window["repeat"], window["fault"], window["injected_s"]): (
            window["offered"],
            window["lost"],
            window["delayed"],
        )
        for topology in summary_of(folder)["topologies"]
        for window in topology["windows"]
    }
    assert found == expected
    assert sum(lost for _, lost, _ in found.values()) > 0


def test_means_of_every_fault_are_those_of_its_windows_counted_by_hand(folder: Path) -> None:
    """The table's lost per fault is the mean over the windows of its load, each counted once."""
    expected = by_hand(folder)
    summary = summary_of(folder)
    of_load = {
        (topology["topology"], window["fault"], window["injected_s"]): window["load"]
        for topology in summary["topologies"]
        for window in topology["windows"]
    }
    for load in summary["loads"]:
        for topology in load["topologies"]:
            for impact in (*topology["faults"], *topology["router"]):
                lost = [
                    counts[1]
                    for (name, _, fault, struck), counts in expected.items()
                    if (name, fault) == (topology["topology"], impact["fault"])
                    and of_load[name, fault, struck] == load["load"]
                ]
                assert impact["lost_with_invalid"] == pytest.approx(sum(lost) / len(lost), abs=1e-4)
                assert impact["windows"] + impact["invalid"] == len(lost)


def test_requests_in_flight_are_among_those_counted(tmp_path: Path) -> None:
    """The made-up run has some that only the in-flight rule finds: one lost and one delayed."""
    [window] = [
        window
        for topology in summary_of(made_up(tmp_path))["topologies"]
        if topology["topology"] == "single"
        for window in topology["windows"]
        if window["load"] == "calm"
    ]
    assert (window["offered"], window["lost"], window["delayed"]) == (6, 5, 1)
    assert SETTINGS_HERE.service_time_s == 0.2
