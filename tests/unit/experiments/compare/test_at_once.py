"""Runs whose first failure comes at once: they have no rate, and none is shown."""

import io
import re
from pathlib import Path

from experiments.compare.charts import draw_rates, draw_timeline
from experiments.compare.records import read_run
from experiments.compare.tables import planning_cells, rate_cells, run_rows
from experiments.page.page import WIDE
from experiments.results import store
from tests.unit.experiments.compare.test_report import summary_of, write_folder


def texts_of(svg: bytes) -> list[str]:
    """What a chart says: its letters are drawn, each text after a comment that holds it."""
    return re.findall("<!-- (.*?) -->", svg.decode())


def test_summary_warns_of_a_rate_over_no_time(tmp_path: Path) -> None:
    """A failure at once, of users who came together, gives a high rate that means nothing: nobody is shown it."""
    folder = write_folder(tmp_path / "run", {"single": [350.0]})
    path = folder / "single-1" / store.FIRST_FAILURE
    store.write_json(path, store.read_json(path) | {"elapsed_s": 0.05, "window_s": 0.05})
    summary = summary_of(folder)
    assert summary.finding[0] == "The first request failed for single at once."
    assert any("choose a lower spawn rate" in sentence for sentence in summary.finding)
    [single] = summary.topologies
    shown = [*rate_cells(single), *planning_cells(single), *run_rows(single)[0]]
    assert "at once" in shown
    assert not [cell for cell in shown if "350" in cell]
    assert read_run(folder / "single-1").first_failure.rate_text == "at once"  # type: ignore[union-attr]
    drawn = io.BytesIO()
    draw_rates(summary, drawn, WIDE)
    assert "failed at once" in texts_of(drawn.getvalue())
    assert not [text for text in texts_of(drawn.getvalue()) if "350" in text]


def test_course_of_a_run_that_fails_at_once_has_no_rate(tmp_path: Path) -> None:
    """Of a window so short it would dwarf the requests of each second."""
    write_folder(tmp_path / "run", {"single": [350.0]})
    path = tmp_path / "run" / "single-1" / store.FIRST_FAILURE
    for elapsed_s, is_drawn in ((0.05, False), (1.5, True)):
        store.write_json(path, store.read_json(path) | {"elapsed_s": elapsed_s, "window_s": elapsed_s})
        drawn = io.BytesIO()
        draw_timeline(read_run(path.parent), ["predict1"], drawn, WIDE)
        assert ("sent, over the last 10 s" in texts_of(drawn.getvalue())) is is_drawn


def test_rates_of_runs_that_fail_later_count_alone(tmp_path: Path) -> None:
    """One run of three that fails at once has no rate: neither median nor range, verdict nor chart has it."""
    folder = write_folder(tmp_path / "run", {"single": [350.0, 5.5, 6.0], "2active": [20.0, 21.0, 22.0]})
    path = folder / "single-1" / store.FIRST_FAILURE
    store.write_json(path, store.read_json(path) | {"elapsed_s": 0.05, "window_s": 0.05})
    summary = summary_of(folder)
    [single, _] = summary.topologies
    rate = single.rate_at_first_failure_per_s
    assert rate is not None
    assert (rate.median, rate.high, rate.count) == (5.75, 6.0, 2)
    assert [run.inside_theory is None for run in single.runs] == [True, False, False]
    assert abs(summary.agreement[0].difference_per_s) < 20
    drawn = io.BytesIO()
    draw_rates(summary, drawn, WIDE)
    numbers = [float(text) for text in texts_of(drawn.getvalue()) if re.fullmatch("[0-9.]+", text)]
    assert 5 < max(numbers) < 100


def test_topologies_that_fail_at_once_are_told_together(tmp_path: Path) -> None:
    """In one sentence each, before those that have a rate."""
    folder = write_folder(tmp_path / "run", {"single": [350.0], "2active": [20.0], "3active": [400.0]})
    for name in ("single-1", "3active-1"):
        path = folder / name / store.FIRST_FAILURE
        store.write_json(path, store.read_json(path) | {"elapsed_s": 0.05, "window_s": 0.05})
    finding = summary_of(folder).finding
    assert finding[0] == "The first request failed for single and 3active at once, and for 2active at 20.0 requests/s."
    assert len([text for text in finding if text.startswith("single and 3active: the first failure came within")]) == 1
