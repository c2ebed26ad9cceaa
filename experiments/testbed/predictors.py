"""The predictors of one deployment as processes: started, awaited, ended."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from experiments.testbed.model_servers import Command, Readiness, is_own
from experiments.testbed.processes import Child, kill_all, wait_until_ready
from experiments.testbed.signals import StopRequest
from server_file import Place, Server


class Predictors:
    """Those of one deployment, by their names."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        places: Mapping[str, Place],
        command_of: Callable[[str], Command],
        own_is_ready: Callable[[str], bool],
        logs: Path,
    ) -> None:
        """`command_of` says what starts each, `own_is_ready` whether one of the rig's own is; `logs` is a folder."""
        self._servers, self._places = servers, places
        self._command_of, self._own_is_ready = command_of, own_is_ready
        self._logs = logs
        self._running: dict[str, Child] = {}
        self._readiness: dict[str, Readiness] = {}
        self._exits_expected: set[str] = set()

    def __getitem__(self, name: str) -> Child:
        """The predictor's process."""
        return self._running[name]

    def processes(self) -> list[Child]:
        """All that have been started."""
        return list(self._running.values())

    def start(self, name: str) -> None:
        """Starts it, without waiting until it serves. Raises CommandError."""
        command, server = self._command_of(name), self._servers[name]
        self._logs.mkdir(exist_ok=True)
        child = Child(
            name, command.argv, self._logs / f"{name}.log", command.cwd, command.env, grace_s=server.stop_within_s
        )
        self._running[name] = child
        if not is_own(server):
            self._readiness[name] = Readiness(server, self._places[name], child.processes)
        self._exits_expected.discard(name)

    def wait_until_ready(self, names: Sequence[str], stop: StopRequest, extra_s: float) -> None:
        """Waits until each is ready, `extra_s` longer than its server file says. Raises CommandError."""
        waiting = {self[name]: self._readiness.get(name) or partial(self._own_is_ready, name) for name in names}
        within_s = max((self._servers[name].ready_within_s for name in names), default=0.0) + extra_s

        def reason(child: Child) -> str:
            readiness = self._readiness.get(child.name)
            return readiness.reason() if readiness else ""

        wait_until_ready(waiting, stop, within_s, reason)
        for name in self._readiness.keys() & set(names):
            self[name].processes()  # so that those which clean their environment are found again

    def expect_exit(self, name: str) -> Child:
        """The predictor's process, for a caller that ends it: until it is started again, it may be dead."""
        self._exits_expected.add(name)
        return self[name]

    def kill(self, names: Iterable[str]) -> None:
        """Kills these at the same moment (SIGKILL), and waits for their ends."""
        kill_all([self.expect_exit(name) for name in names])

    def require_alive(self) -> None:
        """Raises CommandError when one has ended whose exit is not expected."""
        for name, child in list(self._running.items()):
            if name not in self._exits_expected:
                child.require_alive()
