"""The run folder's files: what is written is what is read back, and damage is told in one line."""

import dataclasses
import json
from pathlib import Path

import pytest

from cli import UsageError
from experiments.__main__ import main
from experiments.compare import records as compare_records
from experiments.compare.records import FirstFailure, Request, Run, Settings
from experiments.results import store
from experiments.results.records import Event, LoadSample, TopologyPlan
from experiments.results.store import RowWriter

SETTINGS = Settings(
    experiment="compare",
    command="python -m experiments compare",
    started_at="2025-01-31T14:25:00+00:00",
    topologies=[
        TopologyPlan("2active", {"predict1": 10, "predict3": 5}, {"predict1": "active", "predict3": "standby"})
    ],
    repeats=1,
    spawn_rate_per_s=1.0,
    wait_s=[1.0, 5.0],
    service_time_s=1.0,
    threshold=10,
    run_time_s=60,
    users_limit=60,
    machine={"cores": "2"},
    versions={"python": "3.11"},
)
REQUEST = Request(1000.25, 1.5, "GET", 503, "saturated", "", 7)
SAMPLE = LoadSample(1000.2, "predict1", True, 3, 10, "serving", 12, 0)
FAILURE = FirstFailure(
    1002.0, 2.0, 7, 3.5, 2.0, 7, "saturated", 503, "2active",
    {"predict1": {"load": 10, "peak_load": 10, "capacity": 10, "status": True}},
)  # fmt: skip
EVENT = Event(1001.5, "promoted", "predict3", "saturated")


def write_run(folder: Path) -> Path:
    """A finished run of one request."""
    folder.mkdir()
    for path, kind, row in (("requests.csv", Request, REQUEST), ("loads.csv", LoadSample, SAMPLE)):
        writer = RowWriter(folder / path, kind)
        writer.write([row])
        writer.close()
    store.write_json(folder / store.FIRST_FAILURE, FAILURE)
    store.write_json(folder / store.EVENTS, [{"time": 1001.5, "event": "promoted", "predictor": "predict3",
                                                  "reason": "saturated", "a later key": 1}])  # fmt: skip
    store.write_json(folder / store.RUN, Run("2active", 1, "first_failure", 999.0, 1003.0))
    return folder


def test_settings_written_and_read_are_equal(tmp_path: Path) -> None:
    """Settings survive the way through their file, topologies and capacities included."""
    store.write_json(tmp_path / store.SETTINGS, SETTINGS)
    assert compare_records.read_settings(tmp_path) == SETTINGS


def test_run_written_and_read_is_equal(tmp_path: Path) -> None:
    """Every record of a run survives the way through its file; keys added later are left out."""
    run = compare_records.read_run(write_run(tmp_path / "2active-1"))
    assert (run.requests, run.loads, run.first_failure, run.events) == ([REQUEST], [SAMPLE], FAILURE, [EVENT])
    assert run.run == Run("2active", 1, "first_failure", 999.0, 1003.0)


def test_run_without_first_failure_reads_none(tmp_path: Path) -> None:
    """A run in which nothing failed has no first-failure file, and that is no error."""
    folder = write_run(tmp_path / "2active-1")
    (folder / store.FIRST_FAILURE).unlink()
    assert compare_records.read_run(folder).first_failure is None


def test_requests_of_workers_are_merged_in_order_of_sending(tmp_path: Path) -> None:
    """A swarm of several processes leaves a file each; together they are one run's requests, and its users."""
    folder = write_run(tmp_path / "2active-1")
    earlier = Request(999.5, 1.0, "GET", 200, "", "predict1", 3)
    writer = RowWriter(folder / "requests.0.csv", Request)
    writer.write([earlier])
    writer.close()
    assert compare_records.read_run(folder).requests == [earlier, dataclasses.replace(REQUEST, users=7 + 3)]


def test_unfinished_run_is_left_out(tmp_path: Path) -> None:
    """A run that was broken off has no run.json and does not count."""
    (write_run(tmp_path / "2active-1") / store.RUN).unlink()
    assert compare_records.read_runs(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (store.REQUESTS, "sent_at_s,latency_s\n1000,soon\n", "requests.csv, line 2"),
        (store.REQUESTS, "sent_at_s\n1000\n", "latency_s is missing"),
        (store.FIRST_FAILURE, "{", "not valid JSON"),
        (store.FIRST_FAILURE, "{}", "time_s is missing"),
    ],
)
def test_damaged_record_is_named_in_one_line(tmp_path: Path, name: str, text: str, told: str) -> None:
    """A record that cannot be read is named with its place; nothing is guessed."""
    folder = write_run(tmp_path / "2active-1")
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        compare_records.read_run(folder)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_folder_without_run_is_refused(tmp_path: Path) -> None:
    """A folder that is not a run folder is the user's mistake, and is named."""
    with pytest.raises(UsageError, match=str(tmp_path)):
        compare_records.read_settings(tmp_path)


def test_write_json_leaves_no_part_behind(tmp_path: Path) -> None:
    """The file appears whole, under its own name only."""
    store.write_json(tmp_path / "x.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}


def test_rows_that_are_being_written_are_left_out(tmp_path: Path) -> None:
    """A reader beside the writer finds whole rows only, and no damage."""
    path = tmp_path / "loads.csv"
    writer = RowWriter(path, LoadSample)
    writer.write([LoadSample(1.0, "predict1", True, 3, 10, "serving", 7, 0)])
    writer.close()
    with path.open("a") as file:
        file.write("2.0,predict1,1")
    assert [row.time_s for row in store.read_rows(LoadSample, path)] == [1.0]


def test_export_names_the_run_of_each_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All finished runs in one table, from standard output or a file; without a finished run, one line."""
    store.write_json(tmp_path / store.SETTINGS, SETTINGS)
    assert main(["export", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    for repeat in (1, 2, 3):
        write_run(tmp_path / f"2active-{repeat}")
    (tmp_path / "2active-3" / store.RUN).unlink()
    assert main(["export", str(tmp_path)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == "run,sent_at_s,latency_s,method,status,reason,predictor,users"
    assert [row.split(",")[0] for row in rows] == ["2active-1", "2active-2"]
    assert main(["export", str(tmp_path), "--table", "loads", "--out", str(tmp_path / "loads.csv")]) == 0
    assert (tmp_path / "loads.csv").read_text().splitlines()[1].startswith("2active-1,1000.2,predict1,1,3")


def test_export_that_fails_leaves_what_was_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that no run has, or whose columns differ, is told in one line; an empty file of a worker is none."""
    store.write_json(tmp_path / store.SETTINGS, SETTINGS)
    out = tmp_path / "old.csv"
    out.write_text("of yesterday\n")
    for repeat in (1, 2):
        write_run(tmp_path / f"2active-{repeat}")
    assert main(["export", str(tmp_path), "--table", "faults", "--out", str(out)]) == 2
    other = tmp_path / "2active-2" / "requests-1.csv"
    other.write_text("another,head\n")
    assert main(["export", str(tmp_path), "--out", str(out)]) == 2
    assert f"{other}: its columns are not those of" in capsys.readouterr().err
    assert out.read_text() == "of yesterday\n"
    other.write_text("")
    assert main(["export", str(tmp_path), "--out", str(out)]) == 0
    assert out.read_text().startswith("run,")
