"""HAProxy as the router's engine: a child that carries the requests, directed over its Runtime API."""

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import gevent
from gevent.lock import RLock

from routing import memory
from routing.counters import Counters
from routing.engine import Engine, EngineError, EngineSettings
from routing.haproxy.addresses import Addresses
from routing.haproxy.configuration import ProxyOptions, configuration, header_variables, why_inexpressible
from routing.haproxy.process import HAProxyProcess
from routing.haproxy.runtime import RuntimeApi, RuntimeApiError, Stats
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

LAST_REQUEST_S = 5.0
"""A client's open connection stays with a retiring HAProxy for its next request, but no longer than this."""


@dataclass(frozen=True)
class FrontendConfig:
    """What every HAProxy of this router has in common."""

    haproxy: str
    """The program's path."""
    version: str
    public: socket.socket
    """It listens from one HAProxy to the next, so that no client is turned away in between."""
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
        self.described = f"{self.name} {frontend.version} ({frontend.haproxy})"
        self._server = topology.entries[0].server  # as to path and health they are all alike
        self._synchronizer = Synchronizer(self.balancer, self.counters, self._proofs.is_proven)
        self.refused = self._synchronizer.refused
        self._addresses = Addresses(topology, self._upstreams)
        self._lock = RLock()  # one synchronization or change at a time
        self._silent = False
        self._process = HAProxyProcess(frontend.haproxy, frontend.life)
        self._runtime = RuntimeApi(self._process.runtime_socket, self._server.health)
        self._loops: list[gevent.Greenlet[[], None]] = []
        self._ending: list[gevent.Greenlet[..., None]] = []
        """One for each HAProxy of an earlier router that ends what it has."""
        self._left = False

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
        """Accepts no new connections, and retires; one that has left has nothing to end."""
        if self._left:
            return self._stop_writing(keep_file=True)
        self._frontend.public.listen(0)  # the kernel completes no more of them
        gevent.sleep(LAST_ACCEPTS_S)
        self._frontend.public.close()
        return self._end(keep_file, idle_s=0.0)

    def leave(self) -> None:
        """Leaves HAProxy, which serves on, and the file to another router."""
        gevent.killall([*self._loops, *self._ending])
        self._proofs.stop()
        with self._lock, suppress(RuntimeApiError):
            self._synchronizer.update(self._runtime.stats(), time.monotonic())
        self._publish()
        self._left = True
        self._leave_file()

    def remember(self) -> dict[str, Any]:
        """Returns as JSON objects what another router needs to go on from here, with this HAProxy."""
        left = {"folder": self._process.folder.path.name, "counted": self._synchronizer.counted.remember()}
        return {**super().remember(), "haproxy": left}

    def retire(self, keep_file: bool) -> bool:
        """Stops HAProxy once its requests in flight have ended, and restores the file unless a successor has it.

        An open connection has its next request answered, and is closed with it: its client may be sending it just now.
        """
        return self._end(keep_file, LAST_REQUEST_S)

    def _end(self, keep_file: bool, idle_s: float) -> bool:
        gevent.killall(self._loops)
        self._proofs.stop()
        end_s = self._last_answer_s()
        with self._lock, suppress(RuntimeApiError):
            self._count_last_responses(self._process, self._runtime, self._synchronizer.update, idle_s)
            end_s = 0.0  # nothing is left to wait for
        self._process.stop(0.0 if self._hurried else max(0.0, end_s - time.monotonic()))
        gevent.joinall(self._ending)
        return self._stop_writing(keep_file)

    def _last_answer_s(self) -> float:
        """When the last request that HAProxy has now is answered."""
        return time.monotonic() + self.settings.deadline_s + self._frontend.body_timeout_s

    def _count_last_responses(
        self, process: HAProxyProcess, runtime: RuntimeApi, count: Callable[[Stats, float], None], idle_s: float
    ) -> None:
        """Has HAProxy stop, and counts what it still answers: its counters go with it. Raises RuntimeApiError.

        Connections without a request may stay for `idle_s`.
        """
        idle_end_s, end_s = time.monotonic() + idle_s, self._last_answer_s()
        runtime.connect()
        try:
            process.request_stop()
            while (now := time.monotonic()) < end_s and not self._hurried:
                count(runtime.stats(), now)
                if not (runtime.has_clients() if now < idle_end_s else runtime.has_requests()):
                    return
                gevent.sleep(SYNC_INTERVAL_S)
        finally:
            runtime.disconnect()

    def _start(self, previous: "HAProxyEngine | None") -> None:
        if previous is None:
            self.recall(self._state.memory)
        others = self._left_behind() if previous is None else []
        if not any(map(self._adopt, others)):
            down = self._probe_once()
            if previous is not None:
                self._inherit_drains(previous)
            self._run(down)
        self._ending = [gevent.spawn(self._let_end, each) for each in others if each is not self._process]
        self._take_over_file(previous)
        if previous is not None:
            self._inherit_drains(previous)  # those of the meantime; from here to the end nothing waits
        self._writer.start()
        self._loops = [gevent.spawn(self._synchronize_forever), gevent.spawn(self._resolve_forever)]
        self._log_in_service(previous)
        self._publish()

    def _left_behind(self) -> list[HAProxyProcess]:
        """Returns the HAProxys that earlier routers of this one's supervisor have started."""
        life = self._frontend.life
        return [] if life is None else HAProxyProcess.left_behind(self._frontend.haproxy, life)

    def _remembered_of(self, process: HAProxyProcess) -> dict[str, Any]:
        """Returns what the router before this one has remembered of this HAProxy; empty: nothing."""
        told = memory.as_dict(self._state.memory.get("haproxy"))
        return told if told.get("folder") == process.folder.path.name else {}

    def _adopt(self, process: HAProxyProcess) -> bool:
        """Follows an HAProxy that serves already, if it is the one remembered and as this router would start it."""
        told = self._remembered_of(process)
        if not told or not process.runs_by(self._plan()):
            return False
        unused, self._process = self._process, process
        self._runtime = RuntimeApi(process.runtime_socket, self._server.health)
        try:
            stats = self._wait_until_ready()
        except EngineError:
            process.stop(0)
            self._process, self._runtime = unused, RuntimeApi(unused.runtime_socket, self._server.health)
            return False
        unused.stop(0)
        self._addresses.resume({name: server.address for name, server in stats.servers.items()})
        self._synchronizer.resume(Stats.recall(told.get("counted"), stats.servers), stats.weights)
        self._synchronizer.update(stats, time.monotonic())
        return True

    def _let_end(self, process: HAProxyProcess) -> None:
        """Lets an HAProxy end what it has, and counts that, from where another router had counted it."""
        runtime, end_s = RuntimeApi(process.runtime_socket), self._last_answer_s()
        told = self._remembered_of(process).get("counted")
        counted: Stats | None = None

        def count(stats: Stats, now: float) -> None:
            nonlocal counted
            before = counted or (Stats.recall(told, stats.servers) if told else stats)
            self._synchronizer.count(before, stats, now)
            counted = stats

        with suppress(RuntimeApiError):
            self._count_last_responses(process, runtime, count, LAST_REQUEST_S)
            end_s = 0.0
        self._writer.remember_now()  # nobody could count them again
        process.stop(max(0.0, end_s - time.monotonic()))

    def _plan(self) -> bytes:
        """Returns what differs between two HAProxys that must not stand in for each other."""
        text = configuration(self.topology, self._options(""))
        program = [self._frontend.haproxy, Path(self._frontend.haproxy).stat().st_mtime_ns]
        planned = json.dumps([text, header_variables(self._server), program])
        return hashlib.sha256(planned.encode()).hexdigest().encode()

    def _options(self, bind: str, **changing: Any) -> ProxyOptions:
        return ProxyOptions(
            bind=bind,
            deadline_s=self.settings.deadline_s,
            resend=self.settings.resend,
            body_limit_bytes=self._frontend.body_limit_bytes,
            body_timeout_s=self._frontend.body_timeout_s,
            **changing,
        )

    def _run(self, down: Iterable[str]) -> None:
        """Starts HAProxy with all that is known of its predictors. Raises EngineError."""
        topology, unresolved = self._addresses.resolved()
        options = self._options(
            f"fd@{self._frontend.public.fileno()}",
            runtime_socket=self._process.runtime_socket,
            unresolved=unresolved,
            weights=self._synchronizer.restart(time.monotonic()),
        )
        text, variables = configuration(topology, options), header_variables(self._server)
        self._writer.remember_now()  # the next router is to know this HAProxy, whenever this one ends
        self._process.start(text, self._frontend.public.fileno(), variables, self._plan())
        self._wait_until_ready()
        health = [f"set server pool/{name} health down" for name in down]
        try:
            self._runtime.execute([*health, *self._synchronizer.commands(time.monotonic())])
            self._synchronizer.confirm()
        except RuntimeApiError as error:
            raise EngineError(str(error)) from error

    def _wait_until_ready(self) -> Stats:
        end_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                return self._runtime.stats()
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
            if self.settings.resend:  # once a standby's weight is set, so that it has a share
                for name, count in self._synchronizer.movable().items():
                    self._runtime.send_again(name, count)
            self._silent = False

    def _follow_balancer(self) -> None:
        """Synchronizes, but a HAProxy that is silent no more than the loop does: no caller is to queue for it."""
        with self._lock, suppress(RuntimeApiError):  # the loop logs it, and tries again
            if not (self._silent or self._left):
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
