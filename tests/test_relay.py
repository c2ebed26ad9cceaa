"""A request's way over predictors that fail: fakes answer as each test says, no network. Real greenlets."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from routing.balancer import Balancer, DownError, Rules, SaturatedError
from routing.forwarding import (
    Answer,
    ConnectionRefused,
    ForwardingError,
    NoAnswer,
    NoConnection,
    NoDescriptor,
    Request,
    UnusableAnswer,
)
from routing.relay import BadAnswerError, Relay, TimedOutError
from routing.topology import Entry, Topology

REQUEST = Request(b"{}", {"Content-Type": "application/json"})
MAX_ERRORS = 3
PATIENCE_S = 20.0
Step = int | ForwardingError | Callable[[], int]


class FakeUpstream:
    """Answers with its steps in turn, the last one for ever: a status, an error to raise, or a call that waits."""

    def __init__(self, name: str, steps: list[Step]) -> None:
        self.name = name
        self.fresh: list[bool] = []
        self.ended = 0
        self._steps = steps

    def send(self, request: Request, fresh: bool = False) -> Answer:
        """Take the next step."""
        assert request is REQUEST
        self.fresh.append(fresh)
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        try:
            if isinstance(step, ForwardingError):
                raise step
            return Answer(step if isinstance(step, int) else step(), {}, b"[]", self.name)
        finally:
            self.ended += 1


class Bench:
    """A relay over fakes, one per letter."""

    def __init__(self, upstreams: dict[str, list[Step]], capacity: int = 2, **options: Any) -> None:
        entries = tuple(Entry(name, "h", number, capacity, active=True) for number, name in enumerate(upstreams, 1))
        topology = Topology("test", Path("test.json"), entries, {}, "{}")
        self.balancer = Balancer(topology, time.monotonic(), Rules(max_errors=MAX_ERRORS))
        self.upstreams = {name: FakeUpstream(name, steps) for name, steps in upstreams.items()}
        self.suspects: list[str] = []
        self.changes = 0
        made: Any = self.upstreams
        options = {"deadline_s": PATIENCE_S, **options}
        self.relay = Relay(self.balancer, made, self._changed, self.suspects.append, **options)

    def _changed(self) -> None:
        self.changes += 1

    def send(self) -> Answer:
        """Send one request and wait for its answer."""
        return self.relay.send(REQUEST)

    def start(self) -> "gevent.Greenlet[[], Any]":
        """Send one request and let it get as far as it can; its outcome is an Answer or the error."""
        sending = gevent.spawn(self._outcome)
        gevent.sleep(0.005)
        return sending

    def _outcome(self) -> Answer | Exception:
        try:
            return self.send()
        except Exception as error:  # noqa: BLE001  # whatever it is, the test looks at it
            return error

    def asked(self) -> str:
        """Who was sent how many requests, as letters."""
        return "".join(name * len(upstream.fresh) for name, upstream in self.upstreams.items())

    def loads(self) -> list[int]:
        """Every predictor's load."""
        return [predictor.load for predictor in self.balancer.predictors.values()]

    def counts(self, name: str) -> tuple[int, int, int]:
        """What is told of a predictor: served, failed, and failures in a row for which it is blamed."""
        predictor = self.balancer.predictors[name]
        return predictor.served, predictor.failed, predictor.errors

    def up(self) -> str:
        """Who is in rotation."""
        return "".join(name for name, predictor in self.balancer.predictors.items() if predictor.in_rotation)

    def take_out(self, name: str) -> None:
        """Do what the health checks do with a predictor that hangs."""
        self.balancer.eject(name, time.monotonic(), "no answer")
        self.relay.move_waiting(name)


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench() -> Iterator[MakeBench]:
    """Makes benches; after the test every slot of each must be back and no request left in flight."""
    made: list[Bench] = []

    def make(options: dict[str, Any] | None = None, **upstreams: list[Step]) -> Bench:
        made.append(Bench(upstreams, **(options or {})))
        return made[-1]

    yield make
    gevent.sleep(0.005)  # what was told to stop may stop
    for one in made:
        assert one.loads() == [0] * len(one.upstreams)
        assert one.relay.requests_in_flight() == 0
        assert all(upstream.ended == len(upstream.fresh) for upstream in one.upstreams.values())


def hang() -> int:
    """Never answer, as far as a test can tell."""
    gevent.sleep(PATIENCE_S)
    return 200


def waits_for(event: Event) -> Callable[[], int]:
    """Answer when the event comes."""

    def answer() -> int:
        assert event.wait(timeout=PATIENCE_S)
        return 200

    return answer


