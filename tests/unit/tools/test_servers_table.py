"""The measured tables of the servers, from summaries."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_lines import assert_mistake
from tools import servers, servers_table


def main(arguments: list[str]) -> int:
    """The program, with these arguments."""
    return servers.run_subcommand("tools.servers", servers.COMMANDS, arguments)


def run(folder: Path, experiment: str, server: str | None, **summary: Any) -> Path:
    """A run folder with this summary."""
    folder.mkdir()
    measured = {"service_time_s": 0.154, "at_once": 10, "latency_at_once_s": 1.52}
    settings = {"experiment": experiment, "server": server and {"file": f"{server}.json", "preflight": measured}}
    (folder / "summary.json").write_text(json.dumps({"settings": settings, **summary}), encoding="utf-8")
    return folder


def compare(folder: Path, server: str | None, **rates: float | None) -> Path:
    """A run of compare with these first failures; None: there was none."""
    shown = [
        {"topology": name, "rate_at_first_failure_per_s": rate and {"median": rate}} for name, rate in rates.items()
    ]
    return run(folder, "compare", server, topologies=shown)


def failover(folder: Path, server: str, topology: str, **lost: tuple[int, int, int]) -> Path:
    """A run of failover: fault -> (windows, lost, offered)."""
    faults = [
        {"fault": fault, "windows": windows, "lost_total": lost, "offered_total": offered}
        for fault, (windows, lost, offered) in lost.items()
    ]
    return run(folder, "failover", server, loads=[{"topologies": [{"topology": topology, "faults": faults}]}])


def rows(*folders: Path) -> list[list[str]]:
    """The cells of the tables' lines, but for the lines below the heads."""
    lines = [line for line in servers_table.tables(servers_table.read(folders)) if line and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_tables_are_one_line_per_server_and_topology(tmp_path: Path) -> None:
    """First failures by topology; requests lost of those offered by fault."""
    assert rows(
        compare(tmp_path / "a", "fastapi", single=5.23, **{"2active": None}),
        failover(tmp_path / "b", "fastapi", "single", crash=(1, 24, 240), stall=(0, 0, 0)),
        compare(tmp_path / "c", "mlserver", **{"3active": 20.0}),
    ) == [
        ["server", "alone", "at once", "single", "2active", "3active"],
        ["fastapi", "0.15 s", "1.52 s (10)", "5.2/s", "-", "-"],
        ["mlserver", "0.15 s", "1.52 s (10)", "-", "-", "20.0/s"],
        ["server", "topology", "crash", "stall"],
        ["fastapi", "single", "24 of 240", "invalid"],
    ]


def test_tables_a_fault_without_a_valid_window_is_no_zero(tmp_path: Path) -> None:
    """What did not strike has lost nothing, and says nothing."""
    broken = failover(tmp_path / "a", "fastapi", "2active", crash=(0, 0, 0))
    assert rows(broken) == [["server", "topology", "crash"], ["fastapi", "2active", "invalid"]]


@pytest.mark.parametrize("server", [None, ""])
def test_table_run_without_a_server_is_refused(
    tmp_path: Path, server: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rig's own predictor has its own tables."""
    folder = compare(tmp_path / "a", server, single=5.0)
    assert_mistake(main, ["table", str(folder)], "a run without --server", capsys)


def test_table_second_run_of_one_figure_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the two would be dropped without a word."""
    folders = [str(compare(tmp_path / name, "fastapi", single=5.0)) for name in ("a", "b")]
    assert_mistake(main, ["table", *folders], "a second run of compare with fastapi", capsys)


def test_table_folder_without_a_summary_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no run folder is named."""
    assert_mistake(main, ["table", str(tmp_path)], f"{tmp_path}: no run folder", capsys)
