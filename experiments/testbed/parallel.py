"""Runs side by side: threads, each of which takes the next run until none is left, under one display of progress."""

import queue
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rich.console import Console

from cli import CommandError
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

        ParallelRunner(jobs, at_once, do, stop).run(board.refresh)


class ParallelRunner(Generic[J]):
    """Does every job, `at_once` at a time; the first that fails stops the others."""

    def __init__(self, jobs: Sequence[J], at_once: int, do: Callable[[J], None], stop: StopRequest) -> None:
        """`do` must heed `stop`."""
        self._jobs: queue.SimpleQueue[J] = queue.SimpleQueue()
        for job in jobs:
            self._jobs.put(job)
        self._do = do
        self._stop = stop
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._work, name=f"runner {n}") for n in range(at_once)]

    def run(self, refresh: Callable[[], None]) -> None:
        """Works until all is done; calls `refresh` all the while. Raises what the first job that failed raised."""
        for thread in self._threads:
            thread.start()
        while any(thread.is_alive() for thread in self._threads):
            refresh()
            for thread in self._threads:
                thread.join(POLL_EVERY_S / len(self._threads))
        if self._errors:
            raise self._errors[0]

    def _work(self) -> None:
        while True:
            try:
                self._stop.check()
                self._do(self._jobs.get_nowait())
            except queue.Empty:
                return
            except (CommandError, OSError) as error:
                self._fail(error)
                return
            except BaseException as error:
                self._fail(error)
                raise

    def _fail(self, error: BaseException) -> None:
        """Keeps the error, and has the other threads clear up as after a signal."""
        self._errors.append(error)
        self._stop.request(signal.SIGTERM)
