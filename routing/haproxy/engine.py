"""HAProxy as the router's engine: a child that carries the requests, directed over its Runtime API."""

import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import gevent
from gevent.lock import RLock

from routing.counters import Counters
from routing.engine import Engine, EngineError, EngineSettings
from routing.haproxy.addresses import Addresses
from routing.haproxy.configuration import ProxyOptions, configuration, header_variables, why_inexpressible
from routing.haproxy.process import HAProxyProcess
from routing.haproxy.runtime import RuntimeApi, RuntimeApiError
from routing.haproxy.synchronizer import Synchronizer
from routing.logs import warning
from routing.state_file import StateFile
from routing.topology import Topology

SYNC_INTERVAL_S = 0.04
"""A change in HAProxy is seen within this, and in the file within 0.1 s."""

RESOLVE_INTERVAL_S = 1.0
READY_TIMEOUT_S = 5.0
END_NOTICED_S = 0.03
"""The end of a HAProxy that does not answer is noticed within this."""

LAST_ACCEPTS_S = 0.1
"""HAProxy takes what the kernel has accepted for it within this, before it is asked to stop."""


@dataclass(frozen=True)
class FrontendConfig:
    """What every HAProxy of this router has in common."""

    haproxy: str
    """The program's path."""
    public: socket.socket
    """It listens from one HAProxy to the next, so that no client is turned away in between."""
    sample: Path
    body_limit_bytes: int
    body_timeout_s: float
    life: int | None = None
    """The read end of a pipe, at whose end of file every HAProxy ends; None: they end with this process."""


