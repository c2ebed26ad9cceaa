"""Runs side by side: a thread per lane, each of which takes the next run until none is left."""

import queue
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from cli import CommandError
from experiments.testbed.signals import StopRequest

LOOK_EVERY_S = 0.1

J = TypeVar("J")


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
        self._threads = [threading.Thread(target=self._work, name=f"lane {n}") for n in range(at_once)]

    def run(self, tell: Callable[[], None]) -> None:
        """Work until all is done; calls `tell` all the while. Raises what the first job that failed raised."""
        for thread in self._threads:
            thread.start()
        while any(thread.is_alive() for thread in self._threads):
            tell()
            for thread in self._threads:
                thread.join(LOOK_EVERY_S / len(self._threads))
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
        """Note the error, and have the other lanes clear up as if somebody had asked them to stop."""
        self._errors.append(error)
        self._stop.note(signal.SIGTERM)
