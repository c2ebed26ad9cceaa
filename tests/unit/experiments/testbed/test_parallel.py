"""Runs side by side: every job once, and a failure that stops the others."""

import pytest

from cli import CommandError
from experiments.testbed.parallel import run_parallel
from experiments.testbed.signals import InterruptedBySignalError, StopRequest


def test_run_parallel_does_every_job_once() -> None:
    """Each job goes to one thread, whatever their number."""
    done: list[int] = []
    run_parallel(range(20), 3, done.append, StopRequest(), lambda: None)
    assert sorted(done) == list(range(20))


def test_run_parallel_failure_stops_the_others_and_is_raised() -> None:
    """The first error is the one that counts; the other threads clear up."""
    stop = StopRequest()

    def do(job: str) -> None:
        if job == "bad":
            raise CommandError("predict1 ended")
        stop.wait(60.0)

    with pytest.raises(CommandError, match="predict1 ended"):
        run_parallel(["good", "bad"], 2, do, stop, lambda: None)
    with pytest.raises(InterruptedBySignalError):
        stop.check()