class HAProxyEngine(Engine):
    """A topology whose requests HAProxy carries, from `open` to `close`."""

    name = "haproxy"

    def __init__(
        self,
        topology: Topology,
        state: StateFile,
        settings: EngineSettings,
        frontend: FrontendConfig,
        previous: "Self | None",
    ) -> None:
        counters = Counters(success_code="2xx", latency=None)  # HAProxy counts classes of statuses, and no durations
        super().__init__(topology, state, settings, previous, counters)
        self._frontend = frontend
        self._server = topology.entries[0].server  # as to path and health they are all alike
        self._synchronizer = Synchronizer(self.balancer, self.counters, self._proofs.is_proven)
        self.refused = self._synchronizer.refused
        self._addresses = Addresses(topology, self._upstreams)
        self._lock = RLock()  # one synchronization or change at a time
        self._silent = False
        self._process = HAProxyProcess(frontend.haproxy, frontend.life)
        self._runtime = RuntimeApi(self._process.runtime_socket, self._server.health)
        self._loops: list[gevent.Greenlet[[], None]] = []

    @classmethod
    def open(
        cls, frontend: FrontendConfig, path: Path, settings: EngineSettings, previous: "Self | None" = None
    ) -> Self:
        """Claims the topology file, probes its predictors once, and starts HAProxy on it; raises OPEN_ERRORS."""
        topology, state = cls._claim_file(path, settings, previous)
        engine = None
        try:
            if fault := why_inexpressible(topology):
                raise EngineError(fault)
            engine = cls(topology, state, settings, frontend, previous)
            engine._start(previous)
        except EngineError:
            if engine is not None:
                engine._process.stop(0)
            if previous is None or previous._state is not state:
                state.restore()
            raise
        return engine

    def snapshot(self) -> dict[str, Any]:
        """Returns the whole state as JSON objects, as it is now."""
        self._follow_balancer()
        return super().snapshot()

    def close(self, keep_file: bool = False) -> bool:
        """Accepts no new connections, and retires."""
        self._frontend.public.listen(0)  # the kernel completes no more of them
        gevent.sleep(LAST_ACCEPTS_S)
        self._frontend.public.close()
        return self.retire(keep_file)

    def leave(self) -> None:
        """Stops and restores the file: another router starts an HAProxy of its own."""
        self.close()

    def retire(self, keep_file: bool) -> bool:
        """Stops HAProxy once its requests in flight have ended, and restores the file unless a successor has it."""
        gevent.killall(self._loops)
        self._proofs.stop()
        end_s = time.monotonic() + self.settings.deadline_s + self._frontend.body_timeout_s
        with self._lock, suppress(RuntimeApiError):
            self._count_last_responses(end_s)
        self._process.stop(max(0.0, end_s - time.monotonic()))
        return self._stop_writing(keep_file)

    def _count_last_responses(self, end_s: float) -> None:
        """Has HAProxy stop, and counts what it still answers: its counters go with it. Raises RuntimeApiError."""
        self._runtime.connect()
        try:
            self._process.request_stop()
            while time.monotonic() < end_s:
                self._synchronizer.update(self._runtime.stats(), time.monotonic())
                if not any(predictor.load for predictor in self.balancer.predictors.values()):
                    return
                gevent.sleep(SYNC_INTERVAL_S)
        finally:
            self._runtime.disconnect()

    def _start(self, previous: "HAProxyEngine | None") -> None:
        if previous is None:
            self.recall(self._state.memory)
        down = self._probe_once()
        if previous is not None:
            self._inherit_drains(previous)
        self._run(down)
        self._take_over_file(previous)
        if previous is not None:
            self._inherit_drains(previous)  # those of the meantime; from here to the end nothing waits
        self._writer.start()
        self._loops = [gevent.spawn(self._synchronize_forever), gevent.spawn(self._resolve_forever)]
        self._log_in_service(previous)
        self._publish()

    def _run(self, down: Iterable[str]) -> None:
        """Starts HAProxy with all that is known of its predictors. Raises EngineError."""
        topology, unresolved = self._addresses.resolved()
        options = ProxyOptions(
            bind=f"fd@{self._frontend.public.fileno()}",
            sample=self._sample(),
            sample_socket=self._process.sample_socket,
            runtime_socket=self._process.runtime_socket,
            deadline_s=self.settings.deadline_s,
            resend=self.settings.resend,
            body_limit_bytes=self._frontend.body_limit_bytes,
            body_timeout_s=self._frontend.body_timeout_s,
            unresolved=unresolved,
            weights=self._synchronizer.restart(time.monotonic()),
        )
        text, variables = configuration(topology, options), header_variables(self._server)
        self._process.start(text, self._frontend.public.fileno(), variables)
        self._wait_until_ready()
        health = [f"set server pool/{name} health down" for name in down]
        try:
            self._runtime.execute([*health, *self._synchronizer.commands(time.monotonic())])
            self._synchronizer.confirm()
        except RuntimeApiError as error:
            raise EngineError(str(error)) from error

    def _sample(self) -> Path | None:
        """Returns the file that is sent for GET: the rig's own, or the payload; None: GET is passed on."""
        if self._server.payload is not None:
            return self._process.store("payload", self._server.payload)
        return self._frontend.sample if self._server.file is None else None

    def _wait_until_ready(self) -> None:
        end_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                self._runtime.stats()
                return
            except RuntimeApiError as error:
                if not self._process.running():
                    raise EngineError("HAProxy ended as soon as it was started") from error
                if time.monotonic() > end_s:
                    raise EngineError(str(error)) from error
            gevent.sleep(0.01)

    def _synchronize_forever(self) -> None:
        warned = False
        while True:
            try:
                self._synchronize()
                warned = False
            except RuntimeApiError as error:
                if not self._process.ended_within(END_NOTICED_S) and not warned:
                    warned = True
                    warning(f"{error}; it goes on by itself")
            if not self._process.running():  # or without its guard, and so not sure to end with this router
                self._restart()
            gevent.sleep(SYNC_INTERVAL_S)

    def _resolve_forever(self) -> None:
        """Looks up again and again who is down and has a host name."""
        while True:
            gevent.sleep(RESOLVE_INTERVAL_S)
            found = self._addresses.find([p.name for p in self.balancer.predictors.values() if not p.up])
            if found:
                with self._lock, suppress(RuntimeApiError):  # tried again
                    self._addresses.apply(self._runtime, found)

    def _synchronize(self) -> None:
        """Has the balancer follow what HAProxy did, then HAProxy and the file follow the balancer."""
        with self._lock:
            self._silent = True  # until it has answered
            self._synchronizer.update(self._runtime.stats(), time.monotonic())
            self._publish()
            self._runtime.execute(self._synchronizer.commands(time.monotonic()))
            self._synchronizer.confirm()
            self._silent = False

    def _follow_balancer(self) -> None:
        """Synchronizes, but a HAProxy that is silent no more than the loop does: no caller is to queue for it."""
        with self._lock, suppress(RuntimeApiError):  # the loop logs it, and tries again
            if not self._silent:
                self._synchronize()

    def _restart(self) -> None:
        warning("HAProxy has ended by itself; it is started again")
        self._process.stop(0)
        try:
            self._process = HAProxyProcess(self._frontend.haproxy, self._frontend.life)
            self._runtime = RuntimeApi(self._process.runtime_socket, self._server.health)
            self._run([p.name for p in self.balancer.predictors.values() if not p.up])
        except EngineError as error:
            warning(f"{error}; tried again in a moment")
            gevent.sleep(1.0)
