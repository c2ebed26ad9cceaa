"""What happens to one request: it gets a slot, goes to that predictor, and once more to another if that one fails."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import gevent

from routing.balancer import Balancer, RefusedError, Slot
from routing.counters import Traffic
from routing.upstream.client import (
    Answer,
    ConnectionRefused,
    ForwardingError,
    NeverRead,
    NoAnswer,
    NoConnection,
    Request,
    Upstream,
)

MOST_SENT = 2
"""A request that may have run goes to one other predictor at most: it may itself be what brings them down."""

Clock = Callable[[], float]


class TimedOutError(RefusedError):
    """The request's deadline passed."""

    reason = "timeout"


class BadAnswerError(RefusedError):
    """Only unusable answers came."""

    reason = "bad_answer"


class _Moved(gevent.GreenletExit):
    """The predictor was taken out while the request waited on it, and a slot at another is reserved for it."""


class _OutOfTime(ForwardingError):  # noqa: N818
    """The attempt used up its share of the deadline."""


@dataclass(eq=False)
class _Journey:
    """One client's request on its way: where it has been, and what failed there."""

    request: Request
    deadline_s: float
    tried: list[str] = field(default_factory=list)
    sent: int = 0
    failures: list[tuple[str, Answer | ForwardingError]] = field(default_factory=list)


@dataclass(eq=False)
class _Attempt:
    """A request in flight at one predictor; `releases` gives back every slot that counts it."""

    journey: _Journey
    exchange: "gevent.Greenlet[..., Answer | ForwardingError]"
    releases: list[Callable[[], None]]
    moved_to: Slot | None = None


