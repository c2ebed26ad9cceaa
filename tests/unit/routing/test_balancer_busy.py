"""The balancer's rules: predictors that say busy, by which others are chosen, promoted, and at last they are out."""

import pytest

from routing.balancer import Balancer
from routing.refusals import ALL_BUSY, RefusedError
from routing.rotation import Slot
from tests.unit.routing.balancers import HOLD_DOWN_S, balancer_of, new_events, play, sequence, serving, states

LIMIT = 4
SERVICE_TIME_S = 1.0


class Pool:
    """A balancer of 10 slots each, before predictors that take LIMIT requests and say busy beyond."""

    def __init__(self, actives: str, standbys: str = "", limit: int = LIMIT) -> None:
        self.balancer = balancer_of(actives, standbys)
        self.limit = limit
        self.held: list[Slot] = []
        self.refused = 0

    def ask(self, now: float) -> None:
        """One request comes, which is asked of one after the other until one takes it."""
        tried: list[str] = []
        while True:
            try:
                slot = self.balancer.choose(now, tried)
            except RefusedError:
                self.refused += 1
                return
            if slot.predictor.load <= self.limit:
                self.held.append(slot)
                return
            tried.append(slot.predictor.name)
            self.balancer.release(slot, now)
            self.balancer.busy(slot.predictor.name, now)

    def answer(self, now: float) -> None:
        """The oldest request is answered well."""
        slot = self.held.pop(0)
        self.balancer.release(slot, now)
        self.balancer.answered(slot.predictor.name, now, SERVICE_TIME_S)

    def keep(self, in_flight: int, from_s: int, to_s: int) -> None:
        """Each second so many requests are answered, and others come."""
        for now in range(from_s, to_s):
            while self.held:
                self.answer(now)
            for _ in range(in_flight):
                self.ask(now)
            self.balancer.tick(now)


def test_busy_weighs_until_its_next_good_answer() -> None:
    """Who is busy is not the favourite, however little it holds; a good answer shows that a slot is free there."""
    balancer = play("ab", "0 busy a, 0 busy a")
    held = [balancer.choose(0.1) for _ in range(2)]
    assert [slot.predictor.name for slot in held] == ["b", "b"]
    balancer.answered("a", 0.2, 0.1)
    assert balancer.choose(0.2).predictor.name == "a"


def test_busy_weighs_no_longer_than_a_second() -> None:
    """One that nobody asked for a second may be free again; until then it is asked where no other is left."""
    balancer = play("ab", "0 busy a, 0.9 busy a")
    assert sequence(balancer, 3, 1.8) == "bbb"
    assert balancer.choose(1.8, ["b"]).predictor.name == "a"
    assert "a" in sequence(play("ab", "0 busy a, 0.9 busy a"), 2, 2.0)


def test_busy_everywhere_promotes_the_standby() -> None:
    """All in rotation say busy below their capacity: that is saturation."""
    pool = Pool("ab", "c")
    for _ in range(2 * LIMIT + 1):
        pool.ask(1.0)
    assert serving(pool.balancer) == "abc"
    assert (pool.balancer.events[-1].event, pool.balancer.events[-1].reason) == ("promoted", ALL_BUSY)
    assert pool.refused == 0


def test_busy_standby_stays_while_what_the_actives_take_is_half_full() -> None:
    """Half of the actives' capacity is half of what they were busy at: 9 of 8 slots keep the standby, 4 do not."""
    pool = Pool("ab", "c")
    pool.keep(9, 0, 60)
    assert (new_events(pool.balancer), pool.refused) == ("promoted c", 0)
    pool.keep(4, 60, 64)
    assert new_events(pool.balancer) == ""
    pool.keep(4, 64, 67)
    assert new_events(pool.balancer) == "demoted c"
    pool.keep(4, 67, 120)
    assert (new_events(pool.balancer), pool.refused) == ("", 0)


def test_busy_limit_is_forgotten_when_it_is_seen_to_take_more() -> None:
    """A predictor that has become larger counts with what it holds, up to its capacity."""
    pool = Pool("ab", "c")
    pool.keep(9, 0, 10)
    pool.limit = 10
    pool.keep(30, 10, 11)
    pool.keep(9, 11, 18)
    assert new_events(pool.balancer) == "promoted c, demoted c"


def test_busy_everywhere_wants_a_cold_standby() -> None:
    """A request that all refuse as busy is a need, as one that finds all at capacity."""
    pool = Pool("ab", "C")
    for _ in range(2 * LIMIT + 1):
        pool.ask(1.0)
    assert (states(pool.balancer), pool.refused) == ("wanted", 1)


def test_busy_alone_for_the_hold_down_is_out() -> None:
    """Nothing but busy, while others answer, is broken; it is back after the hold-down, not at once by health."""
    play("abc", "0 busy a, 1 busy a, 4.9 answered b, 4.9 busy a -> abc, 5 busy a -> bc, 6 readmit a -> bc, "
         "9.9 readmit a -> bc, 10 readmit a -> abc")  # fmt: skip


@pytest.mark.parametrize(
    "script",
    [
        "0 busy a, 1 busy a, 2 answered b, 3 answered a, 5 busy a, 6 busy a, 7 busy a -> abc",
        "0 busy a, 3 busy a, 6 busy a, 7 busy a -> abc",
        "0 busy a, 1 answered b, 6 busy a -> abc",
        "0 load 3, 1 busy a, 2 busy a, 3 answered b, 7 busy a -> abc",
    ],
    ids=["a_good_answer_between", "nobody_else_answers", "only_two_of_them", "it_holds_requests_from_before"],
)
def test_busy_without_proof_stays(script: str) -> None:
    """Full predictors answer what they hold; and where nobody answers, it is no single one's fault."""
    play("abc", script)


def test_busy_last_one_in_rotation_stays() -> None:
    """As with failed answers."""
    play("ab", "0 busy a, 1 busy a, 2 answered b, 3 eject b, 9 busy a -> a")


def test_busy_is_neither_served_nor_failed() -> None:
    """It counts in neither figure, and ends no row of failures."""
    predictor = play("abc", "0 fail a, 0 fail a, 0 busy a, 0 fail a -> bc").predictors["a"]
    assert (predictor.served, predictor.failed) == (0, 3)


def test_busy_rejoined_predictor_has_its_capacity_again() -> None:
    """What comes back may be another process: nothing of what it said before holds."""
    balancer: Balancer = play("ab+c", f"0 busy a, 0 drain a, {HOLD_DOWN_S} ready a")
    assert balancer.predictors["a"].room == 10
