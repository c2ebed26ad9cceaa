"""The run folder's files: what is written is what is read back, and damage is one line that names its place."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from cli import UsageError
from experiments.__main__ import main
from experiments.compare.records import CompareRun, CompareSettings, FirstFailure, SwarmRequest, read_run, read_runs
from experiments.results import store
from experiments.results.records import LEFT_OUT_EMPTY, Event, LoadSample, TopologyPlan
from experiments.results.store import RowReader, RowWriter, read_record, write_json
from tests.harness.server_records import SERVER

PLAN = TopologyPlan("2active", {"predict1": 10, "predict3": 5}, {"predict1": "active", "predict3": "standby"})
SETTINGS = CompareSettings(
    experiment="compare",
    command="python -m experiments compare",
    started_at="2025-01-31T14:25:00+00:00",
    topologies=[PLAN],
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
RUN = CompareRun("2active", 1, "first_failure", 999.0, 1003.0)
REQUEST = SwarmRequest(
    sent_at_s=1000.25, latency_s=1.5, method="GET", status=503, reason="saturated", predictor="", users=7
)
SAMPLE = LoadSample(1000.2, "predict1", True, 3, 10, "serving", 12, 0)
FAILURE = FirstFailure(
    1002.0, 2.0, 7, 3.5, 2.0, 7, "saturated", 503, "2active",
    {"predict1": {"load": 10, "peak_load": 10, "capacity": 10, "status": True}},
)  # fmt: skip
EVENT = Event(1001.5, "promoted", "predict3", "saturated")


def write_rows(path: Path, *rows: object) -> None:
    """A CSV file of these records."""
    writer: RowWriter[object] = RowWriter(path, type(rows[0]))
    writer.write(rows)
    writer.close()


def write_run(folder: Path) -> Path:
    """A finished run of one request."""
    folder.mkdir()
    write_rows(folder / store.REQUESTS, REQUEST)
    write_rows(folder / store.LOADS, SAMPLE)
    write_json(folder / store.FIRST_FAILURE, FAILURE)
    write_json(folder / store.EVENTS, [dataclasses.asdict(EVENT) | {"a later key": 1}])
    write_json(folder / store.RUN, RUN)
    return folder


OF_OTHERS = ("payload", "service_time_per_mb_s", "engine", "routers")
"""Keys that are left out where they say nothing."""


def keys_without(*absent: str) -> list[str]:
    """The keys of a comparison's settings in their order, but for these."""
    return [key for key in CompareSettings.ORDER if key not in absent]


def test_settings_written_and_read_are_equal_and_keep_the_order_of_their_keys(tmp_path: Path) -> None:
    """Settings survive the way through their file, plans included; it appears whole, under its own name only."""
    write_json(tmp_path / store.SETTINGS, SETTINGS)
    assert read_record(CompareSettings, tmp_path / store.SETTINGS) == SETTINGS
    assert list(store.read_json(tmp_path / store.SETTINGS)) == keys_without("server", *OF_OTHERS)
    assert [path.name for path in tmp_path.iterdir()] == [store.SETTINGS]


def test_settings_of_a_users_server_have_one_key_more(tmp_path: Path) -> None:
    """What is known of it stands last, under `server`, and is read back whole."""
    settings = dataclasses.replace(SETTINGS, server=SERVER)
    write_json(tmp_path / store.SETTINGS, settings)
    assert read_record(CompareSettings, tmp_path / store.SETTINGS) == settings
    assert list(store.read_json(tmp_path / store.SETTINGS)) == keys_without(*OF_OTHERS)


def test_run_written_and_read_is_equal(tmp_path: Path) -> None:
    """Every record of a run survives the way through its file; keys added later are left out."""
    folder = write_run(tmp_path / "2active-1")
    run = read_run(folder)
    assert (run.run, run.requests, run.loads, run.events) == (RUN, [REQUEST], [SAMPLE], [EVENT])
    assert run.first_failure == FAILURE
    (folder / store.FIRST_FAILURE).unlink()
    assert read_run(folder).first_failure is None


