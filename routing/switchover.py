"""The engine in service, and the way from one topology to another without losing a request."""

import argparse
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from routing import logs, variables
from routing import topology as topology_file
from routing.engine import OPEN_ERRORS, AnyEngine, EngineSettings, Opener
from routing.state_file import initial_text
from routing.variables import Variables, VariablesError
from server_file import Server


class Switchover(Generic[AnyEngine]):
    """The engine in service, which follows the two variables of router.py."""

    def __init__(
        self,
        router_file: Path,
        options: argparse.Namespace,
        server: Server,
        open_engine: Opener[AnyEngine],
        holder: int | None = None,
    ) -> None:
        """Checks what can be checked before `open`; the predictors are as `server` says.

        `holder`: the process to stop for another router to start on the same topology, where that is not this one.
        Raises VariablesError or JsonFileError.
        """
        self._router_file = router_file
        self._options = options
        self._server = server
        self._holder = holder
        self._open_engine = open_engine
        self._retiring: list[gevent.Greenlet[..., bool]] = []
        self._previous: AnyEngine | None = None
        """The engine that retires, or that did so last."""
        self._lock = BoundedSemaphore()  # one switch at a time
        self._closing = False  # and then none
        self._variables = variables.read(router_file)
        path, settings = self._selected(self._variables)
        topology_file.read(path, settings.threshold, initial_text(path), server)
        self.engine: AnyEngine
        self._opened = Event()

    def open(self) -> None:
        """Opens the first engine, by router.py as it is now; raises OPEN_ERRORS.

        Where that cannot be used it is by router.py as it was: a mistake there that a running router goes on with must
        not keep the next one, which may have waited since, from taking its place.
        """
        checked = self._variables
        with suppress(VariablesError):  # `follow_variables` tells
            self._variables = variables.read(self._router_file)
        try:
            self.engine = self._open_engine(*self._selected(self._variables), None)
        except OPEN_ERRORS:
            if self._variables == checked:
                raise
            self._variables = checked  # likewise
            self.engine = self._open_engine(*self._selected(checked), None)
        self._opened.set()

    def spawn(self, run: Callable[[], None]) -> None:
        """Has this run beside all else, from the opening on."""

        def run_once_open() -> None:
            self._opened.wait()
            run()

        gevent.spawn(run_once_open)

    def follow_variables(self) -> None:
        """Switches whenever router.py is saved with other values of the two variables; never returns."""
        variables.watch(self._router_file, self._variables, self._switch, logs.warning)

    def close(self) -> None:
        """Stops, with the topology files back in their initial state, and logs that."""
        self.settle()
        file = self.engine.topology.path
        became = "is back in its initial state" if self.engine.close() else "is not back: the next start puts it back"
        logs.info(f"stopped; {file} {became}", "stopped", file=str(file))

    def hurry(self) -> None:
        """Has `close` wait for no request in flight any more, those under an earlier topology included."""
        for engine in (self._previous, self.engine):
            if engine is not None:
                engine.hurry()

    def announce_stop(self, grace_s: float) -> None:
        """Lets another router start, which takes its turn once this one has ended: within `grace_s`."""
        self.engine.announce_stop(grace_s)

    def settle(self) -> None:
        """Changes topology no more, and waits until requests that came under an earlier one have ended."""
        self._closing = True
        with self._lock:
            gevent.joinall(self._retiring)

    def close_left(self) -> dict[str, Any]:
        """Ends an engine that has left; returns what it has counted since."""
        self.engine.close(keep_file=True)
        pid = os.getpid()
        logs.info(f"process {pid} has left: nothing is in flight there any more", "left", process=pid)
        return self.engine.counted_since_leaving()

    def _selected(self, values: Variables) -> tuple[Path, EngineSettings]:
        """Returns the topology file and the settings; the command line goes before the variables."""
        options = self._options
        name = options.topology or variables.NAMES[values.topology]
        settings = EngineSettings(
            options.threshold or values.node_threshold,
            options.deadline,
            options.hold_down,
            not options.no_resend,
            self._server,
            self._holder,
        )
        return topology_file.find(name, self._router_file.parent / "topology"), settings

    def _switch(self, values: Variables) -> bool:
        """Opens the selected engine, lets the old one's requests end; returns whether the values are in service."""
        with self._lock:
            gevent.joinall(self._retiring)  # one of them may still hold the file that is selected
            if self._closing:
                return False
            old = self.engine
            try:
                path, settings = self._selected(values)
                if (path, settings) == (old.topology.path, old.settings):
                    logs.info("router.py was saved with other values, which the command line's options overrule")
                    return True
                self.engine = self._open_engine(path, settings, old)
            except OPEN_ERRORS as error:
                logs.warning(f"{error}; the router goes on with {old.topology.name}")
                return False
            self._previous = old
            self._retiring = [gevent.spawn(old.retire, keep_file=path == old.topology.path)]
            return True
