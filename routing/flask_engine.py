"""One topology at work: its balancer, its requests and its health checks, tied together: the Flask engine."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import gevent

from routing import topology as topology_file
from routing.dispatcher import Relay
from routing.health import HealthChecks
from routing.in_service import InService, Settings
from routing.state_file import StateFile
from routing.upstream.client import Answer, Request, Upstream
from serving.timeouts import silent_timeout

TICK_S = 0.1


class Rig(InService):
    """A topology whose requests this process carries, from `Rig.open` to `close`."""

    engine = "flask"

    def __init__(
        self, topology: topology_file.Topology, state: StateFile, settings: Settings, previous: "Rig | None"
    ) -> None:
        super().__init__(topology, state, settings, previous)
        self._upstreams = {entry.name: Upstream(entry) for entry in topology.entries}
        self._checks = HealthChecks(self._upstreams, self._well, self._ill)
        self.relay = Relay(
            self.balancer,
            self._upstreams,
            changed=self._changed,
            suspect=self._checks.hurry,
            deadline_s=settings.deadline_s,
            resend=settings.resend,
            traffic=self._traffic,
        )
        self._ticker: gevent.Greenlet[[], None] | None = None

    @classmethod
    def open(cls, path: Path, settings: Settings, previous: "Rig | None" = None) -> "Rig":
        """Take the topology file, probe its predictors once and start; requests may come at once.

        A rig on the same file as `previous` takes the file over from it. Raises TopologyError or StateFileError.
        """
        topology, state = cls._take(path, settings, previous)
        rig = cls(topology, state, settings, previous)
        rig._start(previous)
        return rig

    @property
    def refused(self) -> Mapping[str, int]:
        """Requests that got no predictor's answer since this topology came in, by reason."""
        return self.relay.refused

    def send(self, request: Request) -> Answer:
        """Carry one request to a predictor; raises RefusedError."""
        return self.relay.send(request)

    def can_take_a_request(self) -> bool:
        """Whether some predictor could take a request now."""
        return self.balancer.has_room(time.monotonic())

    def drain(self, name: str) -> None:
        """Give the predictor nothing new; KeyError if unknown."""
        self.balancer.drain(name, time.monotonic())
        self._changed()

    def ready(self, name: str) -> None:
        """Put a drained predictor back; KeyError if unknown."""
        self.balancer.ready(name, time.monotonic())
        self._changed()

    def retire(self, keep_file: bool) -> None:
        """Let the requests in flight end, then stop; the file is restored unless a successor has taken it over."""
        with silent_timeout(self.settings.deadline_s):
            while self.relay.requests_in_flight():
                gevent.sleep(0.05)
        self.close(keep_file)

    def close(self, keep_file: bool = False) -> bool:
        """Stop the health checks, and put the file back to its initial state unless it is kept; says whether it is."""
        self._checks.stop()
        if self._ticker is not None:
            self._ticker.kill()
        for upstream in self._upstreams.values():
            upstream.close()
        return self._stop_writing(keep_file)

    def _start(self, previous: "Rig | None") -> None:
        for name, reason in self._checks.first_round().items():
            self.balancer.eject(name, time.monotonic(), reason)
        self._take_over_file(previous)
        if previous is not None:
            self._inherit(previous)  # from here to the end nothing waits, so no request slips in between
        self._writer.start()
        self._checks.start()
        self._ticker = gevent.spawn(self._tick)
        self._announce(previous)
        self._changed()

    def _inherit(self, previous: "Rig") -> None:
        """At predictors of both topologies: an operator's drain holds, and requests still in flight count."""
        names = {(entry.host, entry.port): entry.name for entry in self.topology.entries}
        for entry in previous.topology.entries:
            name = names.get((entry.host, entry.port))
            if name is None:
                continue
            if previous.balancer.predictors[entry.name].drained:
                self.balancer.drain(name, time.monotonic())
            previous.relay.hand_over(entry.name, partial(self._hold, name))

    def _hold(self, name: str) -> Callable[[], None]:
        slot = self.balancer.hold(name, time.monotonic())
        return lambda: self.balancer.release(slot, time.monotonic())

    def _well(self, name: str) -> None:
        if not self.balancer.predictors[name].up:
            self.balancer.readmit(name, time.monotonic())
            self._changed()

    def _ill(self, name: str, reason: str) -> None:
        self.balancer.eject(name, time.monotonic(), reason)
        self._changed()
        self.relay.move_waiting(name)

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            self.balancer.tick(time.monotonic())
            self._changed()
