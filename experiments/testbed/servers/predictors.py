"""The predictors of one deployment as processes: started, awaited, ended."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from experiments.testbed.processes import Child, Process, kill_all, wait_until_ready
from experiments.testbed.servers.fronts import Fronts
from experiments.testbed.servers.hooks import HookedPredictor, leave_all
from experiments.testbed.servers.model_servers import Command, Readiness, command_of, is_own
from experiments.testbed.signals import StopRequest
from server_file import Place, Server


def child_of(server: Server, place: Place, log: Path) -> Child:
    """Starts a server of one's own there. Raises CommandError."""
    argv, env, cwd = command_of(server, place)
    return Child(place.name, argv, log, cwd, env, server.stop_within_s)


def started(server: Server, place: Place, log: Path) -> Process:
    """Starts a server of one's own there, as a child or by its hook. Raises CommandError."""
    return HookedPredictor(server, place, log) if server.hooks else child_of(server, place, log)


def end_alone(process: Process) -> None:
    """Ends what was started alone; what hooks reach is left as it was found. Raises CommandError."""
    if isinstance(process, HookedPredictor):
        leave_all([process])
    else:
        process.stop()


class Predictors:
    """Those of one deployment, by their names."""

    def __init__(
        self,
        servers: dict[str, Server],
        places: Mapping[str, Place],
        command_of: Callable[[str], Command],
        own_is_ready: Callable[[str], bool],
        logs: Path,
        fronts: Fronts | None,
        beside: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        """`command_of` says what starts each, `own_is_ready` whether one of the rig's own is; `logs` is a folder.

        `fronts` are the sidecars, where some stand in front of them; `beside` lets a thread be on a predictor's host.
        """
        self._servers, self._places = servers, places
        self._command_of, self._own_is_ready = command_of, own_is_ready
        self._logs, self._fronts, self._beside = logs, fronts, beside
        self._running: dict[str, Process] = {}
        self._readiness: dict[str, Readiness] = {}
        self._exits_expected: set[str] = set()

    def __getitem__(self, name: str) -> Process:
        """The predictor's process."""
        return self._running[name]

    def can(self, name: str, *actions: str) -> bool:
        """Whether all this can be done to the predictor: anything to a child, else what has a hook (HOOKS)."""
        hooks = self._servers[name].hooks
        return not hooks or hooks.keys() >= set(actions)

    def start(self, name: str) -> None:
        """Starts it, without waiting until it serves. Raises CommandError."""
        server, place, log = self._servers[name], self._places[name], self._logs / f"{name}.log"
        self._logs.mkdir(exist_ok=True)
        process: Process
        if server.hooks:
            self._running[name] = process = HookedPredictor(server, place, log)
            if self._fronts is not None:
                self._fronts.stand_before(name)
        else:
            command = self._command_of(name)
            with self._beside(name):
                process = Child(name, command.argv, log, command.cwd, command.env, server.stop_within_s)
        self._running[name] = process
        if not is_own(server):
            known = place if self._fronts is None else place._replace(ports=(*place.ports, *self._fronts.ports(name)))
            self._readiness[name] = Readiness(server, known, process.processes)
        self._exits_expected.discard(name)

    def use_next(self, name: str) -> None:
        """From its next start on it is the version that its server file names as the next, if there is one."""
        self._servers[name] = self._servers[name].next or self._servers[name]

    def wait_until_ready(self, names: Sequence[str], stop: StopRequest, extra_s: float) -> None:
        """Waits until each is ready, `extra_s` longer than its server file says. Raises CommandError."""
        waiting = {self[name]: partial(self._is_ready, name) for name in names}
        within_s = max((self._servers[name].ready_within_s for name in names), default=0.0) + extra_s

        def reason(process: Process) -> str:
            readiness = self._readiness.get(process.name)
            return readiness.reason() if readiness else ""

        wait_until_ready(waiting, stop, within_s, reason)
        for name in self._readiness.keys() & set(names):
            self[name].processes()  # so that those which clean their environment are found again

    def _is_ready(self, name: str) -> bool:
        """Whether it is, as far as is known, and its sidecar lets connections in. Raises CommandError."""
        readiness = self._readiness.get(name)
        is_ready = self._own_is_ready(name) if readiness is None else readiness()
        return is_ready and (self._fronts is None or self._fronts.is_open(name))

    def expect_exit(self, name: str) -> Process:
        """The predictor's process, for a caller that ends it: until it is started again, it may be dead."""
        self._exits_expected.add(name)
        return self[name]

    def kill(self, names: Iterable[str]) -> None:
        """Kills these at the same moment (SIGKILL), and waits for their ends."""
        kill_all([self.expect_exit(name) for name in names])

    def require_alive(self) -> None:
        """Raises CommandError when one has ended whose exit is not expected, or a sidecar that runs on its own."""
        for child in self._fronts.children() if self._fronts is not None else ():
            child.require_alive()
        for name, process in list(self._running.items()):
            if name not in self._exits_expected:
                process.require_alive()

    def children(self) -> list[Child]:
        """Those that are children of this process, and sidecars that are."""
        fronts = self._fronts.children() if self._fronts is not None else []
        return [*fronts, *(process for process in self._running.values() if isinstance(process, Child))]

    def hooked(self) -> list[HookedPredictor]:
        """Those that hooks reach."""
        return [process for process in self._running.values() if isinstance(process, HookedPredictor)]