class Relay:
    """Carries requests to the predictors of one topology and tells the balancer what became of them."""

    def __init__(
        self,
        balancer: Balancer,
        upstreams: Mapping[str, Upstream],
        changed: Callable[[], None],
        suspect: Callable[[str], None],
        deadline_s: float = 10.0,
        resend: bool = True,
        clock: Clock = time.monotonic,
        traffic: Traffic | None = None,
    ) -> None:
        self._traffic = traffic or Traffic()
        self.refused: Counter[str] = Counter()
        self._balancer = balancer
        self._upstreams = upstreams
        self._changed = changed
        self._suspect = suspect
        self._deadline_s = deadline_s
        self._most_sent = MOST_SENT if resend else 1
        self._clock = clock
        self._in_flight: dict[str, set[_Attempt]] = {name: set() for name in upstreams}

    def send(self, request: Request) -> Answer:
        """Carry the request until a predictor has answered it.

        Raises RefusedError: saturated, down, timeout or bad_answer.
        """
        start_s = self._clock()
        try:
            answer = self._carry(_Journey(request, start_s + self._deadline_s))
        except RefusedError as error:
            self.refused[error.reason] += 1
            self._traffic.refused[error.reason] += 1
            raise
        self._traffic.count_answer(answer.predictor, answer.status, self._clock() - start_s)
        return answer

    def requests_in_flight(self) -> int:
        """Count the requests that wait on a predictor."""
        return sum(len(attempts) for attempts in self._in_flight.values())

    def move_waiting(self, name: str) -> None:
        """Let the requests that wait on this predictor go to others now, as far as there is room for them."""
        for attempt in list(self._in_flight[name]):
            if attempt.journey.sent >= self._most_sent or attempt.moved_to is not None or attempt.exchange.ready():
                continue
            try:
                attempt.moved_to = self._balancer.choose(self._clock(), attempt.journey.tried)
            except RefusedError:
                continue  # it may still be answered where it is
            attempt.exchange.kill(_Moved, block=False)
        self._changed()

    def hand_over(self, name: str, hold: Callable[[], Callable[[], None]]) -> None:
        """Have every request in flight at this predictor hold a slot of another balancer too, until it ends."""
        for attempt in self._in_flight[name]:
            attempt.releases.append(hold())

    def _carry(self, journey: _Journey) -> Answer:
        slot: Slot | None = self._balancer.choose(self._clock())
        while slot is not None:
            journey.tried.append(slot.predictor.name)
            result = self._attempt(journey, slot)
            if isinstance(result, Answer) and result.status < 500:
                self._judge(journey, blame=True)
                self._balancer.answered(result.predictor)
                return result
            slot = result if isinstance(result, Slot) else self._after_failure(journey, slot, result)
            if slot is not None:
                self._traffic.resends[journey.tried[-1]] += 1
        return self._give_up(journey)

    def _attempt(self, journey: _Journey, slot: Slot) -> Answer | ForwardingError | Slot:
        """Send to the slot's predictor and wait; a Slot means: go there instead. `slot` is given back in any case."""
        name = slot.predictor.name
        exchange = gevent.spawn(self._exchange, name, journey.request, len(journey.tried) > 1)
        attempt = _Attempt(journey, exchange, [partial(self._release, slot)])
        self._in_flight[name].add(attempt)
        journey.sent += 1
        self._changed()
        try:
            result = self._wait(attempt)
        finally:
            self._in_flight[name].discard(attempt)
            for release in attempt.releases:
                release()
            self._changed()
        if isinstance(result, ForwardingError) and not result.sent:
            journey.sent -= 1
        return result

    def _wait(self, attempt: _Attempt) -> Answer | ForwardingError | Slot:
        result: Answer | ForwardingError | _Moved | None = None
        try:
            result = attempt.exchange.get(timeout=self._patience_s(attempt.journey))
        except gevent.Timeout:
            result = _OutOfTime("no answer in time")
        finally:
            if not attempt.exchange.ready():
                attempt.exchange.kill(block=False)
            if attempt.moved_to is not None and not isinstance(result, _Moved):
                self._release(attempt.moved_to)  # it ended by itself before the move reached it
        return attempt.moved_to if attempt.moved_to and isinstance(result, _Moved) else result

    def _release(self, slot: Slot) -> None:
        self._balancer.release(slot, self._clock())

    def _exchange(self, name: str, request: Request, fresh: bool) -> Answer | ForwardingError:
        try:
            return self._upstreams[name].send(request, fresh)
        except ForwardingError as error:
            return error

    def _patience_s(self, journey: _Journey) -> float:
        """How long to wait here: all that is left, or half of it where another predictor could still be asked."""
        left_s = max(0.0, journey.deadline_s - self._clock())
        another = journey.sent < self._most_sent and self._balancer.has_room(self._clock(), journey.tried)
        return left_s / 2 if another else left_s

    def _after_failure(self, journey: _Journey, slot: Slot, result: Answer | ForwardingError) -> Slot | None:
        """Note what failed and reserve a slot at another predictor, if the request may and can go there."""
        name = slot.predictor.name
        if isinstance(result, NoAnswer):
            self._suspect(name)
        if isinstance(result, ConnectionRefused):
            self._balancer.eject(name, self._clock(), str(result))
        elif isinstance(result, NoConnection):
            self._balancer.answer_failed(name, self._clock(), str(result))
        elif isinstance(result, NeverRead) and self._most_sent > 1 and not slot.predictor.up:
            journey.sent -= 1  # it ended with the request unread, so it has not run there
        elif isinstance(result, Answer) or result.sent:
            journey.failures.append((name, result))
            self._balancer.doubt(name)
        now = self._clock()
        if journey.sent >= self._most_sent or now >= journey.deadline_s:
            return None
        try:
            return self._balancer.choose(now, journey.tried)
        except RefusedError:
            if journey.failures:
                return None
            raise

    def _give_up(self, journey: _Journey) -> Answer:
        """Pass a predictor's own error on, or say why there is none."""
        self._judge(journey, blame=len(journey.failures) == 1)
        for _, result in reversed(journey.failures):
            if isinstance(result, Answer):
                return result
        if not journey.failures or isinstance(journey.failures[-1][1], _OutOfTime):
            raise TimedOutError(f"no answer within {self._deadline_s:g} s")
        raise BadAnswerError(f"no usable answer: {journey.failures[-1][1]}")

    def _judge(self, journey: _Journey, blame: bool) -> None:
        """Count the failures: against the predictor, unless a second one failed the same request too."""
        for name, result in journey.failures:
            self._balancer.doubt(name, -1)
            reason = f"answered {result.status}" if isinstance(result, Answer) else str(result)
            self._balancer.answer_failed(name, self._clock(), reason, blame)
