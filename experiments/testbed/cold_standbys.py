"""What an operator does for cold standbys: starts one when the router wants it, stops it once it waits again."""

import threading
from collections.abc import Callable, Collection
from typing import Any

from cli import CommandError

POLL_EVERY_S = 0.1


class ColdStandbyOperator:
    """From begin() to end() a thread that watches the router; nothing where there are no cold standbys."""

    def __init__(
        self,
        names: Collection[str],
        get_state: Callable[[], dict[str, Any] | None],
        start: Callable[[str], bool],
        stop: Callable[[str], bool],
        note: Callable[[str, str], object],
    ) -> None:
        """`get_state` is the router's answer, if it gives one; `start` and `stop` return whether they had to act."""
        self._names = names
        self._get_state = get_state
        self._start, self._stop, self._note = start, stop, note
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cold standby operator", daemon=True)
        self._error: CommandError | None = None

    def begin(self) -> None:
        """Begins to watch."""
        if self._names and not self._thread.is_alive():
            self._thread.start()

    def end(self) -> None:
        """Ends it: from then on nothing is started."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def require_well(self) -> None:
        """Raises the CommandError with which a start has failed."""
        if self._error is not None:
            raise self._error

    def _watch(self) -> None:
        while not self._over.wait(POLL_EVERY_S):
            predictors = (self._get_state() or {}).get("predictors", {})
            try:
                for name in predictors.keys() & self._names:
                    self._act(name, predictors[name]["state"])
            except CommandError as error:
                self._error = error
                return

    def _act(self, name: str, state: str) -> None:
        if state == "wanted" and self._start(name):
            self._note("started", name)
        elif state == "standby" and self._stop(name):
            self._note("stopped", name)
