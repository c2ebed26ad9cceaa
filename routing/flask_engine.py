"""The Flask engine: this process carries the requests. Ties balancer, dispatcher and health checks together."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gevent

from routing.counters import Counters
from routing.dispatcher import Dispatcher
from routing.engine import Engine, EngineSettings
from routing.health import HealthChecks
from routing.state_file import StateFile
from routing.topology import Topology
from routing.upstream.client import Request
from routing.upstream.errors import UpstreamError
from routing.upstream.response import Response

TICK_S = 0.1


class FlaskEngine(Engine):
    """A topology whose requests this process carries, from `FlaskEngine.open` to `close`."""

    name = "flask"

    def __init__(
        self, topology: Topology, state: StateFile, settings: EngineSettings, previous: "FlaskEngine | None"
    ) -> None:
        super().__init__(topology, state, settings, previous, Counters())
        self._checks = HealthChecks(self._upstreams, self._on_pass, self._on_fail, self._serves)
        self._dispatcher = Dispatcher(
            self.balancer,
            self._upstreams,
            changed=self._publish,
            probe=self._checks.probe_now,
            deadline_s=settings.deadline_s,
            resend=settings.resend,
            counters=self.counters,
        )
        self.refused = self._dispatcher.refused
        self._ticker: gevent.Greenlet[[], None] | None = None

    @classmethod
    def open(cls, path: Path, settings: EngineSettings, previous: "FlaskEngine | None" = None) -> "FlaskEngine":
        """Claims the topology file, probes its predictors once and starts; requests may come at once.

        An engine on the same file as `previous` takes the file over from it. Raises JsonFileError or StateFileError.
        """
        engine = cls(*cls._claim_file(path, settings, previous), settings, previous)
        engine._start(previous)
        return engine

    def send(self, request: Request) -> Response:
        """Has a predictor answer the request; raises RefusedError."""
        return self._dispatcher.send(request)

    def has_free_slot(self) -> bool:
        """Whether some predictor could take a request now."""
        return self.balancer.has_free_slot(time.monotonic())

    def retire(self, keep_file: bool) -> bool:
        """Lets the requests in flight end, then closes."""
        end_s = time.monotonic() + self.settings.deadline_s
        while self._dispatcher.requests_in_flight() and time.monotonic() < end_s and not self._hurried:
            gevent.sleep(0.05)
        return self.close(keep_file)

    def leave(self) -> None:
        """Leaves the file and the new requests to another process; those in flight go on until `close`."""
        self._stop_loops()
        self._leave_file()

    def follow_in_flight(self, begin: Callable[[str, bool], Callable[[], None]]) -> dict[str, int]:
        """Has each request in flight told, as `Dispatcher.follow` does."""
        return self._dispatcher.follow(begin)

    def close(self, keep_file: bool = False) -> bool:
        """Stops the health checks, and restores the file unless it is kept; returns whether it is back."""
        self._stop_loops()
        for upstream in self._upstreams.values():
            upstream.close()
        return self._stop_writing(keep_file)

    def _stop_loops(self) -> None:
        self._checks.stop()
        self._proofs.stop()
        if self._ticker is not None:
            self._ticker.kill()

    def _start(self, previous: "FlaskEngine | None") -> None:
        if previous is None:
            self.recall(self._state.memory)
        if not self._state.is_continued:
            self._probe_once()
        self._take_over_file(previous)
        if previous is not None:  # from here to the end nothing waits, so no request slips in between
            self._inherit_drains(previous)
            self._inherit_requests(previous)
        self._writer.start()
        self._checks.start()
        self._ticker = gevent.spawn(self._tick)
        self._log_in_service(previous)
        self._publish()

    def _inherit_requests(self, previous: "FlaskEngine") -> None:
        """Counts what is still in flight at predictors of both topologies."""
        names = {entry.address: entry.name for entry in self.topology.entries}
        for entry in previous.topology.entries:
            if entry.address in names:
                previous._dispatcher.transfer_slots(entry.name, partial(self.reserve_at, names[entry.address]))

    def _on_pass(self, name: str) -> None:
        if self.balancer.predictors[name].up or not self.balancer.may_return(name, time.monotonic()):
            return
        failure = self._proofs.failure(name)
        if failure is None:
            self.balancer.readmit(name, time.monotonic())
        else:
            self._eject(name, failure)
        self._publish()

    def _on_fail(self, name: str, failure: UpstreamError) -> None:
        self._eject(name, failure)
        self._publish()
        self._dispatcher.redispatch_from(name)

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            self.balancer.tick(time.monotonic())
            stalled = self.balancer.stalled(time.monotonic())
            self._publish()
            for name in stalled:
                self._dispatcher.redispatch_from(name, besides=stalled)
                self._try_suspect(name)

    def _try_suspect(self, name: str) -> None:
        """Has it show that it answers again: its clients' requests go to others meanwhile."""
        predictor = self.balancer.predictors[name]
        if self._proofs.has_answered(name, self.balancer.doubts.patience_s(predictor, time.monotonic())):
            self.balancer.doubts.clear(predictor)
