"""A load generator as a process of its own: started, watched, waited for and stopped alike, whatever it sends."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from cli import CommandError, option_words
from experiments.testbed.processes import Child
from experiments.testbed.signals import StopRequest

OVERHEAD_S = 60.0
"""What a generator may take beyond its own time, to load and to end, before it counts as stuck."""

POLL_EVERY_S = 0.2


class LoadProcess(Child):
    """A Python module that sends load, with its log in the run's folder; a context that leaves no process."""

    def __init__(self, name: str, words: list[str], options: Mapping[str, object], log: Path, cwd: Path) -> None:
        """Starts `python -m`, the words (the module and its flags), the options. Raises CommandError."""
        super().__init__(name, [sys.executable, "-m", *words, *option_words(options)], log, cwd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()

    def wait_until_ended(self, duration_s: float, check: Callable[[], None], stop: StopRequest) -> None:
        """Waits until it ends by itself, and calls `check`, which may raise, a few times a second.

        Raises CommandError when it takes longer than `duration_s` and OVERHEAD_S.
        """

        def has_ended() -> bool:
            ended = self.has_ended()
            check()
            return ended

        limit_s = duration_s + OVERHEAD_S
        if not stop.wait_until(has_ended, limit_s, POLL_EVERY_S):
            raise CommandError(f"{self.name} has not ended after {limit_s:.0f} s\n{self.tail()}")
