"""The course of one fault as a chart."""

import dataclasses
import io
import re
from pathlib import Path

import pytest

from experiments.experiment import read_finished
from experiments.failover import timeline
from experiments.failover.experiment import EXPERIMENT
from experiments.page.page import WIDE
from tests.unit.experiments.failover.hand_written import summary_of, write_folder

pytestmark = pytest.mark.usefixtures("no_answer")


def test_signs_of_the_moments_are_drawn_whole_up_to_the_edge(tmp_path: Path) -> None:
    """The last moment may be the end of the window: its sign is not cut off there."""
    folder = write_folder(tmp_path / "run", {"2active": [0]})
    _, runs = read_finished(EXPERIMENT, folder)
    [courses, *_] = timeline.select_courses(summary_of(folder), runs)
    drawn = io.BytesIO()
    timeline.draw_timeline(courses, drawn, WIDE)
    signs = drawn.getvalue().decode().partition('id="axes_2"')[2]
    assert len(re.findall(r"<use ", signs)) >= len(timeline.find_marks(courses[0])) > 3
    assert not re.search(r'<g clip-path="[^"]*">\s*<use ', signs)


@pytest.mark.parametrize(
    ("fault", "targets", "head"),
    [
        ("crash", ["predict1"], "2active: crash of predict1, no request lost"),
        ("surge", [], "2active: surge, no request lost"),
        ("router restart", ["router"], "2active: router restart, no request lost"),
    ],
)
def test_heading_names_the_predictors_that_were_hit(tmp_path: Path, fault: str, targets: list[str], head: str) -> None:
    """A surge is of nobody, and a restart of the router of no predictor."""
    folder = write_folder(tmp_path / "run", {"2active": [0]})
    _, runs = read_finished(EXPERIMENT, folder)
    [[course]] = timeline.select_courses(summary_of(folder), runs)
    hit = dataclasses.replace(course.window, fault=fault)
    records = dataclasses.replace(course.records, window=hit)
    figures = dataclasses.replace(course.figures, fault=fault, targets=targets)
    assert timeline.head_of(timeline.FaultCourse(records, figures), WIDE) == head
