"""Requests that wait on a predictor when it is taken out, or when another topology comes into service."""

from collections.abc import Callable

import gevent
import pytest

from routing.refusals import TimedOutError
from tests.unit.routing.dispatchers import PATIENCE_S, WAIT, MakeBench, Step, hang, reset

# Moving on when a predictor is taken out


def test_redispatch_request_is_answered_elsewhere(bench: MakeBench) -> None:
    """A request that waits on one that is taken out goes to another now, once however often that is told."""
    one = bench(hang, WAIT)
    waiting = one.start()
    for _ in range(2):
        one.eject("a")
        assert one.loads() == [1, 1]
    gevent.sleep(0.005)
    assert one.loads() == [0, 1]
    one.go.set()
    assert waiting.get().predictor == "b"


@pytest.mark.parametrize(
    ("upstreams", "resend", "out", "outcome", "asked"),
    [
        ([WAIT, 200], False, "a", (200, "a"), "a"),
        ([reset, WAIT, 200], True, "b", (200, "b"), "ab"),
        ([hang, 500, 200], True, "a", (500, "b"), "ab"),
    ],
    ids=["no_resend_stays", "sent_twice_already_stays", "moved_5xx_is_the_answer"],
)
def test_redispatch_keeps_to_two_tries(
    bench: MakeBench, upstreams: list[Step], resend: bool, out: str, outcome: tuple[int, str], asked: str
) -> None:
    """A request is moved only where it may be sent again, and a move is its second try."""
    one = bench(*upstreams, resend=resend)
    waiting = one.start()
    one.eject(out)
    gevent.sleep(0.005)
    one.go.set()
    response = waiting.get()
    assert ((response.status, response.predictor), one.asked()) == (outcome, asked)


def test_redispatch_moves_all_that_fit(bench: MakeBench) -> None:
    """Every waiting request is moved as long as there is room; the others may still be answered where they are."""
    one = bench(WAIT, WAIT, capacity=3)
    waiting = [one.start() for _ in range(4)]
    assert one.loads() == [2, 2]
    one.eject("a")
    gevent.sleep(0.005)
    assert one.loads() == [1, 3]
    one.go.set()
    assert sorted(sending.get().predictor for sending in waiting) == ["a", "b", "b", "b"]


def test_redispatch_answered_at_the_same_moment_keeps_the_answer(bench: MakeBench) -> None:
    """The answer comes just before the move reaches the request: it counts, and the reserved slot comes back."""
    one = bench(WAIT, 200)
    waiting = one.start()
    one.go.set()
    one.eject("a")
    assert waiting.get().predictor == "a"
    assert one.asked() == "a"
    assert one.loads() == [0, 0]


def test_redispatch_not_started_yet_goes_elsewhere(bench: MakeBench) -> None:
    """A request whose exchange has not begun when its predictor is taken out is moved all the same."""
    one = bench(hang, 200)
    waiting = gevent.spawn(one.send)
    moving = gevent.spawn(one.eject, "a")
    assert waiting.get(timeout=PATIENCE_S).predictor == "b"
    moving.get()


def test_redispatch_client_gone_gives_both_slots_back(bench: MakeBench) -> None:
    """The client hangs up while its request is on the move: both slots come back."""
    one = bench(hang, hang)
    waiting = one.start()
    one.eject("a")
    assert one.loads() == [1, 1]
    waiting.kill()
    assert one.loads() == [0, 0]


def test_redispatch_deadline_at_the_same_moment_gives_both_slots_back(bench: MakeBench) -> None:
    """The deadline passes around the move: whatever comes first, no slot is lost."""
    one = bench(hang, hang, deadline_s=0.03, resend=True)
    waiting = [one.start() for _ in range(2)]
    gevent.sleep(0.008)
    one.eject("a")
    outcomes = [sending.get(timeout=PATIENCE_S) for sending in waiting]
    assert all(isinstance(outcome, TimedOutError) for outcome in outcomes)


# Handing over to another topology


def test_transfer_slots_holds_until_the_request_ends(bench: MakeBench) -> None:
    """A successor counts what is still in flight here, once per request, until each ends."""
    one = bench(WAIT, [hang, 200])
    held: list[str] = []

    def hold() -> Callable[[], None]:
        held.append("held")
        return held.pop  # type: ignore[return-value]

    waiting = [one.start() for _ in range(3)]
    assert one.loads() == [2, 1]
    one.dispatcher.transfer_slots("a", hold)
    assert len(held) == 2
    one.go.set()
    waiting[0].join()
    waiting[2].join()
    assert held == []
    waiting[1].kill()


def test_transfer_slots_client_gone_releases_too(bench: MakeBench) -> None:
    """A request that ends without an answer is counted by the successor no longer."""
    one = bench(hang)
    released: list[bool] = []
    waiting = one.start()
    one.dispatcher.transfer_slots("a", lambda: lambda: released.append(True))
    assert released == []
    waiting.kill()
    assert released == [True]


def test_transfer_slots_idle_predictor_holds_nothing(bench: MakeBench) -> None:
    """Nothing in flight, nothing to hold."""
    one = bench(200)
    one.send()
    one.dispatcher.transfer_slots("a", lambda: pytest.fail("held"))
