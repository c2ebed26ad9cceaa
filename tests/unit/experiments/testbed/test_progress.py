"""The progress of an experiment: time left over parallel runs, a line as each run ends."""

import io

import pytest
from rich.console import Console

from experiments.testbed.progress import ProgressBoard, RunProgress


def runs_named(*names: str) -> list[RunProgress]:
    """Runs of one step of ten seconds."""
    return [RunProgress(name, [("start", 10.0)]) for name in names]


def test_board_computes_the_time_left_over_parallel_runs() -> None:
    """The longest run counts; one that waits goes where a run ends first."""
    runs = [RunProgress(name, [("start", 10.0), ("crash", 20.0)]) for name in ("a", "b", "c")]
    assert ProgressBoard(Console(), runs, 3).left_s(0.0) == 30.0
    board = ProgressBoard(Console(), runs, 2)
    assert board.left_s(0.0) == 60.0
    runs[0].begin("crash")
    assert board.left_s(runs[0].since_s + 5.0) == pytest.approx(45.0)
    runs[0].update("12 lost")
    assert board.lines(runs[0].since_s)[1:] == ["a: crash (2/2), 12 lost"]
    for run in runs:
        run.finish()
    assert board.headline(0.0) == "3 of 3 done, 0:00 left"


def test_board_elsewhere_than_on_a_terminal_prints_finished_runs_only() -> None:
    """No line is printed while runs go on; one as each ends."""
    out = io.StringIO()
    runs = runs_named("a", "b")
    with ProgressBoard(Console(file=out), runs, 2) as board:
        runs[0].begin("start")
        board.refresh()
        assert out.getvalue() == ""
        runs[0].finish("nothing failed")
        board.refresh()
        board.refresh()
    assert out.getvalue() == "a: nothing failed (1 of 2 done, 0:10 left)\n"


def test_board_prints_what_a_run_says_once() -> None:
    """While it goes on, on no terminal too."""
    out = io.StringIO()
    runs = runs_named("a")
    with ProgressBoard(Console(file=out), runs, 1) as board:
        runs[0].begin("start")
        runs[0].say("still waiting")
        board.refresh()
        board.refresh()
        assert out.getvalue() == "a: still waiting\n"


def test_board_on_a_terminal_has_a_line_per_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run that is going has its line."""
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    runs = runs_named("a", "b")
    with ProgressBoard(Console(file=out, force_terminal=True, width=80), runs, 2) as board:
        for run in runs:
            run.begin("start")
        runs[1].update("12 users")
        board.refresh()
    assert "a: start (1/1)" in out.getvalue()
    assert "b: start (1/1), 12 users" in out.getvalue()
