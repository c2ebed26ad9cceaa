"""A topology in service, whichever program carries its requests: its balancer, its counters and its live file."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import gevent

from routing import topology as topology_file
from routing.balancer import Balancer, Rules
from routing.counters import Traffic
from routing.logs import say, tell_change, warn
from routing.snapshot import picture
from routing.state_file import StateFile
from routing.state_writer import PacedWriter


@dataclass(frozen=True)
class Settings:
    """What the command line decides besides the topology; times in seconds."""

    threshold: int
    deadline_s: float = 10.0
    hold_down_s: float = 5.0
    resend: bool = True


class EngineError(Exception):
    """The engine cannot be started; the text says why in one line."""


class InService(ABC):
    """What every engine of the router is, from its opening to `close`."""

    engine: ClassVar[str]
    """Its name on the command line."""

    def __init__(
        self, topology: topology_file.Topology, state: StateFile, settings: Settings, previous: Self | None
    ) -> None:
        self.topology = topology
        self.settings = settings
        self.balancer = Balancer(topology, time.monotonic(), Rules(hold_down_s=settings.hold_down_s))
        self._traffic: Traffic = self._new_traffic() if previous is None else previous._traffic
        self._since_s = time.time()
        self._state = state
        self._writer = PacedWriter(self._write_state)

    @staticmethod
    def _take(path: Path, settings: Settings, previous: "InService | None") -> tuple[topology_file.Topology, StateFile]:
        """Read the topology file and make it ours, or take it over from `previous`.

        Raises TopologyError or StateFileError.
        """
        if previous is not None and previous.topology.path == path:
            return topology_file.read(path, settings.threshold, previous.topology.text), previous._state
        state = StateFile(path, warn)
        try:
            topology = topology_file.read(path, settings.threshold, state.unrestored)
        except topology_file.TopologyError:
            state.give_up()
            raise
        state.begin(topology.text)
        return topology, state

    @property
    @abstractmethod
    def refused(self) -> Mapping[str, int]:
        """Requests that got no predictor's answer since this topology came in, by reason."""

    @abstractmethod
    def drain(self, name: str) -> None:
        """Give the predictor nothing new; KeyError if unknown."""

    @abstractmethod
    def ready(self, name: str) -> None:
        """Put a drained predictor back; KeyError if unknown."""

    @abstractmethod
    def retire(self, keep_file: bool) -> None:
        """Let the requests in flight end, then stop; the file is restored unless a successor has taken it over."""

    @abstractmethod
    def close(self, keep_file: bool = False) -> bool:
        """Stop, and put the file back to its initial state unless it is kept; the return says whether it is back."""

    def picture(self) -> dict[str, Any]:
        """Return the whole state as JSON objects."""
        return picture(self.topology, self.balancer, self.refused, self._since_s)

    def traffic(self) -> Traffic:
        """Return the counters since the first topology came into service."""
        return self._traffic

    def _new_traffic(self) -> Traffic:
        return Traffic()

    def _take_over_file(self, previous: "InService | None") -> None:
        """From here on this one writes the file."""
        if previous is not None and previous._state is self._state:
            previous._writer.stop()
        self._write_state()

    def _announce(self, previous: "InService | None") -> None:
        """Say what has come into service, before the first events in it."""
        name, threshold = self.topology.name, self.settings.threshold
        if previous is None:
            text = f"topology {name} ({self.topology.path}), engine {self.engine}"
        else:
            same = previous.topology.path == self.topology.path
            text = f"topology {name}{' as before' if same else f', was {previous.topology.name}'}"
            if threshold != previous.settings.threshold:
                text = f"node_threshold {threshold}, was {previous.settings.threshold}; {text}"
        say(text, "topology", topology=name, file=str(self.topology.path), node_threshold=threshold)

    def _changed(self) -> None:
        """After every step of the balancer: tell its events, and have the file follow."""
        self._writer.load_changed()
        events = self.balancer.take_fresh_events()
        if events:
            self._writer.status_changed()
            for event in events:
                self._traffic.events[event.predictor, event.event] += 1
                tell_change(event.event, event.predictor, event.reason)

    def _stop_writing(self, keep_file: bool) -> bool:
        self._writer.stop()
        return not keep_file and self._state.restore()

    def _write_state(self) -> None:
        states = {name: (p.in_rotation, p.load) for name, p in self.balancer.predictors.items()}
        gevent.get_hub().threadpool.apply(self._state.write, (states,))


AnyEngine = TypeVar("AnyEngine", bound=InService)

Opener = Callable[[Path, Settings, AnyEngine | None], AnyEngine]
"""Opens an engine on a topology file, to follow another or none; raises TopologyError, StateFileError, EngineError."""
