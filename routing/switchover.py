"""The engine in service, and the way from one topology to another without losing a request."""

import argparse
from pathlib import Path
from typing import Generic

import gevent
from gevent.lock import BoundedSemaphore

from routing import logs, variables
from routing import topology as topology_file
from routing.engine import OPEN_ERRORS, AnyEngine, EngineSettings, Opener
from routing.variables import Variables
from server_file import Server


class Switchover(Generic[AnyEngine]):
    """The engine in service, which follows the two variables of router.py."""

    def __init__(
        self, router_file: Path, options: argparse.Namespace, server: Server, open_engine: Opener[AnyEngine]
    ) -> None:
        """Opens the first engine, before predictors that are as `server` says; raises VariablesError or OPEN_ERRORS."""
        self._router_file = router_file
        self._options = options
        self._server = server
        self._open_engine = open_engine
        self._retiring: list[gevent.Greenlet[..., bool]] = []
        self._lock = BoundedSemaphore()  # one switch at a time
        self._closing = False  # and then none
        self._variables = variables.read(router_file)
        self.engine = open_engine(*self._selected(self._variables), None)

    def follow_variables(self) -> None:
        """Switches whenever router.py is saved with other values of the two variables; never returns."""
        variables.watch(self._router_file, self._variables, self._switch, logs.warning)

    def close(self) -> None:
        """Stops, with the topology files back in their initial state, and logs that."""
        self._closing = True
        self._lock.acquire()
        gevent.joinall(self._retiring)
        file = self.engine.topology.path
        became = "is back in its initial state" if self.engine.close() else "is not back: the next start puts it back"
        logs.info(f"stopped; {file} {became}", "stopped", file=str(file))

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
            self._retiring = [gevent.spawn(old.retire, keep_file=path == old.topology.path)]
            return True
