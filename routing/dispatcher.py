"""What happens to one request: it gets a slot, goes to that predictor, and once more to another if that one fails."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gevent

from routing.balancer import Balancer
from routing.counters import Counters
from routing.refusals import BadAnswerError, RefusedError, TimedOutError
from routing.rotation import Found, Predictor, Slot
from routing.statuses import is_answer, is_busy
from routing.upstream.client import Request, Upstream
from routing.upstream.errors import (
    ConnectionClosed,
    ConnectionRefused,
    NoConnection,
    OutOfSockets,
    ResetBeforeRead,
    UpstreamError,
)
from routing.upstream.response import Response

MAX_SENT = 2
"""A request that may have run goes to one other predictor at most: it may itself be what brings them down."""


class _AttemptTimedOut(UpstreamError):  # noqa: N818
    """The attempt used up its share of the deadline."""


class Outcome(NamedTuple):
    """What became of one attempt: a response, an error, or a slot at another predictor that was reserved meanwhile."""

    response: Response | None = None
    error: UpstreamError | None = None
    moved_to: Slot | None = None

    def is_answer_to(self, request: Request) -> bool:
        """Whether it is the client's."""
        return self.response is not None and is_answer(self.response.status, request.method)

    @property
    def is_busy(self) -> bool:
        """Whether the predictor says that it is full: the request has not run."""
        return self.response is not None and is_busy(self.response.status)

    @property
    def reason(self) -> str:
        """Why it counts as failed."""
        return str(self.error) if self.response is None else f"answered {self.response.status}"


class _Redispatched(BaseException):
    """Ends an attempt whose predictor was taken out."""


@dataclass(eq=False, slots=True)
class _RequestState:
    """One client's request: where it has been, and what failed there."""

    request: Request
    deadline_s: float
    tried: list[str] = field(default_factory=list)
    sent: int = 0
    """Ended attempts in which it may have run."""
    failures: list[tuple[str, Outcome]] = field(default_factory=list)
    busy: Response | None = None
    """The latest answer that says busy."""


class _Attempt:
    """A request in flight at one predictor, in its client's greenlet, which is interrupted where it waits."""

    __slots__ = ("_interrupt", "_loop", "_move", "_timer", "moves_to", "releases", "state")

    def __init__(self, state: _RequestState) -> None:
        self.state = state
        self.releases: list[Callable[[], None]] = []
        """What gives back what other balancers count of it."""
        self.moves_to: Slot | None = None
        """A slot at another predictor, reserved since this one was taken out."""
        self._interrupt = gevent.getcurrent().throw
        self._loop = gevent.get_hub().loop
        self._timer: Any = None
        self._move: Any = None

    def call_after(self, seconds: float, call: Callable[["_Attempt"], None]) -> None:
        """Has the event loop call with this attempt then, in place of what it was to call before."""
        if self._timer is not None:
            self._timer.close()
        self._timer = self._loop.timer(seconds, priority=-1)  # what has arrived by then comes first
        self._timer.start(call, self, update=True)

    def time_out(self) -> None:
        """Ends it with _AttemptTimedOut, now. For the event loop alone: nobody else goes on after this."""
        self._interrupt(_AttemptTimedOut, "no answer in time")

    def move_to(self, slot: Slot) -> None:
        """Ends it with _Redispatched as soon as the event loop has its turn, unless it is closed by then."""
        self.moves_to = slot
        self._move = self._loop.run_callback(self._interrupt, _Redispatched)

    def close(self) -> None:
        """Interrupts nothing any more."""
        self._timer.close()
        if self._move is not None:
            self._move.stop()


