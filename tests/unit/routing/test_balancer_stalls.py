"""The balancer's rules: a predictor whose predictions hang while its health checks pass."""

import pytest

from routing.balancer import Balancer
from routing.spells import AnswerTimes, patience_s
from tests.unit.routing.balancers import balancer_of, new_events, serving

DEADLINE_S = 10.0


def stalling(pool: str = "ab", standbys: str = "", took_s: float = 0.1) -> Balancer:
    """A balancer whose `a` has had a request since 0, and whose others have answered one in `took_s` since."""
    balancer = balancer_of(pool, standbys)
    for name in pool:
        slot = balancer.choose(0.0)
        assert slot.predictor.name == name
        if name != "a":
            balancer.release(slot, took_s)
            balancer.answered(name, took_s, took_s)
    return balancer


@pytest.mark.parametrize(("took_s", "patience"), [(0.1, 1.0), (0.5, 1.5), (2.0, 6.0)])
def test_stalled_after_three_times_the_slowest_answer_or_a_second(took_s: float, patience: float) -> None:
    """Until then it may be slow; without an answer of its own the others' count."""
    balancer = stalling(took_s=took_s)
    assert balancer.stalled(patience) == []
    assert balancer.stalled(patience + 0.1) == ["a"]
    assert serving(balancer) == "ab"


def test_stalled_own_slowest_answer_counts_before_the_others() -> None:
    """A slow predictor beside a fast one is not stalled: it takes as long as ever."""
    balancer = stalling()
    balancer.answered("a", 0.2, 2.0)
    balancer.answered("b", 0.3, 0.1)
    assert balancer.stalled(6.1) == []
    assert balancer.stalled(6.3) == ["a"]


def test_stalled_is_not_who_answers_others() -> None:
    """One request that takes long, among many that do not, is that request's affair."""
    balancer = stalling()
    for tenth in range(1, 40):
        balancer.answered("a", tenth / 10, 0.1)
        balancer.answered("b", tenth / 10, 0.1)
        assert balancer.stalled(tenth / 10) == []
    assert balancer.stalled(4.95) == []


def test_stalled_nobody_while_no_other_answers() -> None:
    """A lone predictor, or one of many that all wait, is not to blame."""
    balancer = balancer_of("ab")
    balancer.choose(0.0)
    balancer.choose(0.0)
    assert balancer.stalled(9.0) == []
    alone = balancer_of("a")
    alone.answered("a", 0.0, 0.1)
    alone.choose(0.1)
    assert alone.stalled(100.0) == []


def test_stalled_suspect_is_chosen_last() -> None:
    """Others with a free slot go first, a waiting standby too; where none is left it is asked."""
    balancer = stalling("ab", "s")
    balancer.stalled(2.0)
    chosen = [balancer.choose(2.0).predictor.name for _ in range(21)]
    assert chosen == ["b"] * 10 + ["s"] * 10 + ["a"]


def test_stalled_suspect_that_answers_is_one_like_any_other() -> None:
    """Slow, but fine: and from now on it may take so long."""
    balancer = stalling()
    balancer.stalled(2.0)
    balancer.answered("a", 3.0, 3.0)
    assert balancer.stalled(3.0) == []
    assert balancer.choose(3.0).predictor.name in "ab"
    assert balancer.stalled(8.9) == []


def test_stalled_for_the_deadline_is_out_for_the_hold_down() -> None:
    """However well its health checks pass; a standby takes its place."""
    balancer = stalling("ab", "s")
    for tenth in range(100):
        assert balancer.stalled(tenth / 10) == (["a"] if tenth > 10 else [])
    assert balancer.stalled(DEADLINE_S) == ["a"]
    assert (new_events(balancer), serving(balancer)) == ("ejected a, promoted s", "bs")
    assert balancer.readmit("a", DEADLINE_S + 4.9) is False
    assert balancer.readmit("a", DEADLINE_S + 5.0) is True
    assert balancer.stalled(DEADLINE_S + 5.1) == ["a"]  # what has waited there all the time waits still


def test_stalled_last_one_in_rotation_stays() -> None:
    """As with failed answers."""
    balancer = stalling()
    balancer.stalled(2.0)
    balancer.eject("b", 2.5, "no answer")
    balancer.stalled(20.0)
    assert serving(balancer) == "a"


def test_answer_times_remember_the_slowest_of_the_last_minute() -> None:
    """Each answer counts for a minute, whatever comes after it."""
    times = AnswerTimes()
    assert times.slowest_s(0.0) is None
    for now, took_s in ((0.0, 0.5), (10.0, 0.3), (20.0, 0.1), (30.0, 0.2)):
        times.note(now, took_s)
    assert [times.slowest_s(now) for now in (60.0, 61.0, 71.0, 90.0, 91.0)] == [0.5, 0.3, 0.2, 0.2, None]
    assert patience_s(0.2) == 1.0
