"""`python -m experiments compare` with the real router, predictors and swarm, at a pace that fails within seconds."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from cli import CommandError
from experiments.compare.experiment import EXPERIMENT
from experiments.experiment import main as report
from experiments.experiment import run_experiment
from tests.harness.experiment import DEADLINE_S, ExperimentProcess, left_behind
from tests.harness.light import light_project
from tests.harness.project import SAMPLE, topology_files

FAST = ["--spawn-rate", "4", "--threshold", "3"]


@pytest.mark.usefixtures("no_charts")
def test_compare_two_at_once_find_the_first_failures(start: Callable[..., ExperimentProcess], tmp_path: Path) -> None:
    """Two comparisons run side by side to the first failure, one with a payload over workers; nothing left behind."""
    before = topology_files()
    main_run = start("compare", "--topologies", "single,2active", *FAST, light=True)
    (tmp_path / "large.json").write_bytes(SAMPLE + b" " * (500_000 - len(SAMPLE)))
    payload = ["--payload", str(tmp_path / "large.json"), "--service-time", "0.3", "--service-time-per-mb", "1.4"]
    options = [*payload, "--run-time", "30", "--workers", "2"]
    other = start("compare", "--topologies", "single", *FAST, *options, out="b", light=True)
    out = main_run.finish()
    assert (other.wait(DEADLINE_S), left_behind(tmp_path)) == (0, [])
    assert topology_files() == before
    assert max(map(len, out.splitlines()[:-1])) <= 80
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    single, two = summary["topologies"]
    assert (single["slots"], two["slots"]) == (3, 9)
    assert single["causes"] == two["causes"] == {"saturated": 1}
    assert two["runs"][0]["promotions"] == 1
    peaks = {name: loads["peak_load"]["median"] for name, loads in two["loads"].items()}
    assert peaks == {"predict1": 3, "predict2": 3, "predict3": 3}
    check_records(tmp_path / "a" / "single-1", tmp_path / "a" / "2active-1", tmp_path / "b" / "single-1")
    assert len(list((tmp_path / "b" / "single-1").glob("requests.*.csv"))) == 2
    check_payload(tmp_path / "b" / "single-1")
    check_report_again(tmp_path / "a")


def test_compare_wants_a_cold_standby_at_the_first_refusal(start: Callable[..., ExperimentProcess]) -> None:
    """The first failure comes with the slots of the two that run; then the router wants the third."""
    run = start("compare", "--topologies", "2cold", *FAST, "--run-time", "30", light=True)
    run.finish()
    noted = json.loads((run.out / "2cold-1" / "first_failure.json").read_text())
    assert [noted["loads"][name]["peak_load"] for name in ("predict1", "predict2", "predict3")] == [3, 3, 0]
    events = json.loads((run.out / "2cold-1" / "events.json").read_text())
    assert ("wanted", "predict3") in [(event["event"], event["predictor"]) for event in events]


def check_records(*runs: Path) -> None:
    """The raw records are there, and the rate counted from them is the rate that the swarm noted."""
    for run in runs:
        noted = json.loads((run / "first_failure.json").read_text())
        files = [path.read_text().splitlines() for path in run.glob("requests*.csv")]
        sent = [float(row["sent_at_s"]) for lines in files for row in csv.DictReader(lines)]
        window = [s for s in sent if noted["time_s"] - noted["window_s"] < s <= noted["time_s"]]
        assert len(window) == noted["requests_in_window"]
        assert noted["topology"] == run.name.removesuffix("-1")
        with (run / "loads.csv").open() as file:
            assert all(0 <= int(row["load"]) <= 3 for row in csv.DictReader(file))


def check_payload(run: Path) -> None:
    """Every request was a POST of half a megabyte, and took 0.3 s and half of 1.4 s."""
    rows = [row for path in run.glob("requests.*.csv") for row in csv.DictReader(path.read_text().splitlines())]
    assert {row["method"] for row in rows} == {"POST"}
    assert min(float(row["latency_s"]) for row in rows if row["status"] == "200") >= 1.0
    settings = json.loads((run.parent / "settings.json").read_text())
    assert (settings["service_time_s"], settings["payload"]["size_bytes"]) == (1.0, 500_000)


def check_report_again(folder: Path) -> None:
    """`report` makes the same summary and the same page again."""
    made = {name: (folder / name).read_bytes() for name in ("summary.json", "report.html", "rates.svg")}
    for name in made:
        (folder / name).unlink()
    report([str(folder)], Console(file=io.StringIO(), width=80))
    assert {name: (folder / name).read_bytes() for name in made} == made


def test_compare_without_failure_in_the_run_time_says_so(start: Callable[..., ExperimentProcess]) -> None:
    """Nothing failed is an outcome that is reported, not an error; the model is the real one, and charts are drawn."""
    run = start("compare", "--topologies", "single", "--run-time", "3", "--users", "2")
    assert "Nothing failed within 3 s" in " ".join(run.finish().split())
    assert "<path" in (run.out / "rates.svg").read_text()
    assert not (run.out / "single-1" / "first_failure.json").exists()


@pytest.mark.parametrize(("broken", "name"), [("router.py", "router"), ("predictors/predict1.py", "predict1")])
def test_compare_with_a_program_that_does_not_come_up_names_it(tmp_path: Path, broken: str, name: str) -> None:
    """A predictor or router that ends at its start is named, with its log's last lines, and the rest is stopped."""
    root = light_project(tmp_path)
    (root / broken).unlink()
    (root / broken).write_text("import sys; sys.exit('no luck today')\n")
    arguments = ["--topologies", "single", "--out", str(tmp_path / "a")]
    with pytest.raises(CommandError) as raised:
        run_experiment(EXPERIMENT, arguments, Console(file=io.StringIO(), width=80), root)
    assert str(raised.value) == f"{name} ended (exit status 1)\n  | no luck today"
    assert raised.value.exit_status == 1
    assert left_behind(tmp_path) == []
