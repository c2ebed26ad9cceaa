"""Which predictors are in rotation, and which of them is the least loaded. Pure and atomic, as the balancer."""

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf

from routing.spells import AnswerTimes, BusySpell
from routing.topology import Entry

SPARE_HEAP_ENTRIES = 64
SUSPECTS_WEIGHT = 1_000_000
"""More than any load: a suspect is chosen where no other has a free slot."""


class Found(Enum):
    """What a failed health check, or request, found of a predictor's process."""

    NOTHING = auto()
    """No connection could be made: as far as one can tell, no process is there."""
    LOADING = auto()
    """It says that it cannot serve yet."""
    SILENT = auto()
    """No answer came."""
    WRONG = auto()
    """Its answer says that it does not work."""


@dataclass(eq=False)
class Predictor:
    """One predictor's live state."""

    entry: Entry
    chosen: int
    """When it was last chosen, as a serial number: ties go to the smallest."""
    load: int = 0
    peak_load: int = 0
    served: int = 0
    failed: int = 0
    up: bool = True
    drained: bool = False
    in_rotation: bool = False
    promoted_for: str | None = None
    wanted: bool = False
    """Whether a cold standby is to be started."""
    loading: bool = False
    """Whether it runs and says that it cannot serve yet, or has been silent since it said so."""
    unwell: bool = False
    """Whether it failed, and is not known to have ended since."""
    errors: int = 0
    pending_failures: int = 0
    """Failed answers whose blame is not known yet; each weighs like a request in flight."""
    busy: BusySpell = field(default_factory=BusySpell)
    busy_at: int | None = None
    """The load at which it last said busy: all that it takes, until it is seen to take more."""
    answer_times: AnswerTimes = field(default_factory=AnswerTimes)
    suspect_since_s: float | None = None
    """Since when it has answered nothing, though others have: it is suspected of a stall."""
    slots: dict["Slot", None] = field(default_factory=dict)
    """Its requests in flight, the oldest first."""
    changed_at_s: float = -inf
    returned_at_s: float = -inf
    not_before_s: float = -inf

    @property
    def name(self) -> str:
        """The entry's name."""
        return self.entry.name

    @property
    def available(self) -> bool:
        """Whether it could serve: healthy and not drained."""
        return self.up and not self.drained

    @property
    def weight(self) -> int:
        """What it is chosen by, the least first."""
        suspects = 0 if self.suspect_since_s is None else SUSPECTS_WEIGHT
        return self.load + self.pending_failures + self.busy.weight + suspects

    @property
    def room(self) -> int:
        """The most requests in flight that it is known to take."""
        capacity = self.entry.capacity
        return capacity if self.busy_at is None else min(self.busy_at, capacity)

    @property
    def oldest_s(self) -> float | None:
        """Since when its oldest request in flight has been there."""
        return next((slot.since_s for slot in self.slots), None)

    @property
    def silent_since_s(self) -> float | None:
        """Since when it has had requests and answered none well; None while it has none."""
        return None if self.oldest_s is None else max(self.oldest_s, self.answer_times.last_s)

    @property
    def waits(self) -> bool:
        """Whether it is a standby that could be promoted."""
        return self.entry.role.is_backup and self.available and not self.in_rotation

    @property
    def startable(self) -> bool:
        """Whether it is a cold standby that can be wanted: it does not run, or loads, and no operator keeps it out."""
        return self.entry.cold and not (self.up or self.unwell or self.drained)

    @property
    def state(self) -> str:
        """One word for people: serving, standby, down, draining or drained; of a cold standby cold, wanted, loading."""
        if self.drained:
            return "draining" if self.load else "drained"
        if self.up:
            return "serving" if self.in_rotation else "standby"
        if self.unwell or not self.entry.cold:
            return "down"
        if self.loading:
            return "loading"
        return "wanted" if self.wanted else "cold"


@dataclass(eq=False, slots=True)
class Slot:
    """A reserved slot of a predictor: one request in flight. Released exactly once."""

    predictor: Predictor
    since_s: float
    held: bool = True


_HeapEntry = tuple[int, int, Predictor]
"""A predictor's weight and `chosen` when either last changed, and itself; stale once they are others."""


class Rotation:
    """The predictors that get requests, as a heap: the least loaded is found in O(log n), stale entries are skipped."""

    def __init__(self) -> None:
        self._members: set[Predictor] = set()
        self._heap: list[_HeapEntry] = []
        self._chosen = 0

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Predictor]:
        return iter(self._members)

    def add(self, predictor: Predictor) -> None:
        """Lets the predictor get requests."""
        self._members.add(predictor)
        self._push(predictor)

    def remove(self, predictor: Predictor) -> None:
        """Gives the predictor nothing new; what it has in flight goes on counting."""
        self._members.discard(predictor)

    def reserve(self, predictor: Predictor) -> None:
        """Counts one more request in flight, and puts the predictor last among those of equal load."""
        self._chosen += 1
        predictor.chosen = self._chosen
        predictor.load += 1
        if predictor.load > predictor.peak_load:
            predictor.peak_load = predictor.load
        self._push(predictor)

    def release(self, predictor: Predictor) -> None:
        """Counts one request in flight less, in or out of rotation."""
        predictor.load -= 1
        self._push(predictor)

    def add_pending_failures(self, predictor: Predictor, count: int) -> None:
        """Counts failed answers whose blame is not known yet, or no longer."""
        predictor.pending_failures += count
        self._push(predictor)

    def reweigh(self, predictor: Predictor) -> None:
        """Follows a change of the predictor's weight."""
        self._push(predictor)

    def least_loaded(self, tried: Collection[str] = ()) -> Predictor | None:
        """Returns the least loaded member with a free slot, not in `tried`; among equals the longest unchosen."""
        skipped = []
        found = None
        while self._heap:
            entry = self._heap[0]
            if self._is_current(entry):
                if not tried or entry[2].name not in tried:
                    found = entry[2]
                    break
                skipped.append(entry)
            heapq.heappop(self._heap)
        for entry in skipped:
            heapq.heappush(self._heap, entry)
        return found

    def _is_current(self, entry: _HeapEntry) -> bool:
        weight, chosen, predictor = entry
        same = chosen == predictor.chosen and weight == predictor.weight
        return same and predictor in self._members and predictor.load < predictor.entry.capacity

    def _push(self, predictor: Predictor) -> None:
        if predictor not in self._members or predictor.load >= predictor.entry.capacity:
            return
        heapq.heappush(self._heap, (predictor.weight, predictor.chosen, predictor))
        if len(self._heap) > 4 * len(self._members) + SPARE_HEAP_ENTRIES:
            with_free_slot = (p for p in self._members if p.load < p.entry.capacity)
            self._heap = [(p.weight, p.chosen, p) for p in with_free_slot]
            heapq.heapify(self._heap)