def refused() -> ForwardingError:
    """Nobody listens."""
    return ConnectionRefused("connection refused")


def reset() -> ForwardingError:
    """The connection ended without an answer."""
    return NoAnswer("connection ended without an answer")


def unusable() -> ForwardingError:
    """Something came that is no answer."""
    return UnusableAnswer("the answer was cut short")


# One predictor answers


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 422])
def test_send_answer_below_500_is_passed_on(bench: MakeBench, status: int) -> None:
    """A predictor's answer is the client's, its 4xx too, and counts as served."""
    one = bench(a=[status], b=[200])
    answer = one.send()
    assert (answer.status, answer.predictor) == (status, "a")
    assert one.asked() == "a"
    assert one.counts("a") == (1, 0, 0)


def test_send_one_after_the_other_goes_round_robin(bench: MakeBench) -> None:
    """Requests on an idle pool are answered by a, b, c, a."""
    one = bench(a=[200], b=[200], c=[200])
    assert "".join(one.send().predictor for _ in range(4)) == "abca"


def test_send_in_flight_counts_until_the_answer(bench: MakeBench) -> None:
    """A request counts where it waits, and no longer; each change is told."""
    answers = Event()
    one = bench(a=[waits_for(answers)], b=[200])
    sending = one.start()
    assert (one.loads(), one.relay.requests_in_flight()) == ([1, 0], 1)
    before = one.changes
    assert before > 0
    answers.set()
    assert sending.get().status == 200
    assert one.loads() == [0, 0]
    assert one.changes > before


def test_send_first_on_kept_connections_again_on_fresh_ones(bench: MakeBench) -> None:
    """The second predictor is asked over a new connection: a kept one may have died of the same cause."""
    one = bench(a=[reset(), 200], b=[200])
    one.send()
    one.send()
    assert one.upstreams["b"].fresh == [True]
    assert one.upstreams["a"].fresh == [False, False]


# 5xx


def test_send_5xx_then_200_gives_200_and_blames_the_first(bench: MakeBench) -> None:
    """The client sees the good answer only; the predictor that failed is blamed."""
    one = bench(a=[500], b=[200])
    answer = one.send()
    assert (answer.status, answer.predictor) == (200, "b")
    assert one.counts("a") == (0, 1, 1)
    assert one.counts("b") == (1, 0, 0)


def test_send_three_5xx_in_a_row_eject(bench: MakeBench) -> None:
    """After three blamed answers the predictor is out, and no client noticed."""
    one = bench(a=[503], b=[200])
    while one.counts("a")[1] < MAX_ERRORS:
        assert one.send().status == 200
    assert one.up() == "b"
    assert one.balancer.events[-1].event == "ejected"


def test_send_two_5xx_are_passed_on_and_nobody_is_blamed(bench: MakeBench) -> None:
    """If a second predictor fails on it too, it is the request's fault: however often, nobody is ejected."""
    one = bench(a=[500], b=[502], c=[200])
    answer = one.send()
    assert (answer.status, answer.predictor) == (502, "b")
    assert one.asked() == "ab"
    assert [one.counts(name) for name in "abc"] == [(0, 1, 0), (0, 1, 0), (0, 0, 0)]


def test_send_poison_request_never_ejects(bench: MakeBench) -> None:
    """A request that every predictor fails on, sent again and again, takes nobody out."""
    one = bench(a=[500], b=[500], c=[500])
    assert {one.send().status for _ in range(20)} == {500}
    assert one.up() == "abc"


def test_send_5xx_of_the_only_predictor_is_passed_on(bench: MakeBench) -> None:
    """With nobody else to ask, the 5xx is the answer; the last in rotation is never ejected for it."""
    one = bench(a=[500])
    assert {one.send().status for _ in range(MAX_ERRORS + 2)} == {500}
    assert one.up() == "a"


def test_send_5xx_with_the_others_full_is_passed_on(bench: MakeBench) -> None:
    """No room elsewhere: the client gets the predictor's own answer, not a refusal."""
    answers = Event()
    one = bench({"capacity": 1}, b=[waits_for(answers)], a=[500])
    waiting = one.start()
    assert one.send().status == 500
    assert one.relay.refused == {}
    answers.set()
    assert waiting.get().status == 200


# Never sent


def test_send_refused_ejects_and_goes_on(bench: MakeBench) -> None:
    """A refused connection takes the predictor out at once; the request is answered by the next."""
    one = bench(a=[refused()], b=[200])
    assert one.send().predictor == "b"
    assert one.up() == "b"
    assert one.balancer.events[-1].reason == "connection refused"
    assert one.send().predictor == "b"
    assert one.asked() == "abb"


