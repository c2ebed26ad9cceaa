"""HAProxy as the router's engine: a child that carries the requests, directed over its Runtime API."""

import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import gevent
from gevent.lock import RLock

from routing.counters import Traffic
from routing.haproxy.addresses import Addresses
from routing.haproxy.configuration import Options, configuration
from routing.haproxy.process import Program
from routing.haproxy.runtime import RuntimeApi, RuntimeApiError
from routing.haproxy.synchronizer import Mirror
from routing.health import HealthChecks
from routing.in_service import EngineError, InService, Settings
from routing.logs import warn
from routing.state_file import StateFile
from routing.topology import Topology
from routing.upstream.client import Upstream

LOOK_EVERY_S = 0.04
"""A change in HAProxy is seen within this, and in the file within 0.1 s."""

SEARCH_EVERY_S = 1.0
READY_WITHIN_S = 5.0
LAST_ACCEPTS_S = 0.1
"""HAProxy takes what the kernel has accepted for it within this, before it is told to stop."""


@dataclass(frozen=True)
class Door:
    """What every HAProxy of this router has in common."""

    haproxy: str
    """The program's path."""
    public: socket.socket
    """It listens from one HAProxy to the next, so that no client is turned away in between."""
    sample: Path
    body_limit_bytes: int
    body_timeout_s: float


