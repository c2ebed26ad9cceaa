"""Who is full or answers nothing, judged by its answers beside the others': by health checks alone both look well.

Pure, as the balancer, which decides what follows.
"""

from collections.abc import Iterable

from routing.rotation import Predictor, Rotation
from routing.spells import BusySpell, patience_s


class Doubts:
    """What the answers of those in rotation tell against them."""

    def __init__(self, rotation: Rotation) -> None:
        self._rotation = rotation
        self._busy: set[Predictor] = set()  # whose busy answers weigh

    def note_good(self, predictor: Predictor, now: float, took_s: float) -> None:
        """Notes a good answer, which ends all doubts."""
        predictor.answer_times.note(now, took_s)
        if predictor.busy.answers or predictor.suspect_since_s is not None:
            self.clear(predictor)

    def note_busy(self, predictor: Predictor, now: float) -> None:
        """Notes an answer that says busy: for a moment it weighs like a request in flight."""
        predictor.busy.note(now, predictor.entry.capacity)
        self._busy.add(predictor)
        self._rotation.reweigh(predictor)

    def clear(self, predictor: Predictor) -> None:
        """Has nothing against the predictor any more."""
        predictor.busy, predictor.suspect_since_s = BusySpell(), None
        self._busy.discard(predictor)
        self._rotation.reweigh(predictor)

    def let_weights_go(self, now: float) -> None:
        """Ends the weight of busy answers that are no longer of the last moment."""
        if self._busy:
            for predictor in [p for p in self._busy if p.busy.expire(now)]:
                self._busy.remove(predictor)
                self._rotation.reweigh(predictor)

    def all_full(self, now: float) -> bool:
        """Whether everybody in rotation is at capacity, or has said busy a moment ago."""
        self.let_weights_go(now)
        return all(p.busy.weight or p.load >= p.entry.capacity for p in self._rotation)

    def only_busy(self, predictor: Predictor, answers: int) -> bool:
        """Whether it has said busy so often and nothing else, though others answer and it holds nothing from before."""
        spell, oldest_s = predictor.busy, predictor.oldest_s
        holds = oldest_s is not None and oldest_s <= spell.since_s
        return spell.answers >= answers and not holds and self._others_answer(predictor, spell.since_s)

    def suspects(self, now: float) -> dict[str, float]:
        """Returns who is suspected of a stall, since when: it answers nothing for too long, though others do."""
        for predictor in self._rotation:
            since_s = predictor.silent_since_s
            if predictor.suspect_since_s is None and since_s is not None and self._too_long(predictor, since_s, now):
                predictor.suspect_since_s = since_s
                self._rotation.reweigh(predictor)
        return {p.name: p.suspect_since_s for p in self._rotation if p.suspect_since_s is not None}

    def _too_long(self, predictor: Predictor, since_s: float, now: float) -> bool:
        return now - since_s > self.patience_s(predictor, now) and self._others_answer(predictor, since_s)

    def patience_s(self, predictor: Predictor, now: float) -> float:
        """Returns how long it may take, by its slowest good answer of the last minute, or the others'."""
        own_s = predictor.answer_times.slowest_s(now)
        known_s: Iterable[float | None] = [own_s] if own_s else [p.answer_times.slowest_s(now) for p in self._rotation]
        return patience_s(max(slowest_s or 0.0 for slowest_s in known_s))

    def _others_answer(self, predictor: Predictor, since_s: float) -> bool:
        return any(p.answer_times.last_s > since_s for p in self._rotation if p is not predictor)