def test_send_never_sent_goes_to_each_predictor_once(bench: MakeBench) -> None:
    """What was never sent may go on as long as there is somebody new, each predictor once."""
    one = bench(a=[NoConnection("no connection")], b=[refused()], c=[NoConnection("no connection")], d=[200])
    assert one.send().predictor == "d"
    assert one.asked() == "abcd"


def test_send_refused_everywhere_is_down(bench: MakeBench) -> None:
    """Nobody listens anywhere: the refusal says down, and is counted."""
    one = bench(a=[refused()], b=[refused()], c=[refused()])
    with pytest.raises(DownError):
        one.send()
    assert one.asked() == "abc"
    assert one.relay.refused == {"down": 1}


def test_send_no_connection_is_blamed_but_not_ejected_at_once(bench: MakeBench) -> None:
    """A connection that is not made in time may be a full backlog: it counts like a failed answer."""
    one = bench(a=[NoConnection("no connection")], b=[200])
    one.send()
    assert one.up() == "ab"
    assert one.counts("a") == (0, 1, 1)


def test_send_no_descriptor_blames_nobody(bench: MakeBench) -> None:
    """That the router itself has no socket left is no predictor's fault."""
    one = bench(a=[NoDescriptor("the router cannot open a connection")])
    for _ in range(MAX_ERRORS + 1):
        with pytest.raises((DownError, SaturatedError)):
            one.send()
    assert one.up() == "a"
    assert one.counts("a") == (0, 0, 0)


def test_send_never_sent_then_reset_still_has_its_second_try(bench: MakeBench) -> None:
    """A refused connection was no try: reset after it, the request goes to one more predictor."""
    one = bench(a=[refused()], b=[reset()], c=[200])
    assert one.send().predictor == "c"


# Sent and lost


@pytest.mark.parametrize("failure", [reset, unusable])
def test_send_lost_goes_once_to_another(bench: MakeBench, failure: Callable[[], ForwardingError]) -> None:
    """A request whose connection broke is answered by another predictor; the first is blamed."""
    one = bench(a=[failure()], b=[200])
    assert one.send().predictor == "b"
    assert one.counts("a") == (0, 1, 1)


@pytest.mark.parametrize("failure", [reset, unusable])
def test_send_lost_twice_is_a_bad_answer(bench: MakeBench, failure: Callable[[], ForwardingError]) -> None:
    """Lost a second time the request goes nowhere else: it may itself be what brings them down."""
    one = bench(a=[failure()], b=[failure()], c=[200])
    with pytest.raises(BadAnswerError):
        one.send()
    assert one.asked() == "ab"
    assert one.relay.refused == {"bad_answer": 1}


def test_send_lost_of_the_only_predictor_is_a_bad_answer(bench: MakeBench) -> None:
    """Nobody else is there: 502 tells that an unusable answer came, not that nobody is up."""
    one = bench(a=[reset()])
    with pytest.raises(BadAnswerError):
        one.send()


def test_send_reset_has_the_predictor_probed_now(bench: MakeBench) -> None:
    """A broken connection is a reason to look at once, an unusable answer is not."""
    one = bench(a=[reset()], b=[unusable()])
    with pytest.raises(BadAnswerError):
        one.send()
    assert one.suspects == ["a"]


@pytest.mark.parametrize("order", ["5xx first", "5xx second"])
def test_send_5xx_and_reset_gives_the_5xx(bench: MakeBench, order: str) -> None:
    """An answer, even a 5xx, is better than none."""
    steps: list[Step] = [500, reset()] if order == "5xx first" else [reset(), 500]
    one = bench(a=[steps[0]], b=[steps[1]])
    assert one.send().status == 500


# --no-resend


@pytest.mark.parametrize("failure", [reset, unusable])
def test_send_no_resend_lost_is_a_bad_answer(bench: MakeBench, failure: Callable[[], ForwardingError]) -> None:
    """Without re-sending, what may have run is not sent again."""
    one = bench({"resend": False}, a=[failure()], b=[200])
    with pytest.raises(BadAnswerError):
        one.send()
    assert one.asked() == "a"


def test_send_no_resend_5xx_is_passed_on(bench: MakeBench) -> None:
    """Without re-sending, a 5xx is the answer, and the predictor is blamed."""
    one = bench({"resend": False}, a=[500], b=[200])
    assert one.send().status == 500
    assert one.counts("a") == (0, 1, 1)


def test_send_no_resend_never_sent_goes_on(bench: MakeBench) -> None:
    """Without re-sending, what was never sent still goes to the others."""
    one = bench({"resend": False}, a=[refused()], b=[NoConnection("no connection")], c=[200])
    assert one.send().predictor == "c"


