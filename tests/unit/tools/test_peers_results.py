"""How runs are pooled, whose figures they are, and which steps are missing, from summaries made by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.records import Measurement, RunFolder
from tests.command_lines import assert_mistake
from tests.unit.tools.test_peers_page import SETTINGS, main, run, window
from tools.peers_results import FINISHED, THROUGHPUT, Speed, read_runs, unfinished, version_number

# Pooling


def test_read_runs_pools_the_windows_of_all_repeats(tmp_path: Path) -> None:
    """By router and fault, a value per window."""
    run(tmp_path, "2active-1", flask=[window(1), window(0, fault="hang")], nginx=[window(7)])
    run(tmp_path, "2active-2", flask=[window(2, offered=71)])
    found = read_runs(tmp_path)
    pooled = found.cell("flask", "crash")
    assert pooled is not None
    assert (pooled.lost, pooled.offered, pooled.outage_s) == ([1, 2], [70, 71], [0.1, 0.2])
    assert [(each.router, each.fault, each.lost) for each in found.cells[1:]] == [
        ("flask", "hang", [0]),
        ("nginx", "crash", [7]),
    ]


def test_read_runs_leaves_out_steps_that_have_not_ended(tmp_path: Path) -> None:
    """Half a step counts for nothing."""
    run(tmp_path, "2active-1", flask=[window(1)])
    run(tmp_path, "2active-2", finished=False, flask=[window(9)])
    assert [each.lost for each in read_runs(tmp_path).cells] == [[1]]


def test_read_runs_leaves_out_windows_that_prove_nothing(tmp_path: Path) -> None:
    """A fault that was not proven to strike, a load that came over 0.1 s late, or none: in no figure, but counted."""
    found = [
        window(1, lateness_p99_s=0.1),
        window(2, missed="nobody died"),
        window(4, lateness_p99_s=0.2),
        window(0, offered=0),
    ]
    run(tmp_path, "2active-1", flask=found)
    [pooled] = read_runs(tmp_path).cells
    assert (pooled.lost, pooled.longest_wait_s, pooled.left_out) == ([1], [1.5], 3)


def test_read_runs_keeps_the_hosts_control_apart(tmp_path: Path) -> None:
    """Their topology has a predictor more: what it loses without a fault is not what the other does."""
    run(tmp_path, "2active-1", flask=[window(0, fault="none")])
    run(tmp_path, "2hosts-1", flask=[window(1, fault="none"), window(2, fault="host")])
    assert [(each.fault, each.lost) for each in read_runs(tmp_path).cells] == [
        ("none", [0]),
        ("none, on two hosts", [1]),
        ("host", [2]),
    ]


def test_read_runs_takes_throughput_from_the_benchmarks_records(tmp_path: Path) -> None:
    """Answers per second and latencies by router and connections, a value per repeat."""
    run(tmp_path, "2active-1", flask=[window(0)])
    folder = RunFolder.make(tmp_path / THROUGHPUT)
    for repeat, requests in ((1, 900), (2, 1100)):
        folder.add(Measurement("nginx", "POST", 8, repeat, 1.0, requests, 100, 0.5, 1.5, 0.1, 9.0))
    assert read_runs(tmp_path).speeds == []
    (tmp_path / THROUGHPUT / FINISHED).write_text("{}")
    assert read_runs(tmp_path).speeds == [Speed("nginx", 8, [1, 2], [800.0, 1000.0], [0.5, 0.5], [1.5, 1.5])]


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("HAProxy version 2.6.12-1+deb12u4 2026/10/17", "2.6.12"),
        ("/opt/bin/envoy  version: 9e558/1.40.0/Clean/RELEASE", "1.40.0"),
        ("v2.11.7 h1:yj0Y4fYZ=", "2.11.7"),
        ("of my own", "of my own"),
    ],
)
def test_version_is_the_number_alone(said: str, number: str) -> None:
    """Programs say more, the paths of a machine among it."""
    assert version_number(said) == number


# Whose figures they are


def run_alone(folder: Path, name: str, **settings: Any) -> None:
    """A step's folder of one deployment, whose name does not say which router it has."""
    run(folder, name, flask=[window(1)])
    document = {"settings": SETTINGS | settings, "topologies": [{"topology": "2active", "windows": [window(1)]}]}
    (folder / name / "summary.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "router"),
    [
        ({"topologies": [{"name": "2active", "topology": "", "router": "envoy"}]}, "envoy"),
        ({"topologies": [{"name": "2active", "topology": "", "router": ""}]}, "nginx"),
        ({}, "nginx"),
        ({"engine": "haproxy", "routers": []}, "haproxy"),
    ],
)
def test_read_runs_of_one_router_alone_has_its_name(tmp_path: Path, settings: dict[str, Any], router: str) -> None:
    """Another's figures are never this project's."""
    run_alone(tmp_path, "2active-1", **settings)
    assert [(each.router, each.lost) for each in read_runs(tmp_path).cells] == [(router, [1])]


def test_report_of_an_unknown_router_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """None is guessed."""
    run_alone(tmp_path, "2active-1", engine="", routers=[])
    assert_mistake(main, ["report", str(tmp_path)], "does not say which router 2active had: measure it", capsys)


# What is missing


def begin(folder: Path, *unfinished: str) -> None:
    """A folder with a plan of three kinds of steps and some that are not finished."""
    kinds = ("2active", "saturation", "2hosts", THROUGHPUT, "contents")
    (folder / "plan.json").write_text(json.dumps({kind: [] for kind in kinds}), encoding="utf-8")
    for name in unfinished:
        run(folder, name, finished=False, flask=[window(9)])


def test_unfinished_are_the_plans_steps_of_as_many_repeats_as_were_begun(tmp_path: Path) -> None:
    """Those of which nothing stands there too, and the last of all."""
    begin(tmp_path, "2active-2")
    run(tmp_path, "2active-1", flask=[window(1)])
    assert unfinished(tmp_path) == ["saturation-1", "2hosts-1", "2active-2", "saturation-2", "2hosts-2", "throughput"]


def test_unfinished_is_nothing_where_hosts_were_left_out(tmp_path: Path) -> None:
    """The last step has ended, and no step on hosts was begun; one that was is missing."""
    begin(tmp_path)
    for name in ("2active-1", "saturation-1", THROUGHPUT):
        run(tmp_path, name, flask=[window(1)])
    assert unfinished(tmp_path) == []
    run(tmp_path, "2hosts-1", finished=False, flask=[window(1)])
    assert unfinished(tmp_path) == ["2hosts-1"]


def test_report_of_an_unfinished_folder_says_so_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the page and on stderr; nothing is said of root, which is not what is missing."""
    begin(tmp_path)
    run(tmp_path, "2active-1", flask=[window(1)])
    assert main(["report", str(tmp_path)]) == 0
    told = capsys.readouterr()
    first = "**Not finished:** all that follows is without `saturation-1`, `2hosts-1` and `throughput` of the"
    assert told.out.startswith(first)
    assert "not finished, and told on the page: saturation-1, 2hosts-1, throughput\n" in told.err
    assert "root" not in told.out