def test_requests_of_workers_are_merged_in_order_of_sending(tmp_path: Path) -> None:
    """A swarm of several processes leaves a file each; together they are one run's requests, and its users."""
    folder = write_run(tmp_path / "2active-1")
    earlier = dataclasses.replace(REQUEST, sent_at_s=999.5, latency_s=1.0, status=200, reason="", users=3)
    write_rows(folder / "requests.0.csv", earlier)
    assert read_run(folder).requests == [earlier, dataclasses.replace(REQUEST, users=7 + 3)]


def test_unfinished_run_is_left_out(tmp_path: Path) -> None:
    """A run that was broken off has no run.json and does not count."""
    (write_run(tmp_path / "2active-1") / store.RUN).unlink()
    assert read_runs(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "text", "mistake"),
    [
        (store.REQUESTS, "sent_at_s,latency_s\n1000,soon\n", "requests.csv, line 2: latency_s is 'soon': "),
        (store.REQUESTS, "sent_at_s\n1000\n", "requests.csv, line 2: latency_s is missing; the record is damaged"),
        (store.LOADS, "time_s,predictor,status\n1,predict1\n", "loads.csv, line 2: status is missing"),
        (store.FIRST_FAILURE, "{", "first_failure.json: not valid JSON"),
        (store.FIRST_FAILURE, "{}", "first_failure.json: time_s is missing; the record is damaged"),
        (store.RUN, "[]", "run.json: record is []: "),
        (store.EVENTS, '[{"time": 1, "event": 2}]', "events.json: 0.event is 2: "),
    ],
)
def test_damaged_record_is_named_in_one_line(tmp_path: Path, name: str, text: str, mistake: str) -> None:
    """A record that cannot be read is named with its place; nothing is guessed."""
    folder = write_run(tmp_path / "2active-1")
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"the record is damaged$") as raised:
        read_run(folder)
    assert mistake in str(raised.value)
    assert "\n" not in str(raised.value)


def test_folder_without_run_is_refused(tmp_path: Path) -> None:
    """A folder that is not a run folder is the user's mistake, and is named."""
    with pytest.raises(UsageError, match=r"settings\.json: cannot be read"):
        read_record(CompareSettings, tmp_path / store.SETTINGS)


def test_rows_that_are_being_written_are_left_out_until_they_are_whole(tmp_path: Path) -> None:
    """A reader beside the writer finds whole rows only, each once, and can leave out all but the last."""
    path = tmp_path / store.LOADS
    reader = RowReader(path)
    assert list(reader.read()) == []
    write_rows(path, SAMPLE)
    with path.open("a") as file:
        file.write("2.0,predict1,1")
        file.flush()
        assert list(store.read_rows(LoadSample, path)) == [SAMPLE]
        assert [row[0] for row in reader.read()] == ["time_s", "1000.2"]
        file.write(",0,10,serving,7,0\n3.0\n4.0\n")
    assert [row[0] for row in reader.read()] == ["2.0", "3.0", "4.0"]
    last = RowReader(path)
    assert next(last.read())[0] == "time_s"
    last.skip_to_last(6)
    assert list(last.read()) == [["4.0"]]


def test_writers_and_command_lines_do_without_pydantic() -> None:
    """Its import takes longer than `--help` and than a load generator's start."""
    modules = "experiments.compare.experiment, experiments.blocking.poisson_load, experiments.export"
    code = f"import sys, {modules}; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_export_names_the_run_of_each_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All finished runs in one table, from standard output or a file; without a finished run, one line."""
    write_json(tmp_path / store.SETTINGS, SETTINGS)
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
    """A table that no run has, or whose columns differ, is one line; an empty file of a worker is no error."""
    write_json(tmp_path / store.SETTINGS, SETTINGS)
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


@dataclasses.dataclass(frozen=True)
class Growing:
    """A record that got a field later."""

    old: str
    new: list[str] = dataclasses.field(default_factory=list, metadata=LEFT_OUT_EMPTY)


def test_field_that_may_be_left_out_stands_in_a_file_only_where_it_is_not_empty(tmp_path: Path) -> None:
    """Records without it have the keys that they always had; read back, it is empty."""
    for record, keys in ((Growing("a"), ["old"]), (Growing("a", ["b"]), ["old", "new"])):
        write_json(tmp_path / "growing.json", record)
        assert list(store.read_json(tmp_path / "growing.json")) == keys
        assert read_record(Growing, tmp_path / "growing.json") == record