# The deadline


def test_send_no_answer_by_the_deadline_times_out(bench: MakeBench) -> None:
    """At its deadline the request is given up, its slot is back and the exchange is ended."""
    one = bench({"deadline_s": 0.06}, a=[hang])
    started_s = time.monotonic()
    with pytest.raises(TimedOutError) as error:
        one.send()
    assert time.monotonic() - started_s >= 0.06
    assert error.value.reason == "timeout"
    assert one.relay.refused == {"timeout": 1}


def test_send_first_hangs_second_has_half_the_deadline(bench: MakeBench) -> None:
    """One that hangs costs half of the deadline at most: the rest is left for another predictor."""
    one = bench({"deadline_s": 0.4}, a=[hang], b=[200])
    assert one.send().predictor == "b"
    assert one.counts("a") == (0, 1, 1)


def test_send_both_hang_times_out(bench: MakeBench) -> None:
    """Two that hang use the deadline up, and it is a timeout; a third is not asked."""
    one = bench({"deadline_s": 0.08}, a=[hang], b=[hang], c=[200])
    with pytest.raises(TimedOutError):
        one.send()
    assert one.asked() == "ab"


def test_send_no_resend_has_the_whole_deadline(bench: MakeBench) -> None:
    """Without re-sending, the first predictor may use all the time there is."""
    one = bench({"deadline_s": 0.08, "resend": False}, a=[hang], b=[200])
    started_s = time.monotonic()
    with pytest.raises(TimedOutError):
        one.send()
    assert time.monotonic() - started_s >= 0.08
    assert one.asked() == "a"


def test_send_refused_after_the_deadline_times_out(bench: MakeBench) -> None:
    """Once the deadline has passed nobody else is asked, even if nothing was sent yet."""
    now_s = [0.0]

    def late() -> int:
        now_s[0] = 50.0
        raise refused()

    one = bench({"clock": lambda: now_s[0], "deadline_s": 10.0}, a=[late], b=[200])
    with pytest.raises(TimedOutError):
        one.send()
    assert one.asked() == "a"


# Refusals, clients that go, defects


def test_send_saturated_is_refused_at_once_and_counted(bench: MakeBench) -> None:
    """No room anywhere: the refusal comes without waiting, and nobody is asked."""
    answers = Event()
    one = bench({"capacity": 1}, a=[waits_for(answers)])
    waiting = one.start()
    with pytest.raises(SaturatedError):
        one.send()
    assert one.relay.refused == {"saturated": 1}
    assert one.asked() == "a"
    answers.set()
    assert waiting.get().status == 200


def test_send_client_gone_gives_the_slot_back(bench: MakeBench) -> None:
    """A client that hangs up leaves no slot taken and no exchange running."""
    one = bench(a=[hang], b=[hang])
    waiting = one.start()
    assert one.loads() == [1, 0]
    waiting.kill()
    assert one.loads() == [0, 0]


@pytest.mark.filterwarnings("ignore")
def test_send_defect_in_an_exchange_gives_the_slot_back(bench: MakeBench, capsys: pytest.CaptureFixture[str]) -> None:
    """Even an error that nobody foresaw costs no slot."""

    def defect() -> int:
        raise ZeroDivisionError

    one = bench(a=[defect])
    with pytest.raises(ZeroDivisionError):
        one.send()
    assert one.loads() == [0]
    assert "ZeroDivisionError" in capsys.readouterr().err


# Moving on when a predictor is taken out


def test_move_waiting_request_is_answered_elsewhere(bench: MakeBench) -> None:
    """A request that waits on a predictor that is taken out goes to another now; both slots come back."""
    answers = Event()
    one = bench(a=[hang], b=[waits_for(answers)])
    waiting = one.start()
    one.take_out("a")
    assert one.loads() == [1, 1]
    gevent.sleep(0.005)
    assert one.loads() == [0, 1]
    answers.set()
    assert waiting.get().predictor == "b"


def test_move_waiting_moves_all_that_fit(bench: MakeBench) -> None:
    """Every waiting request is moved as long as there is room; the others may still be answered where they are."""
    answers = Event()
    one = bench({"capacity": 3}, a=[waits_for(answers)], b=[waits_for(answers)])
    waiting = [one.start() for _ in range(4)]
    assert one.loads() == [2, 2]
    one.take_out("a")
    gevent.sleep(0.005)
    assert one.loads() == [1, 3]
    answers.set()
    assert sorted(sending.get().predictor for sending in waiting) == ["a", "b", "b", "b"]


