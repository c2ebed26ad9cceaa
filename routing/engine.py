"""The contract of an engine, and what every engine has: a topology in service, its balancer, counters and live file."""

import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import gevent

from json_files import JsonFileError
from routing import logs, memory
from routing import topology as topology_file
from routing.counters import REASONS, REFUSALS, Counters, RefusalEpisodes
from routing.events import EVENTS_KEPT, Event
from routing.health import probe_all
from routing.proofs import Proofs
from routing.remembering import RememberingBalancer
from routing.rotation import Predictor
from routing.state_file import StateFile, StateFileError
from routing.state_writer import StateWriter
from routing.topology import Topology
from routing.upstream.client import Upstream
from routing.upstream.errors import UpstreamError
from server_file import OWN, Server


@dataclass(frozen=True)
class EngineSettings:
    """What is decided besides the topology, by the command line as a rule; times in seconds."""

    threshold: int
    deadline_s: float = 10.0
    hold_down_s: float = 5.0
    resend: bool = True
    server: Server = OWN
    holder: int | None = None
    """The process to stop for another router to start on the topology: this one, or its supervisor."""


class EngineError(Exception):
    """The engine cannot be started; the text says why in one line."""


OPEN_ERRORS = (JsonFileError, StateFileError, EngineError)
"""Why an engine may not open."""


