"""The display of an experiment's progress: time left over lanes, a line as each run ends."""

import io

import pytest
from rich.console import Console

from experiments.testbed.progress import Display, ProgressBoard, RunProgress


def test_board_tells_the_time_left_over_all_lanes() -> None:
    """Runs side by side: the longest lane counts; a run that waits goes to the lane that is free first."""
    progresses = [RunProgress(name, [("start", 10.0), ("crash", 20.0)]) for name in ("a", "b", "c")]
    assert ProgressBoard(progresses, 3).left_s(0.0) == 30.0
    board = ProgressBoard(progresses, 2)
    assert board.left_s(0.0) == 60.0
    board.step("a", "crash")
    assert board.left_s(progresses[0].since_s + 5.0) == pytest.approx(45.0)
    board.tell("a", "12 lost")
    assert board.lines(progresses[0].since_s)[1:] == ["a: crash (2/2), 12 lost"]
    for course_ in progresses:
        board.end(course_.name)
    assert board.headline(0.0) == "3 of 3 done, 0:00 left"


def test_display_elsewhere_than_on_a_terminal_tells_endings_only() -> None:
    """No line is printed while runs go on; one as each ends."""
    out = io.StringIO()
    board = ProgressBoard([RunProgress("a", [("start", 10.0)]), RunProgress("b", [("start", 10.0)])], 2)
    with Display(Console(file=out), board) as display:
        board.step("a", "start")
        display.refresh()
        assert out.getvalue() == ""
        board.end("a", "nothing failed")
        display.refresh()
        display.refresh()
    assert out.getvalue() == "a: nothing failed (1 of 2 done, 0:10 left)\n"


def test_display_on_a_terminal_has_a_line_per_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run that is going has its line."""
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    board = ProgressBoard([RunProgress("a", [("start", 10.0)]), RunProgress("b", [("start", 10.0)])], 2)
    with Display(Console(file=out, force_terminal=True, width=80), board) as display:
        board.step("a", "start")
        board.step("b", "start")
        board.tell("b", "12 users")
        display.refresh()
    assert "a: start (1/1)" in out.getvalue()
    assert "b: start (1/1), 12 users" in out.getvalue()