def test_move_waiting_answered_at_the_same_moment_keeps_the_answer(bench: MakeBench) -> None:
    """The answer comes just before the move reaches the request: it counts, and the reserved slot comes back."""
    answers = Event()
    one = bench(a=[waits_for(answers)], b=[200])
    waiting = one.start()
    answers.set()
    one.take_out("a")
    assert waiting.get().predictor == "a"
    assert one.asked() == "a"
    assert one.loads() == [0, 0]


def test_move_waiting_twice_reserves_one_slot(bench: MakeBench) -> None:
    """A second report of the same failure moves nothing twice."""
    answers = Event()
    one = bench(a=[hang], b=[waits_for(answers)])
    waiting = one.start()
    one.take_out("a")
    one.take_out("a")
    assert one.loads() == [1, 1]
    answers.set()
    assert waiting.get().predictor == "b"


def test_move_waiting_not_started_yet_goes_elsewhere(bench: MakeBench) -> None:
    """A request whose exchange has not begun when its predictor is taken out is moved all the same."""
    one = bench(a=[hang], b=[200])
    waiting = gevent.spawn(one.send)
    moving = gevent.spawn(one.take_out, "a")
    assert waiting.get(timeout=PATIENCE_S).predictor == "b"
    moving.get()


def test_move_waiting_no_resend_stays(bench: MakeBench) -> None:
    """Without re-sending, a request stays where it was sent."""
    answers = Event()
    one = bench({"resend": False}, a=[waits_for(answers)], b=[200])
    waiting = one.start()
    one.take_out("a")
    gevent.sleep(0.005)
    answers.set()
    assert waiting.get().predictor == "a"
    assert one.asked() == "a"


def test_move_waiting_sent_twice_already_stays(bench: MakeBench) -> None:
    """A request that was re-sent once is not sent to a third predictor."""
    answers = Event()
    one = bench(a=[reset()], b=[waits_for(answers)], c=[200])
    waiting = one.start()
    one.take_out("b")
    gevent.sleep(0.005)
    answers.set()
    assert waiting.get().predictor == "b"


def test_move_waiting_then_5xx_is_passed_on(bench: MakeBench) -> None:
    """A moved request has had its second try: what comes then is the answer."""
    one = bench(a=[hang], b=[500], c=[200])
    waiting = one.start()
    one.take_out("a")
    assert waiting.get().status == 500
    assert one.asked() == "ab"


def test_move_waiting_client_gone_gives_both_slots_back(bench: MakeBench) -> None:
    """The client hangs up while its request is on the move: both slots come back."""
    one = bench(a=[hang], b=[hang])
    waiting = one.start()
    one.take_out("a")
    assert one.loads() == [1, 1]
    waiting.kill()
    assert one.loads() == [0, 0]


def test_move_waiting_deadline_at_the_same_moment_gives_both_slots_back(bench: MakeBench) -> None:
    """The deadline passes around the move: whatever comes first, no slot is lost."""
    one = bench({"deadline_s": 0.03, "resend": True}, a=[hang], b=[hang])
    waiting = [one.start() for _ in range(2)]
    gevent.sleep(0.008)
    one.take_out("a")
    outcomes = [sending.get(timeout=PATIENCE_S) for sending in waiting]
    assert all(isinstance(outcome, TimedOutError) for outcome in outcomes)


# Handing over to another topology


def test_hand_over_holds_until_the_request_ends(bench: MakeBench) -> None:
    """A successor counts what is still in flight here, once per request, until each ends."""
    answers = Event()
    one = bench(a=[waits_for(answers)], b=[hang, 200])
    held: list[str] = []

    def hold() -> Callable[[], None]:
        held.append("held")
        return held.pop  # type: ignore[return-value]

    waiting = [one.start() for _ in range(3)]
    assert one.loads() == [2, 1]
    one.relay.hand_over("a", hold)
    assert len(held) == 2
    answers.set()
    waiting[0].join()
    waiting[2].join()
    assert held == []
    waiting[1].kill()


def test_hand_over_client_gone_releases_too(bench: MakeBench) -> None:
    """A request that ends without an answer is counted by the successor no longer."""
    one = bench(a=[hang])
    released: list[bool] = []
    waiting = one.start()
    one.relay.hand_over("a", lambda: lambda: released.append(True))
    assert released == []
    waiting.kill()
    assert released == [True]


def test_hand_over_idle_predictor_holds_nothing(bench: MakeBench) -> None:
    """Nothing in flight, nothing to hold."""
    one = bench(a=[200])
    one.send()
    one.relay.hand_over("a", lambda: pytest.fail("held"))
