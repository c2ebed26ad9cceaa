"""One topology at work: its balancer, its requests, its health checks and its live file, tied together."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gevent

from routing import topology as topology_file
from routing.balancer import Balancer, Event, Rules
from routing.forwarding import Answer, Request, Upstream
from routing.health import HealthChecks
from routing.logs import say, tell_change, warn
from routing.pacing import PacedWriter
from routing.relay import Relay
from routing.state_file import StateFile
from routing.traffic import Traffic
from serving.patience import at_most

TICK_S = 0.1


@dataclass(frozen=True)
class Settings:
    """What the command line decides besides the topology; times in seconds."""

    threshold: int
    deadline_s: float = 10.0
    hold_down_s: float = 5.0
    resend: bool = True


class Rig:
    """A topology in service, from `Rig.open` to `close`."""

    def __init__(
        self, topology: topology_file.Topology, state: StateFile, settings: Settings, traffic: Traffic
    ) -> None:
        self.topology = topology
        self.settings = settings
        self._traffic = traffic
        self._since_s = time.time()
        self.balancer = Balancer(topology, time.monotonic(), Rules(hold_down_s=settings.hold_down_s))
        self._state = state
        self._upstreams = {entry.name: Upstream(entry) for entry in topology.entries}
        self._writer = PacedWriter(self._write_state)
        self._checks = HealthChecks(self._upstreams, self._well, self._ill)
        self.relay = Relay(
            self.balancer,
            self._upstreams,
            changed=self._changed,
            suspect=self._checks.hurry,
            deadline_s=settings.deadline_s,
            resend=settings.resend,
            traffic=traffic,
        )
        self._ticker: gevent.Greenlet[[], None] | None = None

    @classmethod
    def open(cls, path: Path, settings: Settings, previous: "Rig | None" = None) -> "Rig":
        """Take the topology file, probe its predictors once and start; requests may come at once.

        A rig on the same file as `previous` takes the file over from it. Raises TopologyError or StateFileError.
        """
        taken_over = previous is not None and previous.topology.path == path
        state = previous._state if previous is not None and taken_over else StateFile(path, warn)
        try:
            text = previous.topology.text if previous is not None and taken_over else state.unrestored
            topology = topology_file.read(path, settings.threshold, text)
        except topology_file.TopologyError:
            if not taken_over:
                state.give_up()
            raise
        if not taken_over:
            state.begin(topology.text)
        rig = cls(topology, state, settings, Traffic() if previous is None else previous.traffic())
        rig._start(previous)
        return rig

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

    def picture(self) -> dict[str, Any]:
        """Return the whole state as JSON objects: predictors, refusals and events (times: epoch seconds)."""
        offset_s = time.time() - time.monotonic()
        return {
            "topology": self.topology.name,
            "file": str(self.topology.path),
            "since": round(self._since_s, 3),
            "predictors": {name: self._predictor(name) for name in self.balancer.predictors},
            "refused": {
                reason: self.relay.refused[reason] for reason in ("saturated", "down", "timeout", "bad_answer")
            },
            "events": [_event(event, offset_s) for event in self.balancer.events],
        }

    def traffic(self) -> Traffic:
        """Return the counters since the first topology came into service."""
        return self._traffic

    def retire(self, keep_file: bool) -> None:
        """Let the requests in flight end, then stop; the file is restored unless a successor has taken it over."""
        with at_most(self.settings.deadline_s):
            while self.relay.requests_in_flight():
                gevent.sleep(0.05)
        self.close(keep_file)

    def close(self, keep_file: bool = False) -> None:
        """Stop the health checks, and put the file back to its initial state unless it is kept."""
        self._checks.stop()
        if self._ticker is not None:
            self._ticker.kill()
        self._writer.stop()
        if not keep_file:
            self._state.restore()
        for upstream in self._upstreams.values():
            upstream.close()

    def _start(self, previous: "Rig | None") -> None:
        for name, reason in self._checks.first_round().items():
            self.balancer.eject(name, time.monotonic(), reason)
        if previous is not None and previous._state is self._state:
            previous._writer.stop()
        self._write_state()
        if previous is not None:
            self._inherit(previous)  # from here to the end nothing waits, so no request slips in between
        self._writer.start()
        self._checks.start()
        self._ticker = gevent.spawn(self._tick)
        self._announce(previous)
        self._changed()

    def _announce(self, previous: "Rig | None") -> None:
        """Say what has come into service, before the first events in it."""
        name, threshold = self.topology.name, self.settings.threshold
        if previous is None:
            text = f"topology {name} ({self.topology.path})"
        elif previous.topology.path == self.topology.path:
            text = f"node_threshold {threshold}, was {previous.settings.threshold}; topology {name} as before"
        else:
            text = f"topology {name}, was {previous.topology.name}"
        say(text, "topology", topology=name, file=str(self.topology.path), node_threshold=threshold)

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

    def _changed(self) -> None:
        """After every step of the balancer: tell its events, and have the file follow."""
        self._writer.load_changed()
        events = self.balancer.take_fresh_events()
        if events:
            self._writer.status_changed()
            for event in events:
                self._traffic.events[event.predictor, event.event] += 1
                tell_change(event.event, event.predictor, event.reason)

    def _write_state(self) -> None:
        picture = {name: (p.in_rotation, p.load) for name, p in self.balancer.predictors.items()}
        gevent.get_hub().threadpool.apply(self._state.write, (picture,))

    def _predictor(self, name: str) -> dict[str, Any]:
        predictor = self.balancer.predictors[name]
        entry = predictor.entry
        return {
            "status": predictor.in_rotation,
            "load": predictor.load,
            "port": self.topology.document[name]["port"],
            "host": entry.host,
            "region": entry.region,
            "capacity": entry.capacity,
            "role": "active" if entry.active else "standby",
            "state": predictor.state,
            "up": predictor.up,
            "served": predictor.served,
            "failed": predictor.failed,
            "peak_load": predictor.peak_load,
        }


def _event(event: Event, offset_s: float) -> dict[str, Any]:
    return {
        "time": round(event.time_s + offset_s, 6),
        "event": event.event,
        "predictor": event.predictor,
        "reason": event.reason,
    }
