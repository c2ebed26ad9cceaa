"""Records the loads of a run: polls the router's admin port a few times a second and writes its answers."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from cli import CommandError
from experiments.results.records import LoadSample, field_names
from experiments.results.store import LOADS, RowWriter

SAMPLE_EVERY_S = 0.2
STATE_FIELDS = field_names(LoadSample)[2:]
"""The fields of a sample that have the same names in the admin port's answer: all but its time and its predictor."""

State = dict[str, Any]


class LoadSampler:
    """A context in whose lifetime a thread writes loads.csv; `latest` is the last state that it got."""

    def __init__(self, get_state: Callable[[], State | None], folder: Path) -> None:
        self._get_state = get_state
        self._writer = RowWriter(folder / LOADS, LoadSample)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_over, name="load sampler", daemon=True)
        self._error: OSError | None = None
        self.latest: State | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._writer.close()
        if self._error is not None and kind is None:
            raise CommandError(f"{LOADS} cannot be written: {self._error.strerror}") from self._error

    def _sample_until_over(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due + SAMPLE_EVERY_S, time.monotonic())
            if (state := self._get_state()) is not None:
                self.latest = state
                self._write(state)

    def _write(self, state: State) -> None:
        now_s, predictors = round(time.time(), 3), state["predictors"].items()
        try:
            self._writer.write(
                LoadSample(now_s, name, *(fields[key] for key in STATE_FIELDS)) for name, fields in predictors
            )
        except OSError as error:
            self._error = error
            self._over.set()