class Dispatcher:
    """Has the predictors of one topology answer requests, and the balancer know what became of each attempt."""

    def __init__(
        self,
        balancer: Balancer,
        upstreams: Mapping[str, Upstream],
        changed: Callable[[], None],
        probe: Callable[[str], None],
        deadline_s: float = 10.0,
        resend: bool = True,
        clock: Callable[[], float] = time.monotonic,
        counters: Counters | None = None,
    ) -> None:
        """`changed` is called after each step of the balancer and each refusal.

        `probe(name)` waits for a health check made now.
        """
        self.refused: Counter[str] = Counter()
        self._counters = counters or Counters()
        self._balancer = balancer
        self._upstreams = upstreams
        self._changed = changed
        self._probe = probe
        self._deadline_s = deadline_s
        self._max_sent = MAX_SENT if resend else 1
        self._clock = clock
        self._in_flight: dict[str, set[_Attempt]] = {name: set() for name in upstreams}
        self._begin: Callable[[str], Callable[[], None]] | None = None

    def send(self, request: Request) -> Response:
        """Sends the request until a predictor has answered it; raises RefusedError.

        Where all say busy, that is the answer, and counted as refused.
        """
        start_s = self._clock()
        try:
            response = self._dispatch(_RequestState(request, start_s + self._deadline_s))
        except RefusedError as error:
            self._count_refusal(error.reason)
            raise
        if is_busy(response.status):
            self._count_refusal("busy")
        else:
            self._counters.count_answer(response.predictor, response.status, self._clock() - start_s)
        return response

    def _count_refusal(self, reason: str) -> None:
        self.refused[reason] += 1
        self._counters.refused[reason] += 1
        self._changed()

    def requests_in_flight(self) -> int:
        """Counts the requests that wait on a predictor."""
        return sum(len(attempts) for attempts in self._in_flight.values())

    def redispatch_from(self, name: str, besides: Collection[str] = ()) -> None:
        """Has the requests that wait on this predictor go to others now, as far as these have free slots.

        They do not go to those in `besides`.
        """
        for attempt in list(self._in_flight[name]):
            if self._may_resend(attempt.state) and attempt.moves_to is None:
                with suppress(RefusedError):  # it may still be answered where it is
                    attempt.move_to(self._balancer.choose(self._clock(), [*attempt.state.tried, *besides]))
        self._changed()

    def transfer_slots(self, name: str, reserve: Callable[[], Callable[[], None]]) -> None:
        """Has every request in flight at this predictor reserve a slot of another balancer too, until it ends."""
        for attempt in self._in_flight[name]:
            attempt.releases.append(reserve())

    def follow(self, begin: Callable[[str, bool], Callable[[], None]]) -> dict[str, int]:
        """Has each request in flight, and each that begins from now on, told; returns how many are now, by predictor.

        `begin(name, counted)` returns what is called at its end; `counted`: it is among those that are returned.
        """
        self._begin = lambda name: begin(name, False)
        for name, attempts in self._in_flight.items():
            for attempt in attempts:
                attempt.releases.append(begin(name, True))
        return {name: len(attempts) for name, attempts in self._in_flight.items() if attempts}

    def _dispatch(self, state: _RequestState) -> Response:
        slot: Slot | None = self._balancer.choose(self._clock())
        while slot is not None:
            predictor = slot.predictor
            state.tried.append(predictor.name)
            outcome = self._attempt(state, slot)
            if outcome.response is not None and outcome.is_answer_to(state.request):
                self._settle_failures(state, blame=True)
                now = self._clock()
                self._balancer.answered(predictor.name, now, now - slot.since_s)
                return outcome.response
            self._note_failure(state, predictor, outcome)
            slot = outcome.moved_to or self._next_slot(state)
            if slot is not None:
                self._counters.resends[predictor.name] += 1
        return self._last_response(state)

    def _attempt(self, state: _RequestState, slot: Slot) -> Outcome:
        """Sends to the slot's predictor and waits; the slot is released in any case."""
        name = slot.predictor.name
        attempt = _Attempt(state)
        attempt.call_after(self._first_share_s(state), self._end_or_go_on)
        self._in_flight[name].add(attempt)
        if self._begin is not None:
            attempt.releases.append(self._begin(name))
        self._changed()
        moved_to = None
        try:
            return Outcome(self._upstreams[name].send(state.request, len(state.tried) > 1))
        except UpstreamError as error:
            error.__traceback__ = error.__cause__ = error.__context__ = None  # they keep what came of the answer
            return Outcome(error=error)
        except _Redispatched:
            moved_to = attempt.moves_to
            return Outcome(moved_to=moved_to)
        finally:
            attempt.close()
            self._in_flight[name].discard(attempt)
            self._balancer.release(slot, self._clock())
            if attempt.moves_to is not None and moved_to is None:  # it ended by itself before that
                self._balancer.release(attempt.moves_to, self._clock())
            for release in attempt.releases:
                release()
            self._changed()

    def _first_share_s(self, state: _RequestState) -> float:
        """Returns for how long no other is asked: half of the time that is left where one may be, else all of it."""
        left_s = max(0.0, state.deadline_s - self._clock())
        return left_s / 2 if self._may_resend(state) else left_s

    def _end_or_go_on(self, attempt: _Attempt) -> None:
        """Ends an attempt whose time is up; without another predictor that has room it gets all that is left."""
        now = self._clock()
        left_s = attempt.state.deadline_s - now
        another = self._may_resend(attempt.state) and self._balancer.has_free_slot(now, attempt.state.tried)
        if left_s <= 0 or another:
            attempt.time_out()
        else:
            attempt.call_after(left_s, self._end_or_go_on)

    def _may_resend(self, state: _RequestState) -> bool:
        """Whether the request may go to another predictor even if it has run at the one where it is."""
        return state.sent + 1 < self._max_sent

    def _note_failure(self, state: _RequestState, predictor: Predictor, outcome: Outcome) -> None:
        """Decides what an attempt without a good response means, and has the balancer know."""
        name = predictor.name
        if outcome.is_busy:
            state.busy = outcome.response
            self._balancer.busy(name, self._clock())
            return
        if isinstance(outcome.error, ConnectionClosed):
            self._probe(name)  # only that can show whether the predictor is gone
        match outcome.error:
            case ConnectionRefused():  # nothing listens there: out of rotation at once
                self._balancer.eject(name, self._clock(), outcome.reason, Found.NOTHING)
            case NoConnection():  # never sent, and that counts against the predictor
                self._balancer.answer_failed(name, self._clock(), outcome.reason)
            case OutOfSockets():
                pass  # never sent, and not the predictor's fault
            case ResetBeforeRead() if self._max_sent > 1 and not predictor.up:
                pass  # it has not run, and nobody is to blame who is still in rotation
            case _:
                state.sent += 1  # it may have run
                if outcome.moved_to is None:  # whose fault it is shows when another predictor has been asked
                    state.failures.append((name, outcome))
                    self._balancer.add_pending_failures(name, 1)

    def _next_slot(self, state: _RequestState) -> Slot | None:
        """Reserves a slot at another predictor, if the request may and can go there."""
        now = self._clock()
        if state.sent >= self._max_sent or now >= state.deadline_s:
            return None
        try:
            return self._balancer.choose(now, state.tried)
        except RefusedError:
            if state.failures or state.busy:
                return None
            raise

    def _last_response(self, state: _RequestState) -> Response:
        """Returns a predictor's own error, else that it is busy, or raises why there is neither."""
        self._settle_failures(state, blame=len(state.failures) == 1)
        for _, outcome in reversed(state.failures):
            if outcome.response is not None:
                return outcome.response
        if state.busy is not None:
            return state.busy
        if not state.failures or isinstance(state.failures[-1][1].error, _AttemptTimedOut):
            raise TimedOutError(f"no answer within {self._deadline_s:g} s")
        raise BadAnswerError(f"no usable answer: {state.failures[-1][1].reason}")

    def _settle_failures(self, state: _RequestState, blame: bool) -> None:
        """Counts the failures: against the predictor, unless a second one failed the same request too."""
        for name, outcome in state.failures:
            self._balancer.add_pending_failures(name, -1)
            self._balancer.answer_failed(name, self._clock(), outcome.reason, blame)
