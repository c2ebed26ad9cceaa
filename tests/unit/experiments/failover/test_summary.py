"""The summary of a failover run: what is pooled, and what the finding says."""

import dataclasses
from pathlib import Path

import pytest

from experiments.failover.findings import headline
from experiments.failover.metrics import METRIC
from experiments.failover.records import OVERSIZE, SteadyRequest, read_fault_runs
from experiments.failover.report import summarize
from experiments.results.statistics import RunStats
from experiments.results.store import REQUESTS
from tests.unit.experiments.failover.hand_written import SETTINGS_HERE, request, summary_of, write_folder, write_rows


def test_summary_pools_valid_unplanned_faults(tmp_path: Path) -> None:
    """Availability and losses over the unplanned faults, the control and skipped ones left out."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [0]})
    summary = summary_of(folder)
    single, two = summary.topologies
    assert set(single.figures) == set(METRIC)
    assert single.figures["availability"] == RunStats(0.6, 0.6, 0.6, 1)
    assert two.figures["lost_per_fault"] == RunStats(0.0, 0.0, 0.0, 1)
    assert any("'region' was skipped for single, 2active" in sentence for sentence in summary.finding)
    assert summary.finding[0] == (
        "Requests lost while faults struck, in one run of each: single 1 in 2.5 and 2active none; one run decides no "
        "ranking."
    )
    assert "single answered 60.00%" in summary.finding[1]


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        ({"single": (0.90, 5)}, "single 1 in 10"),
        ({"single": (0.90, 5), "2active": (0.997, 5), "3active": (0.996, 5)},
         "single 1 in 10; 2active and 3active 1 in 500 to 1 in 200, not told apart"),
        ({"single": (0.90, 3), "2active": (0.997, 3)}, "single and 2active 1 in 500 to 1 in 9, not told apart"),
        ({"single": (0.90, 5), "2active": (0.95, 5)}, "single 1 in 10; 2active 1 in 20"),
    ],
)  # fmt: skip
def test_headline_ranks_only_what_the_runs_separate(answered: dict[str, tuple[float, int]], expected: str) -> None:
    """Topologies that are not told apart stand together with the range of their runs, not as a ranking of medians."""
    values = {
        name: RunStats(middle, middle - (0.01 if middle < 0.99 else 0.001), middle + 0.001, runs)
        for name, (middle, runs) in answered.items()
    }
    assert headline(values) == f"Requests lost while faults struck: {expected}."


def test_summary_names_oversize_bodies_that_were_not_refused_for_their_size(tmp_path: Path) -> None:
    """Another answer than 413 means that something else than the size was refused."""
    folder = write_folder(tmp_path / "run", {"single": [0]})
    [run] = read_fault_runs(folder)
    bodies = [request(1, "Too large", kind=OVERSIZE), request(2, "Too large", kind=OVERSIZE)]
    wrong = [*bodies, dataclasses.replace(bodies[0], status=400)]
    good, bad = (
        summarize(SETTINGS_HERE, [dataclasses.replace(run, requests=run.requests + each)]).finding
        for each in (bodies, wrong)
    )
    assert not any("bodies over the limit" in sentence for sentence in good)
    assert "1 of 3 bodies over the limit were not refused for their size (413)." in bad


def test_summary_leaves_lagging_windows_out(tmp_path: Path) -> None:
    """A generator that lagged gives no figure, and the finding says so."""
    folder = write_folder(tmp_path / "run", {"single": [40]}, late_s=0.5)
    summary = summary_of(folder)
    assert summary.topologies[0].figures["availability"] is None
    assert any("Invalid windows: 1. There the generator lagged" in sentence for sentence in summary.finding)


def test_summary_pools_only_faults_that_are_valid_in_every_topology(tmp_path: Path) -> None:
    """Availabilities over different faults cannot be compared: one lagging window takes the fault out for all."""
    folder = write_folder(tmp_path / "run", {"single": [40, 40], "2active": [0, 0]})
    write_rows(folder / "2active-1" / REQUESTS, SteadyRequest, [request(k / 10, late_s=1.0) for k in range(80)])
    summary = summary_of(folder)
    single, two = (topology.figures["availability"] for topology in summary.topologies)
    assert single is not None
    assert two is not None
    assert (single.count, two.count) == (1, 1)
    assert any("single lost requests in crash." in sentence for sentence in summary.finding)
    assert any("2active lost none in any of these faults." in sentence for sentence in summary.finding)
