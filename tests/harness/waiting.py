"""Work that goes on in a thread beside a test."""

import threading
from abc import ABC, abstractmethod
from typing import Self


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
        """Go on until `_ended` is set."""