class Engine(ABC):
    """A topology in service, whichever program carries its requests, from its opening to `close`."""

    name: ClassVar[str]
    """Its name on the command line."""
    refused: Counter[str]
    """Requests that got no predictor's response since this topology came into service, by reason."""

    def __init__(
        self,
        topology: Topology,
        state: StateFile,
        settings: EngineSettings,
        previous: "Engine | None",
        counters: Counters,
    ) -> None:
        self.topology = topology
        self.described = self.name
        self.settings = settings
        now = time.monotonic()
        self.balancer = RememberingBalancer(topology, now, settings.hold_down_s, deadline_s=settings.deadline_s)
        self.counters: Counters = counters if previous is None else previous.counters
        """Since the process started: a change of topology does not reset them."""
        self._resends_before = self.counters.resends.copy()  # `served` and `failed` begin with the topology too
        self._upstreams = {entry.name: Upstream(entry) for entry in topology.entries}
        self._proofs = Proofs(self._upstreams, settings.deadline_s)
        if previous is not None:
            self._inherit_answers(previous)
        self._since_s = time.time()
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._refusals = RefusalEpisodes(settings.hold_down_s)
        self._state = state
        self._hurried = False
        self._remembered: dict[str, Any] = {}
        self.on_order: Callable[[str, str], None] | None = None
        """Has a successor follow an order (drain, ready) and its predictor."""
        self._writer = StateWriter(self._write_state, self._keep_memory)

    @abstractmethod
    def retire(self, keep_file: bool) -> bool:
        """Closes once the requests in flight have ended; a successor receives the new ones."""

    @abstractmethod
    def close(self, keep_file: bool = False) -> bool:
        """Stops, and restores the file unless a successor has it; returns whether it is back in its initial state."""

    def hurry(self) -> None:
        """Has `retire` and `close` wait for no request any more."""
        self._hurried = True

    @abstractmethod
    def leave(self) -> None:
        """Leaves the file and the new requests to another process; those in flight go on until `close`."""

    def follow_drains(self, drained: Collection[str]) -> None:
        """Has these predictors drained, and no others."""
        for name, predictor in self.balancer.predictors.items():
            if predictor.drained != (name in drained):
                (self.ready if predictor.drained else self.drain)(name)

    def drained(self) -> list[str]:
        """Returns who is drained, by name."""
        return [name for name, predictor in self.balancer.predictors.items() if predictor.drained]

    def follow_in_flight(self, begin: Callable[[str, bool], Callable[[], None]]) -> dict[str, int]:
        """Tells of the requests that this process has in flight; none where another program carries them."""
        return {}

    def reserve_at(self, name: str) -> Callable[[], None]:
        """Counts a request that is in flight elsewhere at this predictor; returns what ends it. KeyError if unknown."""
        slot = self.balancer.reserve_at(name, time.monotonic())
        self._publish()

        def release() -> None:
            self.balancer.release(slot, time.monotonic())
            self._publish()

        return release

    def counted_since_leaving(self) -> dict[str, Any]:
        """Returns what was counted since `leave`, for the successor's `add_counted`."""
        counts = ("refused", "counters", "predictors")
        now, before = self.remember(), self._remembered
        return {name: memory.difference(now[name], before[name]) for name in counts}

    def add_counted(self, told: dict[str, Any]) -> None:
        """Adds what a predecessor has counted after it left."""
        self.refused.update(memory.as_counts(told.get("refused")))
        self.counters.add(told.get("counters"))
        for name, counts in memory.as_dict(told.get("predictors")).items():
            if name in self.balancer.predictors:
                counted = memory.as_counts(counts)
                self.balancer.add_counts(name, counted["served"], counted["failed"], 0, time.monotonic())
        self._publish()

    def remember(self) -> dict[str, Any]:
        """Returns as JSON objects what another router needs to go on from here, after a crash or a hand-over."""
        return {
            **self.balancer.remember(),
            "since": self._since_s,
            "refused": dict(self.refused),
            "resends_before": dict(self._resends_before),
            "counters": self.counters.remember(),
            "events": list(self._events),
        }

    def recall(self, told: dict[str, Any]) -> None:
        """Goes on where another router was when it remembered this; before this engine has begun."""
        self.balancer.recall(told, time.monotonic())
        self._since_s = told["since"] if isinstance(told.get("since"), float) else self._since_s
        self.refused.update(memory.as_counts(told.get("refused")))
        self._refusals.begun(self.refused, time.monotonic())  # those have been told
        self._resends_before.update(memory.as_counts(told.get("resends_before")))
        self.counters.add(told.get("counters"))
        self._events.extend(event for event in memory.as_list(told.get("events")) if isinstance(event, dict))

    def drain(self, name: str) -> None:
        """Gives the predictor nothing new; KeyError if unknown."""
        self.balancer.drain(name, time.monotonic())  # at once: a successor may be about to inherit it
        self._follow_balancer()
        self._make_lasting("drain", name)

    def ready(self, name: str) -> None:
        """Puts a drained predictor back; KeyError if unknown."""
        self.balancer.ready(name, time.monotonic())
        self._follow_balancer()
        self._make_lasting("ready", name)

    def _make_lasting(self, order: str, name: str) -> None:
        """Has an order outlast this process before it is confirmed."""
        if self.on_order is None:
            self._writer.remember_now()
        else:
            self.on_order(order, name)

    def snapshot(self) -> dict[str, Any]:
        """Returns the whole state as JSON objects: the body of GET /topology.

        `topology`, `file`, `since` (epoch seconds), `predictors` (by name, in file order), `refused` (by reason) and
        `events` (oldest first, those under earlier topologies too: time in epoch seconds, event, predictor or "",
        reason).
        """
        self._publish()  # what has just happened is among the events
        return {
            "topology": self.topology.name,
            "file": str(self.topology.path),
            "since": round(self._since_s, 3),
            "predictors": {name: self._predictor_state(p) for name, p in self.balancer.predictors.items()},
            "refused": {reason: self.refused[reason] for reason in REASONS},
            "events": list(self._events),
        }

    def _predictor_state(self, predictor: Predictor) -> dict[str, Any]:
        entry = predictor.entry
        return {
            "status": predictor.in_rotation,
            "load": predictor.load,
            "port": self.topology.document[entry.name]["port"],
            "host": entry.host,
            "region": entry.region,
            "capacity": entry.capacity,
            "role": entry.role.value,
            "standby": predictor.entry.kind_of_standby,
            "state": predictor.state,
            "wanted": predictor.wanted,
            "up": predictor.up,
            "served": predictor.served,
            "failed": predictor.failed,
            "resent": self.counters.resends[entry.name] - self._resends_before[entry.name],
            "peak_load": predictor.peak_load,
        }

    @staticmethod
    def _claim_file(path: Path, settings: EngineSettings, previous: "Engine | None") -> tuple[Topology, StateFile]:
        """Reads and locks the topology file, or shares it with `previous`; raises JsonFileError or StateFileError."""
        if previous is not None and previous.topology.path == path:
            text, state = previous.topology.text, previous._state
            return topology_file.read(path, settings.threshold, text, settings.server), state
        state = StateFile(path, logs.warning, settings.holder)
        try:
            topology = topology_file.read(path, settings.threshold, state.pending_initial, settings.server)
        except JsonFileError:
            state.release()
            raise
        state.begin(topology.text)
        return topology, state

    def _probe_once(self) -> list[str]:
        """Probes all predictors once, with the payload too, and has the balancer know; returns who is not up.

        Who serves well under the previous topology need not prove it, and may be too busy to pass a check.
        """
        serving = {
            name for name, each in self._upstreams.items() if self._serves(name, 2 * each.server.health_interval_s)
        }
        failed = probe_all(self._upstreams)
        failures = {name: each for name, each in failed.items() if not (each.may_be_busy and name in serving)}
        failures |= self._proofs.failures([name for name in self._upstreams if name not in {*failures, *serving}])
        for name in self._upstreams.keys() - failures.keys():
            self.balancer.readmit(name, time.monotonic())  # a cold standby may run
        for name, failure in failures.items():
            self._eject(name, failure)
        return list(failures)

    def _eject(self, name: str, failure: UpstreamError) -> None:
        """Has the balancer know that a health check failed."""
        self.balancer.eject(name, time.monotonic(), str(failure), failure.found)

    def _serves(self, name: str, within_s: float) -> bool:
        """Whether it has answered a prediction well so lately."""
        return time.monotonic() - self.balancer.predictors[name].answer_times.last_s <= within_s

    def _inherit_answers(self, previous: "Engine") -> None:
        """Knows how predictors that serve in both topologies have answered."""
        known = {_asked_at(each): each.answer_times for each in previous.balancer.predictors.values() if each.up}
        for predictor in self.balancer.predictors.values():
            predictor.answer_times = known.get(_asked_at(predictor), predictor.answer_times)

    def _take_over_file(self, previous: "Engine | None") -> None:
        """Writes the file from here on."""
        if previous is not None and previous._state is self._state:
            previous._writer.stop()
        self._write_state()

    def _inherit_drains(self, previous: "Engine") -> None:
        """Applies an operator's drains to predictors of both topologies."""
        now = time.monotonic()
        drained = {p.entry.address for p in previous.balancer.predictors.values() if p.drained}
        for entry in self.topology.entries:
            apply = self.balancer.drain if entry.address in drained else self.balancer.ready
            apply(entry.name, now)

    def _log_in_service(self, previous: "Engine | None") -> None:
        """Logs what has come into service, before the first events in it; those before it are kept."""
        name, threshold = self.topology.name, self.settings.threshold
        if previous is None:
            text = f"topology {name} ({self.topology.path}), engine {self.described}"
            if self.settings.server.file is not None:
                text += f", predictors as in {self.settings.server.file}"
        else:
            same = previous.topology.path == self.topology.path
            text = f"topology {name}{' as before' if same else f', was {previous.topology.name}'}"
            if threshold != previous.settings.threshold:
                text = f"node_threshold {threshold}, was {previous.settings.threshold}; {text}"
            self._events = previous._events.copy()  # the previous engine, which may live on for a while, has its own
            self._keep_event(self._since_s, "topology", "", _change_in_words(previous, self))
        logs.info(text, "topology", topology=name, file=str(self.topology.path), node_threshold=threshold)

    def _follow_balancer(self) -> None:
        """Has everything else follow a change in the balancer."""
        self._publish()

    def _publish(self) -> None:
        """Has the file follow, and logs and counts what is new: after every step of the balancer, so at little cost."""
        self._writer.load_changed()
        if events := self.balancer.pop_new_events():
            self._writer.status_changed()
            self._tell(events)
        for refusal in self._refusals.begun(self.refused, time.monotonic()):
            reason = f"{refusal}: {REFUSALS[refusal]}"
            logs.info(f"refused: {reason}", "refused", reason=reason)
            self._keep_event(time.time(), "refused", "", reason)

    def _tell(self, events: list[Event]) -> None:
        clock_began_s = time.time() - time.monotonic()
        for time_s, event, predictor, reason in events:
            self.counters.events[predictor, event] += 1
            logs.log_change(event, predictor, reason)
            self._keep_event(clock_began_s + time_s, event, predictor, reason)

    def _keep_event(self, epoch_s: float, event: str, predictor: str, reason: str) -> None:
        self._events.append({"time": round(epoch_s, 6), "event": event, "predictor": predictor, "reason": reason})

    def _stop_writing(self, keep_file: bool) -> bool:
        self._writer.stop()
        return not keep_file and self._state.restore()

    def announce_stop(self, grace_s: float) -> None:
        """Lets another router start on the file, and wait for this one's end, which is no further away than this."""
        self._writer.write_now(lambda: _in_thread(self._state.announce_stop, grace_s))

    def _leave_file(self) -> None:
        """Writes no more, and lets another process have the file as it stands, with all that is remembered."""
        self._writer.stop()
        self._keep_memory()
        self._state.hand_over()

    def _keep_memory(self) -> None:
        told = self.remember()
        if told != self._remembered:
            _in_thread(self._state.remember, told)
            self._remembered = told

    def _write_state(self) -> None:
        states = {name: (p.in_rotation, p.load) for name, p in self.balancer.predictors.items()}
        _in_thread(self._state.write, states)


def _in_thread(call: Callable[..., object], *arguments: object) -> None:
    """Calls what may wait for a disk, while all else goes on."""
    gevent.get_hub().threadpool.apply(call, arguments)


def _asked_at(predictor: Predictor) -> tuple[tuple[str, int], str]:
    return predictor.entry.address, predictor.entry.server.path


def _change_in_words(old: Engine, new: Engine) -> str:
    """What changed from one engine to the next: the topology, the threshold or both."""
    changes = [f"changed from {old.topology.name} to {new.topology.name}"]
    if old.topology.path == new.topology.path:
        changes = [f"{new.topology.name} as before"]
    if old.settings.threshold != new.settings.threshold:
        changes.append(f"node_threshold changed from {old.settings.threshold} to {new.settings.threshold}")
    return "; ".join(changes)


AnyEngine = TypeVar("AnyEngine", bound=Engine)

Opener = Callable[[Path, EngineSettings, AnyEngine | None], AnyEngine]
"""Opens an engine on a topology file, to follow another or none; raises OPEN_ERRORS."""
