"""A router that is not this project's in a deployment: nothing is known of it but what it answers.

That a predictor is back, or that another serves in its place, is seen by predictions that are asked for by way of it;
where it never shows that, nothing fails.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.testbed.ports import free_ports
from experiments.testbed.processes import Child
from experiments.testbed.programs import DeploymentSettings
from experiments.testbed.router import HOST, Address, Router
from experiments.testbed.routers.foreign_router import ForeignRouter
from experiments.testbed.routers.rendering import Listen, backends_of, render, settings_of
from experiments.testbed.routers.router_file import RouterFile
from experiments.testbed.servers.probes import predict
from experiments.testbed.signals import StopRequest
from experiments.testbed.topologies import Topology
from server_file import Server

SHOWN_WITHIN_S = 30.0
"""So long it may take to show that a predictor is out, or back, before the experiment goes on all the same."""

AT_ROUTER = "router"
"""What an operator acts on who restarts it."""

GOOD_PER_PREDICTOR = 2
"""So many good answers in a row for each predictor tell that it serves well, where none says who answers."""

LONGER_S = 2.0
"""An answer that takes so much longer than the service time is not waited for."""

PROBE_EVERY_S = 0.05


class OtherRouter(Router):
    """It is asked by way of its port alone."""

    def __init__(
        self,
        file: RouterFile,
        topology: Topology,
        servers: Mapping[str, Server],
        settings: DeploymentSettings,
        folder: Path,
        predictors_are_well: Callable[[], bool],
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`servers`: what each predictor is; `predictors_are_well`: whether all of them are, asked directly.

        `tell` is told why it is not ready, where it goes on for long.
        """
        [self._port] = free_ports(1)
        super().__init__(self._port)
        self._file, self._topology, self._servers = file, topology, servers
        self._settings, self._folder = settings, folder
        self._predictors_are_well = predictors_are_well
        self._tell = tell
        self._started: ForeignRouter | None = None
        self._awaited = {name for name, role in topology.roles().items() if role == "active"}
        self._has_answered: set[str] = set()
        self._enough = GOOD_PER_PREDICTOR * len(servers)
        """So many good answers in a row tell that it serves well."""
        self._good_in_a_row = 0
        self._stop = StopRequest()

    @property
    def process(self) -> ForeignRouter:
        """Its process, once it is started."""
        if self._started is None:
            raise RuntimeError("the router is not started")
        return self._started

    def start(self, addresses: Mapping[str, Address], stop: StopRequest) -> None:
        """Writes its configuration for these predictors, starts it, waits until it serves. Raises CommandError."""
        predictors = backends_of(self._topology, addresses, self._settings.threshold)
        settings = settings_of(self._servers, self._settings.deadline_s, self._file)
        if not self._settings.resend:
            settings = replace(settings, retries=0)
        rendered = render(self._file, predictors, Listen(HOST, self._port), self._folder / "router", settings)
        logs = self._folder / "logs"
        logs.mkdir(exist_ok=True)
        self._stop = stop
        self._started = ForeignRouter(self._file, rendered, logs / "router.log", self._server, self._tell)
        self._started.wait_until_ready(stop)

    def processes(self) -> list[Child]:
        """The router."""
        return [] if self._started is None else [self._started]

    def is_as_planned(self) -> bool:
        """Whether all predictors are well, and every active has answered by way of it since it was last asked so.

        Of an active that it has kept from all requests after its restart too, no answer is awaited any more.
        """
        if not self._predictors_are_well():
            self._forget()
            return False
        return self._ask() and self._have_answered(self._awaited)

    def is_whole(self) -> bool:
        """The same: it does not tell who serves besides."""
        return self.is_as_planned()

    def wait_until_out(self, name: str, stop: StopRequest) -> None:
        """Waits until as many good answers as there are others have come; if they never do, for SHOWN_WITHIN_S."""
        self._wait_for_good(len(self._servers) - 1, stop, SHOWN_WITHIN_S)

    def wait_until_replaced(self, names: Sequence[str], stop: StopRequest, within_s: float) -> None:
        """Waits until it serves well without these; if it never does, so long."""
        self._wait_for_good(self._enough, stop, within_s)

    def put_back(self) -> Iterator[str]:
        """Restarts it, so that it takes all predictors for well; awaits no more than it shows then.

        Raises CommandError.
        """
        yield AT_ROUTER
        self.process.restart(self._stop)
        self._forget()
        if not self._stop.wait_until(self.is_as_planned, SHOWN_WITHIN_S, PROBE_EVERY_S):
            self._await_no_more()

    def _await_no_more(self) -> None:
        """Awaits from now on what it has shown since its restart: whom its own rules never ask, it never will."""
        if self._has_answered:
            self._awaited &= self._has_answered
        else:
            self._enough = 1

    def take_out(self, name: str, stop: StopRequest) -> None:
        """Does nothing: without another configuration it has no drain."""

    def take_back(self, name: str, stop: StopRequest) -> None:
        """Waits until the predictor, if it is awaited, has answered by way of it; if it never does, SHOWN_WITHIN_S."""
        self._forget()
        if name in self._awaited:
            stop.wait_until(lambda: self._ask() and self._have_answered({name}), SHOWN_WITHIN_S, PROBE_EVERY_S)
        self._forget()

    def wait_for_spare(self, stop: StopRequest) -> None:
        """Does nothing: it has none, or takes care of that."""

    def upgrade(self) -> None:
        """Restarts it as its operator would. Raises CommandError."""
        self.process.restart(self._stop)

    def crash(self) -> None:
        """Kills all of its processes, and starts it again. Raises CommandError."""
        self.process.crash()
        self.process.start_again(self._stop)

    def why_not_replaced(self, stop: StopRequest) -> str:
        """Empty: it has served again, or its start has raised an error."""
        return ""

    def wait_until_left(self, stop: StopRequest) -> None:
        """Does nothing: what is left of the processes before answers what it has."""

    @property
    def _server(self) -> Server:
        return next(iter(self._servers.values()))

    def _ask(self) -> bool:
        """Asks for a prediction by way of it, and notes who answers; returns whether that was good."""
        outcome = predict(self._server, HOST, self._port, self._settings.service_time_s + LONGER_S)
        self._good_in_a_row = self._good_in_a_row + 1 if outcome.is_good else 0
        if outcome.is_good and outcome.predictor in self._servers:
            self._has_answered.add(outcome.predictor)
        return outcome.is_good

    def _wait_for_good(self, answers: int, stop: StopRequest, within_s: float) -> None:
        """Waits for so many in a row, one at least; no longer than that."""
        self._forget()
        stop.wait_until(lambda: self._ask() and self._good_in_a_row >= answers, within_s, PROBE_EVERY_S)
        self._forget()

    def _have_answered(self, names: set[str]) -> bool:
        """Whether all of these have since _forget(), which it then calls: the next time that must be seen anew."""
        is_seen = names <= self._has_answered if self._has_answered else self._good_in_a_row >= self._enough
        if is_seen:
            self._forget()
        return is_seen

    def _forget(self) -> None:
        self._has_answered.clear()
        self._good_in_a_row = 0
