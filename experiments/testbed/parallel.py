"""Runs side by side, in threads, under one display of progress."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from experiments.testbed.progress import ProgressBoard, RunProgress
from experiments.testbed.signals import StopRequest, stop_on_signals

POLL_EVERY_S = 0.1

J = TypeVar("J")


@dataclass(frozen=True)
class Job(ABC):
    """One run of an experiment."""

    folder: Path
    """For its records; it is made when the run begins, and gives the run its name."""

    @abstractmethod
    def steps(self) -> list[tuple[str, float]]:
        """Its steps, each with about the seconds that it takes."""

    @abstractmethod
    def run(self, stop: StopRequest, progress: RunProgress) -> str:
        """Does the run and leaves its records; returns what it came to. Raises CommandError."""


def run_jobs(jobs: Sequence[Job], at_once: int, console: Console) -> None:
    """Does every job, `at_once` side by side, and shows how far they are. Raises CommandError."""
    progresses = {job.folder: RunProgress(job.folder.name, job.steps()) for job in jobs}
    board = ProgressBoard(console, list(progresses.values()), at_once)
    with stop_on_signals() as stop, board:

        def do(job: Job) -> None:
            progress = progresses[job.folder]
            job.folder.mkdir()
            progress.finish(job.run(stop, progress))

        run_parallel(jobs, at_once, do, stop, board.refresh)


def run_parallel(
    jobs: Iterable[J], at_once: int, do: Callable[[J], None], stop: StopRequest, refresh: Callable[[], None]
) -> None:
    """Does every job, `at_once` at a time; the first that fails has the others end as after a signal.

    `do` must heed `stop`; `refresh` is called all the while. Raises what the first job that failed raised.
    """
    errors: list[BaseException] = []

    def work(job: J) -> None:
        try:
            stop.check()
            do(job)
        except BaseException as error:
            errors.append(error)
            stop.request(signal.SIGTERM)
            raise

    with ThreadPoolExecutor(at_once, "runner") as pool:
        going = {pool.submit(work, job) for job in jobs}
        while going:
            refresh()
            going = wait(going, POLL_EVERY_S).not_done
    if errors:
        raise errors[0]
