"""Waiting for something with a deadline, and work that goes on in a thread beside a test."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self, TypeVar

FIRST_POLL_S, LONGEST_POLL_S = 0.005, 0.05

T = TypeVar("T")


def wait_until(condition: Callable[[], T], deadline_s: float = 20.0) -> T:
    """Asks, ever less often, until `condition` gives something true; AssertionError after `deadline_s` seconds."""
    end_s, pause_s = time.monotonic() + deadline_s, FIRST_POLL_S
    while not (result := condition()):
        assert time.monotonic() < end_s, f"not so within {deadline_s:g} s; at last: {result!r}"
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_POLL_S)
    return result


class Background(ABC):
    """Does `_work` in a thread while the block runs; at the block's end `_ended` is set, and `_work` waited for."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @abstractmethod
    def _work(self) -> None:
        """Goes on until `_ended` is set."""
