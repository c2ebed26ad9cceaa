"""The file of measured figures and its table."""

from pathlib import Path

import pytest

from tests.harness.measurements import VARIABLE, record
from tools import reliability


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the environment names."""
    path = tmp_path / "figures.jsonl"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def rows(file: Path) -> list[list[str]]:
    """The table's rows without its head, cut into cells."""
    lines = reliability.table(file.read_text().splitlines()).splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_record_without_the_variable_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary test run leaves no file behind."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    record("crash", lost=0)
    assert list(tmp_path.iterdir()) == []


def test_table_single_run_shows_names_totals_and_units(file: Path) -> None:
    """A key's end is its unit, and `of` is the total of the key before it."""
    record("crash", lost=0, of=120, added_wait_s=0.2149, memory_growth_mib=1.5, rate_per_s=12.0)
    assert rows(file) == [
        [*reliability.LINES["crash"], "lost 0 of 120; added wait 0.21 s; memory growth 1.50 MiB; rate 12.00 /s"]
    ]


def test_table_several_runs_show_their_range(file: Path) -> None:
    """Figures of several runs become least to most; equal ones stay one figure, differing words a list."""
    record("crash", lost=0, of=118, out_after_s=0.2, by="predict2")
    record("crash", lost=0, of=121, out_after_s=0.31, by="predict3")
    measured = "lost 0 of 118 to 121; out after 0.20 to 0.31 s; by predict2, predict3"
    assert rows(file) == [[*reliability.LINES["crash"], measured]]


def test_table_keeps_the_order_of_the_faults_and_unknown_ones_last(file: Path) -> None:
    """The order is that of LINES, whatever test ran first; a fault of another name follows with its words."""
    record("teapot", "short and stout", lost=0)
    record("hang", lost=0)
    record("crash", lost=0)
    known = [reliability.LINES[fault].fault for fault in ("crash", "hang")]
    assert [row[0] for row in rows(file)] == [*known, "teapot"]
    assert rows(file)[2] == ["teapot", "", "", "short and stout; lost 0"]


def test_table_case_of_a_fault_is_shown_after_its_name(file: Path) -> None:
    """What follows the line's key in a fault's name tells the case; each case is a row of its own."""
    record("crash, twice", lost=0)
    record("crash", lost=1)
    line = reliability.LINES["crash"]
    assert rows(file) == [[line.fault + ", twice", *line[1:], "lost 0"], [*line, "lost 1"]]


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"fault": "crash"}', '{"fault": [], "measured": {}}'])
def test_main_line_that_is_no_figure_is_one_line_and_status_2(
    file: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """A file of something else is told with its name and the line's number."""
    file.write_text(f'{{"fault": "crash", "measured": {{"lost": 0}}}}\n{line}\n')
    assert reliability.main([str(file)]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert str(file) in shown.err
    assert "line 2" in shown.err


def test_main_missing_file_is_one_line_and_status_2(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is named."""
    assert reliability.main([str(file)]) == 2
    assert capsys.readouterr().err == f"reliability: {file}: cannot be read: No such file or directory\n"


def test_main_prints_the_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command's output is the table and nothing else."""
    record("soak", lost=0, of=9)
    assert reliability.main([str(file)]) == 0
    assert capsys.readouterr().out == reliability.table(file.read_text().splitlines())