class HAProxyEngine(InService):
    """A topology whose requests HAProxy carries, from `open` to `close`."""

    engine = "haproxy"

    def __init__(
        self, topology: Topology, state: StateFile, settings: Settings, door: Door, previous: "Self | None"
    ) -> None:
        super().__init__(topology, state, settings, previous)
        self._door = door
        self._mirror = Mirror(self.balancer, self._traffic)
        self._upstreams = {entry.name: Upstream(entry) for entry in topology.entries}
        self._addresses = Addresses(topology, self._upstreams)
        self._turn = RLock()  # looks and orders, one at a time
        self._silent = False
        self._program = Program(door.haproxy)
        self._runtime = RuntimeApi(self._program.runtime_socket)
        self._loops: list[gevent.Greenlet[[], None]] = []

    @classmethod
    def open(cls, door: Door, path: Path, settings: Settings, previous: "Self | None" = None) -> Self:
        """Take the topology file, probe its predictors once, and start HAProxy on it.

        Raises TopologyError, StateFileError or EngineError.
        """
        topology, state = cls._take(path, settings, previous)
        engine = None
        try:
            engine = cls(topology, state, settings, door, previous)
            engine._start(previous)
        except EngineError:
            if engine is not None:
                engine._program.stop(0)
            if previous is None or previous._state is not state:
                state.restore()
            raise
        return engine

    @property
    def refused(self) -> Mapping[str, int]:
        """Requests that got no predictor's answer since this topology came in, by reason."""
        return self._mirror.refused

    def drain(self, name: str) -> None:
        """Give the predictor nothing new; KeyError if unknown."""
        self.balancer.drain(name, time.monotonic())  # at once: a successor may be about to take the orders over
        self._look_if_possible()

    def ready(self, name: str) -> None:
        """Put a drained predictor back; KeyError if unknown."""
        self.balancer.ready(name, time.monotonic())
        self._look_if_possible()

    def picture(self) -> dict[str, Any]:
        """Return the whole state as JSON objects, as it is now."""
        self._look_if_possible()
        return super().picture()

    def retire(self, keep_file: bool) -> None:
        """Let the requests in flight end, then stop; the file is restored unless a successor has taken it over."""
        self._end(keep_file)

    def close(self, keep_file: bool = False) -> bool:
        """Take no new connections, stop HAProxy once its requests in flight have ended, and put the file back.

        The return says whether it is back.
        """
        self._door.public.listen(0)  # the kernel completes no more of them
        gevent.sleep(LAST_ACCEPTS_S)
        self._door.public.close()
        return self._end(keep_file)

    def _end(self, keep_file: bool) -> bool:
        gevent.killall(self._loops)
        end_s = time.monotonic() + self.settings.deadline_s + self._door.body_timeout_s
        with self._turn, suppress(RuntimeApiError):
            self._count_the_last(end_s)
        self._program.stop(max(0.0, end_s - time.monotonic()))
        return self._stop_writing(keep_file)

    def _count_the_last(self, end_s: float) -> None:
        """Have HAProxy stop, and count what it still answers: its counters go with it. Raises RuntimeApiError."""
        self._runtime.stay()
        try:
            self._program.ask_to_stop()
            while time.monotonic() < end_s:
                self._mirror.see(self._runtime.read(), time.monotonic())
                if not any(predictor.load for predictor in self.balancer.predictors.values()):
                    return
                gevent.sleep(LOOK_EVERY_S)
        finally:
            self._runtime.leave()

    def _new_traffic(self) -> Traffic:
        return Traffic(good="2xx", latency=None)  # HAProxy counts classes of answers; it keeps no durations

    def _start(self, previous: "HAProxyEngine | None") -> None:
        ill = self._first_round()
        for name, reason in ill.items():
            self.balancer.eject(name, time.monotonic(), reason)
        if previous is not None:
            self._inherit_orders(previous)
        self._run(ill)
        self._take_over_file(previous)
        if previous is not None:
            self._inherit_orders(previous)  # those of the meantime; from here to the end nothing waits
        self._writer.start()
        self._loops = [gevent.spawn(self._follow), gevent.spawn(self._search)]
        self._announce(previous)
        self._changed()

    def _first_round(self) -> dict[str, str]:
        return HealthChecks(self._upstreams, lambda _: None, lambda *_: None).first_round()

    def _inherit_orders(self, previous: "HAProxyEngine") -> None:
        """Bring an operator's orders over, for predictors of both topologies."""
        now = time.monotonic()
        drained = {(p.entry.host, p.entry.port): p.drained for p in previous.balancer.predictors.values()}
        for entry in self.topology.entries:
            order = self.balancer.drain if drained.get((entry.host, entry.port)) else self.balancer.ready
            order(entry.name, now)

    def _run(self, ill: Iterable[str]) -> None:
        """Start HAProxy and tell it what is known already. Raises EngineError."""
        topology, nowhere = self._addresses.located()
        options = Options(
            bind=f"fd@{self._door.public.fileno()}",
            sample=self._door.sample,
            sample_socket=self._program.sample_socket,
            runtime_socket=self._program.runtime_socket,
            deadline_s=self.settings.deadline_s,
            resend=self.settings.resend,
            body_limit_bytes=self._door.body_limit_bytes,
            body_timeout_s=self._door.body_timeout_s,
            nowhere=nowhere,
            weights=self._mirror.begin(time.monotonic()),
        )
        self._program.start(configuration(topology, options), self._door.public.fileno())
        self._wait_until_ready()
        down = [f"set server pool/{name} health down" for name in ill]
        try:
            self._runtime.order([*down, *self._mirror.orders(time.monotonic())])
            self._mirror.carried_out()
        except RuntimeApiError as error:
            raise EngineError(str(error)) from error

    def _wait_until_ready(self) -> None:
        end_s = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                self._runtime.read()
                return
            except RuntimeApiError as error:
                if not self._program.running():
                    raise EngineError("HAProxy ended as soon as it was started") from error
                if time.monotonic() > end_s:
                    raise EngineError(str(error)) from error
            gevent.sleep(0.01)

    def _follow(self) -> None:
        """Look at HAProxy and direct it, again and again; never returns."""
        told = False
        while True:
            try:
                self._look()
                told = False
            except RuntimeApiError as error:
                if not self._program.running():
                    self._run_again()
                elif not told:
                    told = True
                    warn(f"{error}; it goes on by itself")
            gevent.sleep(LOOK_EVERY_S)

    def _search(self) -> None:
        """Look again and again for who is down and has a host name; never returns."""
        while True:
            gevent.sleep(SEARCH_EVERY_S)
            found = self._addresses.search([p.name for p in self.balancer.predictors.values() if not p.up])
            if found:
                with self._turn, suppress(RuntimeApiError):  # tried again
                    self._addresses.tell(self._runtime, found)

    def _look(self) -> None:
        """Tell the balancer what HAProxy did, then have HAProxy and the file follow the balancer."""
        with self._turn:
            self._silent = True  # until it has answered
            self._mirror.see(self._runtime.read(), time.monotonic())
            self._changed()
            self._runtime.order(self._mirror.orders(time.monotonic()))
            self._mirror.carried_out()
            self._silent = False

    def _look_if_possible(self) -> None:
        """Look, but at a HAProxy that is silent no more than the loop does: whoever asks must not queue for it."""
        with self._turn, suppress(RuntimeApiError):  # the loop tells of it, and tries again
            if not self._silent:
                self._look()

    def _run_again(self) -> None:
        warn("HAProxy has ended by itself; it is started again")
        self._program.stop(0)
        try:
            self._program = Program(self._door.haproxy)
            self._runtime = RuntimeApi(self._program.runtime_socket)
            self._run([p.name for p in self.balancer.predictors.values() if not p.up])
        except EngineError as error:
            warn(f"{error}; tried again in a moment")
            gevent.sleep(1.0)
