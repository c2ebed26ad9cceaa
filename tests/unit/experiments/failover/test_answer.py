"""Which deployment to take, in failover's summary, on the terminal and on the page."""

import dataclasses
from pathlib import Path

import pytest

from experiments.experiment import read_finished
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.report import choose, page, sentences, summarize
from experiments.results.statistics import in_digits
from tests.frozen.produce import page_text
from tests.unit.experiments.failover.hand_written import fault_steps, write_folder

pytestmark = pytest.mark.usefixtures("no_charts")


def test_answer_stands_after_the_headline_and_says_what_asks_it_again(tmp_path: Path) -> None:
    """It takes the run's rate; its inputs name the run's folder, wherever that stands."""
    settings, runs = read_finished(EXPERIMENT, write_folder(tmp_path / "mine", {"single": [40], "2active": [0]}))
    summary = summarize(settings, runs)
    assert summary.answer is not None
    headline, answer, *_ = sentences(summary)
    assert headline == summary.finding[0]
    assert answer.startswith(f"Which one to take at 10 requests/s? {summary.answer.sentence} What this run does not")
    assert answer.endswith(": python -m experiments choose FOLDER --rate 10 --target 99.9.")
    assert summary.answer.inputs["rate"].source == "set in run mine: its load calm"
    assert summary.answer.inputs["mtbf"].source.startswith("default: ")
    assert [each.topology for each in summary.answer.checks] == ["single", "2active"]


def test_answer_made_again_is_the_same(tmp_path: Path) -> None:
    """From the same records: what it draws at random is drawn from a fixed seed."""
    settings, runs = read_finished(EXPERIMENT, write_folder(tmp_path / "run", {"single": [40, 42], "2active": [0, 1]}))
    found = choose(settings, runs)
    assert found is not None
    assert choose(settings, runs) == found


def test_answer_is_a_box_on_the_page_above_the_findings(tmp_path: Path) -> None:
    """With the command; no chart without one."""
    folder = write_folder(tmp_path / "run", {"single": [40], "2active": [0]})
    settings, runs = read_finished(EXPERIMENT, folder)
    summary = summarize(settings, runs)
    assert summary.answer is not None
    shown = page_text(page(summary, runs, folder))
    assert shown.index("\nWhich one to take\n") < shown.index("\nPer fault of a predictor")
    assert summary.answer.sentence in shown
    assert "python -m experiments choose FOLDER --rate 10 --target 99.9" in shown
    assert "Which one to take" not in page_text(page(dataclasses.replace(summary, answer=None), runs, folder))


def test_answer_is_none_where_no_fault_took_one_predictor_away(tmp_path: Path) -> None:
    """The report is as ever, without it."""
    settings, runs = read_finished(EXPERIMENT, write_folder(tmp_path / "run", {"2active": [0]}))
    runs = [dataclasses.replace(run, actions=fault_steps("slow")) for run in runs]
    summary = summarize(settings, runs)
    assert summary.answer is None
    assert not any("Which one" in sentence for sentence in sentences(summary))


def test_answer_is_none_where_no_size_holds_the_target(tmp_path: Path) -> None:
    """Requests that hold a slot for hours would need more than a thousand predictors of ten slots."""
    settings, runs = read_finished(EXPERIMENT, write_folder(tmp_path / "run", {"2active": [0]}))
    assert choose(dataclasses.replace(settings, service_time_s=7200.0), runs) is None


def test_numbers_of_an_answer_are_written_in_six_digits() -> None:
    """However deep they stand; whole numbers and words stay."""

    @dataclasses.dataclass(frozen=True)
    class Nested:
        """A record."""

        values: list[float]
        inner: "Nested | None"

    found = in_digits({"a": Nested([0.1 + 0.2, 1e-9 / 3], Nested([1234567.8], None)), "b": 7, "c": "1.23456789"})
    assert found == {"a": Nested([0.3, 3.33333e-10], Nested([1234570.0], None)), "b": 7, "c": "1.23456789"}
