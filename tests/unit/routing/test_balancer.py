"""The balancer's rules one by one. Predictors have one-letter names; times are seconds given by the test."""

from pathlib import Path

import pytest

from routing.balancer import EVENTS_KEPT, Balancer, DownError, Rules, SaturatedError
from routing.rotation import Slot
from routing.topology import Entry, Role, Topology

HOLD_DOWN_S = 5.0
MAX_ERRORS = 3


def balancer_of(actives: str, standbys: str = "", capacity: int = 10) -> Balancer:
    """A balancer at time 0 with an active or standby predictor per letter, in this order."""
    entries = tuple(
        Entry(name, "127.0.0.1", 9000 + number, capacity, Role.ACTIVE if name in actives else Role.STANDBY)
        for number, name in enumerate(actives + standbys)
    )
    rules = Rules(max_errors=MAX_ERRORS, hold_down_s=HOLD_DOWN_S)
    return Balancer(Topology("test", Path("test.json"), entries, {}, "{}"), 0.0, rules)


def reserve(balancer: Balancer, count: int, now: float = 0.0) -> list[Slot]:
    """Choose `count` times and give nothing back."""
    return [balancer.choose(now) for _ in range(count)]


def names(slots: list[Slot]) -> str:
    """Who was chosen, in order."""
    return "".join(slot.predictor.name for slot in slots)


def release_all(balancer: Balancer, slots: list[Slot], now: float) -> None:
    """Give all slots back."""
    for slot in slots:
        balancer.release(slot, now)


def sequence(balancer: Balancer, count: int, now: float = 0.0) -> str:
    """Who gets `count` requests sent one after the other."""
    chosen = ""
    for _ in range(count):
        slot = balancer.choose(now)
        chosen += slot.predictor.name
        balancer.release(slot, now)
    return chosen


def serving(balancer: Balancer) -> str:
    """Who is in rotation, in file order."""
    return "".join(name for name, predictor in balancer.predictors.items() if predictor.in_rotation)


def new_events(balancer: Balancer) -> list[tuple[str, str]]:
    """The events since the last call, without time and reason."""
    return [(event.event, event.predictor) for event in balancer.pop_new_events()]


def fail_in_a_row(balancer: Balancer, name: str, count: int, now: float = 0.0) -> None:
    """Count this many failed answers."""
    for _ in range(count):
        balancer.answer_failed(name, now, "answered 500")


# Choosing


def test_choose_idle_pool_goes_round_robin() -> None:
    """One after the other on an idle pool, requests go a, b, c, a."""
    assert sequence(balancer_of("abc"), 7) == "abcabca"


def test_choose_held_open_spreads_evenly() -> None:
    """30 requests held open spread 10/10/10, turn by turn."""
    assert names(reserve(balancer_of("abc"), 30)) == "abc" * 10


def test_choose_unequal_loads_takes_the_lowest() -> None:
    """The predictor with the lowest load gets the next request, whoever was chosen last."""
    balancer = balancer_of("abc")
    slots = reserve(balancer, 6)
    release_all(balancer, [slots[1], slots[4]], 0.0)
    assert names(reserve(balancer, 2)) == "bb"


def test_choose_equal_loads_takes_the_longest_unchosen() -> None:
    """Among equals the one whose last request is longest ago is next, not the one that came free first."""
    balancer = balancer_of("abc")
    first, second, third = reserve(balancer, 3)
    release_all(balancer, [third, second, first], 0.0)
    assert sequence(balancer, 3) == "abc"


def test_choose_one_at_capacity_passes_it_over() -> None:
    """A predictor at its capacity gets nothing, though others are as full as it."""
    entries = (Entry("a", "h", 1, 1, Role.ACTIVE), Entry("b", "h", 2, 3, Role.ACTIVE))
    balancer = Balancer(Topology("test", Path("test.json"), entries, {}, "{}"), 0.0)
    assert names(reserve(balancer, 4)) == "abbb"
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)


def test_choose_with_tried_passes_them_over() -> None:
    """A request does not go again to a predictor that it has tried; the others keep their order."""
    balancer = balancer_of("abc")
    assert balancer.choose(0.0, ["a"]).predictor.name == "b"
    assert balancer.choose(0.0, ["a", "b"]).predictor.name == "c"
    assert balancer.choose(0.0).predictor.name == "a"


def test_choose_all_tried_is_refused() -> None:
    """A request that has been everywhere is refused; others are still placed."""
    balancer = balancer_of("ab")
    with pytest.raises(DownError):
        balancer.choose(0.0, ["a", "b"])
    assert sequence(balancer, 2) == "ab"


def test_choose_31st_of_30_slots_is_refused_as_saturated() -> None:
    """With every slot taken the next request is refused, and no counter moves."""
    balancer = balancer_of("abc")
    reserve(balancer, 30)
    with pytest.raises(SaturatedError) as refused:
        balancer.choose(0.0)
    assert refused.value.reason == "saturated"
    assert [p.load for p in balancer.predictors.values()] == [10, 10, 10]


def test_choose_after_one_slot_came_back_is_placed_there() -> None:
    """As soon as one request of a full pool is answered the next one is accepted."""
    balancer = balancer_of("abc")
    slots = reserve(balancer, 30)
    balancer.release(slots[13], 0.0)
    assert balancer.choose(0.0).predictor.name == slots[13].predictor.name


def test_choose_nobody_up_is_refused_as_down() -> None:
    """Without a predictor that is up the refusal says down."""
    balancer = balancer_of("ab", "c")
    for name in "abc":
        balancer.eject(name, 0.0, "connection refused")
    with pytest.raises(DownError) as refused:
        balancer.choose(0.0)
    assert refused.value.reason == "down"


@pytest.mark.parametrize(
    ("drained", "said"), [("", "no predictor is up"), ("b", "down or drained"), ("ab", "is drained")]
)
def test_choose_nobody_available_says_whether_that_is_the_operators_doing(drained: str, said: str) -> None:
    """A healthy predictor that an operator drained is not called down."""
    balancer = balancer_of("ab")
    for name in "ab":
        if name in drained:
            balancer.drain(name, 0.0)
        else:
            balancer.eject(name, 0.0, "connection refused")
    with pytest.raises(DownError, match=said) as refused:
        balancer.choose(0.0)
    assert refused.value.reason == "down"


def test_choose_one_down_rest_full_is_refused_as_saturated() -> None:
    """While one predictor is up but full, the refusal says saturated."""
    balancer = balancer_of("ab", capacity=1)
    balancer.eject("a", 0.0, "connection refused")
    reserve(balancer, 1)
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)


def test_choose_rejoined_predictor_shares_by_load() -> None:
    """One that comes back empty gets the next requests until it has as many as the others."""
    balancer = balancer_of("ab")
    balancer.eject("a", 0.0, "connection refused")
    reserve(balancer, 3)
    balancer.readmit("a", 1.0)
    assert names(reserve(balancer, 5, 1.0)) == "aaaba"


# Slots


def test_release_twice_raises() -> None:
    """A slot is given back exactly once: a second time is a defect, and counts nothing."""
    balancer = balancer_of("a")
    first, _ = reserve(balancer, 2)
    balancer.release(first, 0.0)
    with pytest.raises(RuntimeError, match="a was released twice"):
        balancer.release(first, 0.0)
    assert balancer.predictors["a"].load == 1


def test_release_after_eject_counts_down() -> None:
    """A request that was at a predictor when it left goes on counting until it ends."""
    balancer = balancer_of("ab")
    slots = reserve(balancer, 2)
    balancer.eject("a", 0.0, "no answer")
    assert balancer.predictors["a"].load == 1
    release_all(balancer, slots, 0.0)
    assert [p.load for p in balancer.predictors.values()] == [0, 0]


def test_release_after_rejoin_keeps_the_count() -> None:
    """A slot from before an outage still counts after it: capacity is never exceeded."""
    balancer = balancer_of("a", capacity=2)
    old = reserve(balancer, 2)
    balancer.eject("a", 0.0, "no answer")
    balancer.readmit("a", 1.0)
    with pytest.raises(SaturatedError):
        balancer.choose(1.0)
    balancer.release(old[0], 1.0)
    assert balancer.choose(1.0).predictor.load == 2


def test_peak_load_remembers_the_most_in_flight() -> None:
    """The peak stays when the load falls."""
    balancer = balancer_of("a")
    release_all(balancer, reserve(balancer, 7), 0.0)
    assert (balancer.predictors["a"].load, balancer.predictors["a"].peak_load) == (0, 7)


def test_reserve_at_full_predictor_counts_beyond_capacity() -> None:
    """A request already on its way somewhere is counted there, even over capacity and out of rotation."""
    balancer = balancer_of("a", "s", capacity=1)
    held = [balancer.reserve_at("a", 0.0), balancer.reserve_at("a", 0.0), balancer.reserve_at("s", 0.0)]
    assert [p.load for p in balancer.predictors.values()] == [2, 1]
    assert serving(balancer) == "a"
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)
    release_all(balancer, held, 0.0)
    assert [p.load for p in balancer.predictors.values()] == [0, 0]
    assert balancer.choose(0.0).predictor.name == "a"


def test_has_free_slot_says_whether_choose_would_place() -> None:
    """Room is a free slot in rotation, or a standby that may be promoted; asking promotes nobody."""
    balancer = balancer_of("a", "s", capacity=1)
    reserve(balancer, 1)
    assert balancer.has_free_slot(0.0)
    assert serving(balancer) == "a"
    reserve(balancer, 1)
    assert not balancer.has_free_slot(0.0)


def test_has_free_slot_with_all_tried_is_false() -> None:
    """There is no room for a request that has been everywhere."""
    balancer = balancer_of("ab")
    assert balancer.has_free_slot(0.0, ["a"])
    assert not balancer.has_free_slot(0.0, ["a", "b"])


# Promotion


def test_promote_21st_request_is_served_by_the_standby() -> None:
    """Two actives full: the request that found it so promotes the standby and is served by it."""
    balancer = balancer_of("ab", "c")
    assert set(names(reserve(balancer, 20))) == {"a", "b"}
    assert new_events(balancer) == []
    assert balancer.choose(1.0).predictor.name == "c"
    assert balancer.events[-1] == (1.0, "promoted", "c", "every predictor in rotation is at capacity")


def test_promote_standby_full_too_refuses_the_31st() -> None:
    """The promoted standby is filled like any other, then requests are refused."""
    balancer = balancer_of("ab", "c")
    assert names(reserve(balancer, 30))[20:] == "c" * 10
    with pytest.raises(SaturatedError):
        balancer.choose(0.0)


def test_promote_several_for_saturation_one_per_need() -> None:
    """Standbys come one at a time, in file order, each only when all before it are full."""
    balancer = balancer_of("a", "stu", capacity=2)
    assert names(reserve(balancer, 8)) == "aassttuu"


@pytest.mark.parametrize("take_out", ["eject", "drain"])
def test_promote_active_out_replaces_it(take_out: str) -> None:
    """An active predictor that is ejected or drained is replaced at once."""
    balancer = balancer_of("ab", "c")
    if take_out == "eject":
        balancer.eject("a", 3.0, "connection refused")
    else:
        balancer.drain("a", 3.0)
    assert serving(balancer) == "bc"
    assert new_events(balancer) == [("ejected" if take_out == "eject" else "drained", "a"), ("promoted", "c")]


def test_promote_per_missing_active_in_file_order() -> None:
    """Each missing active promotes one standby, the first that is free, and no more."""
    balancer = balancer_of("abc", "stu")
    balancer.eject("b", 0.0, "no answer")
    assert serving(balancer) == "acs"
    balancer.eject("a", 0.1, "no answer")
    assert serving(balancer) == "cst"


def test_promote_standby_fails_next_takes_its_place() -> None:
    """A promoted standby that fails is itself replaced, at once."""
    balancer = balancer_of("a", "st")
    balancer.eject("a", 0.0, "no answer")
    balancer.eject("s", 0.1, "no answer")
    assert serving(balancer) == "t"
    assert new_events(balancer) == [("ejected", "a"), ("promoted", "s"), ("ejected", "s"), ("promoted", "t")]


def test_promote_standby_down_is_passed_over() -> None:
    """A standby that is down or drained is not promoted; the next one is."""
    balancer = balancer_of("ab", "stu")
    balancer.eject("s", 0.0, "no answer")
    balancer.drain("t", 0.0)
    balancer.eject("a", 1.0, "no answer")
    assert serving(balancer) == "bu"


def test_promote_standby_recovers_fills_the_open_need() -> None:
    """An active is missing and no standby is up: the first to recover is promoted then."""
    balancer = balancer_of("ab", "s")
    balancer.eject("s", 0.0, "no answer")
    balancer.eject("a", 1.0, "no answer")
    assert serving(balancer) == "b"
    balancer.readmit("s", 2.0)
    assert serving(balancer) == "bs"


def test_promote_standby_recovers_reason_names_every_missing_active() -> None:
    """Who reads the event learns whom the standby stands in for, and whether an operator took that one out."""
    balancer = balancer_of("abc", "s")
    balancer.eject("s", 0.0, "no answer")
    balancer.eject("a", 1.0, "no answer")
    balancer.drain("c", 1.0)
    balancer.readmit("s", 2.0)
    assert balancer.events[-1].reason == "a is down, c is drained"


def test_promote_saturation_standby_then_counts_as_the_replacement() -> None:
    """A standby promoted for saturation stands in for an active that fails later: no second one is promoted."""
    balancer = balancer_of("ab", "st", capacity=1)
    reserve(balancer, 3)
    balancer.eject("a", 1.0, "no answer")
    assert serving(balancer) == "bs"


def test_promote_for_a_resend_stays_for_the_hold_down() -> None:
    """A standby that came for one request only, at low load, still stays for the hold-down: no flapping."""
    balancer = balancer_of("a", "s")
    balancer.release(balancer.choose(10.0, ["a"]), 10.0)
    assert serving(balancer) == "as"
    balancer.tick(14.9)
    assert serving(balancer) == "as"
    balancer.tick(15.0)
    assert serving(balancer) == "a"


def test_eject_standby_not_promoted_promotes_nobody() -> None:
    """A standby that fails before it is needed creates no need."""
    balancer = balancer_of("ab", "st")
    balancer.eject("s", 0.0, "no answer")
    assert serving(balancer) == "ab"
    assert new_events(balancer) == [("failed", "s")]


# Failback


def test_failback_active_back_standby_steps_back_after_the_hold_down() -> None:
    """All actives are back: the standby stays for the hold-down, then steps back."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 10.0, "no answer")
    balancer.readmit("a", 12.0)
    balancer.tick(16.9)
    assert serving(balancer) == "abc"
    balancer.tick(17.0)
    assert serving(balancer) == "ab"
    assert balancer.events[-1].event == "demoted"


def test_failback_after_a_long_outage_waits_for_the_hold_down_too() -> None:
    """However long the active was away, and however low the load: it must be back for the hold-down."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 10.0, "no answer")
    balancer.tick(50.0)
    balancer.readmit("a", 100.0)
    balancer.tick(104.9)
    assert serving(balancer) == "abc"
    balancer.tick(105.0)
    assert serving(balancer) == "ab"


def test_failback_active_fails_again_starts_the_hold_down_anew() -> None:
    """The hold-down counts from the last return of the last missing active."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 10.0, "no answer")
    balancer.readmit("a", 12.0)
    balancer.eject("b", 16.0, "no answer")
    balancer.readmit("b", 18.0)
    balancer.tick(22.9)
    assert serving(balancer) == "abc"
    balancer.tick(23.0)
    assert serving(balancer) == "ab"


def test_failback_while_an_active_is_missing_keeps_its_replacement() -> None:
    """The replacement stays as long as the active is away, at no load at all."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 0.0, "no answer")
    for now in range(1, 100):
        balancer.tick(float(now))
    assert serving(balancer) == "bc"


def test_failback_actives_full_keeps_the_standby() -> None:
    """The standby is not sent away while the load would not fit into the actives; it goes as soon as it does."""
    balancer = balancer_of("ab", "c", capacity=2)
    balancer.eject("a", 0.0, "no answer")
    slots = reserve(balancer, 4)
    balancer.readmit("a", 1.0)
    slots += reserve(balancer, 2, 1.0)
    balancer.tick(20.0)
    assert serving(balancer) == "abc"
    release_all(balancer, slots[:3], 21.0)
    balancer.tick(21.0)
    assert serving(balancer) == "ab"


def test_failback_saturation_over_steps_back_after_the_hold_down() -> None:
    """Load at half of the actives' capacity for the hold-down: the standby steps back."""
    balancer = balancer_of("ab", "c")
    slots = reserve(balancer, 21)
    release_all(balancer, slots[10:], 8.0)
    balancer.tick(12.9)
    assert serving(balancer) == "abc"
    balancer.tick(13.0)
    assert serving(balancer) == "ab"
    assert new_events(balancer) == [("promoted", "c"), ("demoted", "c")]


def test_failback_load_above_half_keeps_the_standby() -> None:
    """One request above half of the actives' capacity keeps it."""
    balancer = balancer_of("ab", "c")
    release_all(balancer, reserve(balancer, 21)[11:], 8.0)
    balancer.tick(100.0)
    assert serving(balancer) == "abc"


def test_failback_load_rises_in_between_starts_the_hold_down_anew() -> None:
    """The low load must last: one moment above half and the hold-down starts again."""
    balancer = balancer_of("ab", "c")
    slots = reserve(balancer, 21)
    release_all(balancer, slots[10:], 8.0)
    balancer.release(balancer.choose(12.0), 12.0)
    balancer.tick(16.9)
    assert serving(balancer) == "abc"
    balancer.tick(17.0)
    assert serving(balancer) == "ab"


def test_failback_short_burst_keeps_the_standby_for_the_hold_down() -> None:
    """A saturation that is over at once: the standby's role still changes only once per hold-down."""
    balancer = balancer_of("ab", "c")
    release_all(balancer, reserve(balancer, 21, 10.0), 10.1)
    balancer.tick(15.0)
    assert serving(balancer) == "abc"
    balancer.tick(15.1)
    assert serving(balancer) == "ab"


def test_failback_surplus_of_saturation_goes_while_an_active_is_missing() -> None:
    """The standby that came for the load steps back; the one that stands in for a failure stays."""
    balancer = balancer_of("ab", "st", capacity=2)
    balancer.eject("a", 0.0, "no answer")
    slots = reserve(balancer, 5)
    assert serving(balancer) == "bst"
    release_all(balancer, slots, 1.0)
    balancer.tick(6.0)
    assert serving(balancer) == "bs"


def test_failback_in_flight_requests_end_at_the_standby() -> None:
    """A standby that steps back takes nothing new and keeps what it has until it ends."""
    balancer = balancer_of("ab", "c", capacity=2)
    slots = reserve(balancer, 5)
    assert slots[-1].predictor.name == "c"
    release_all(balancer, slots[:4], 1.0)
    balancer.tick(6.0)
    standby = balancer.predictors["c"]
    assert (serving(balancer), standby.state, standby.load) == ("ab", "standby", 1)
    assert sequence(balancer, 4, 6.0) == "abab"
    balancer.release(slots[-1], 7.0)
    assert standby.load == 0


def test_role_change_within_the_hold_down_is_not_made_for_saturation() -> None:
    """A standby that has just stepped back is not promoted again for load: the request is refused."""
    balancer = balancer_of("a", "s", capacity=2)
    release_all(balancer, reserve(balancer, 3), 1.0)
    balancer.tick(6.0)
    reserve(balancer, 2, 7.0)
    assert not balancer.has_free_slot(10.9)
    with pytest.raises(SaturatedError):
        balancer.choose(10.9)
    assert balancer.choose(11.0).predictor.name == "s"


def test_role_change_within_the_hold_down_is_made_to_replace_a_failure() -> None:
    """A standby that has just stepped back is promoted at once when an active fails."""
    balancer = balancer_of("ab", "s", capacity=2)
    release_all(balancer, reserve(balancer, 5), 1.0)
    balancer.tick(6.0)
    assert serving(balancer) == "ab"
    balancer.eject("a", 6.1, "no answer")
    assert serving(balancer) == "bs"


# Failed answers


def test_answer_failed_three_in_a_row_eject() -> None:
    """The third failed answer in a row takes the predictor out, and says why."""
    balancer = balancer_of("ab")
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1)
    assert serving(balancer) == "ab"
    balancer.answer_failed("a", 2.0, "answered 502")
    assert serving(balancer) == "b"
    event = balancer.events[-1]
    assert event[:3] == (2.0, "ejected", "a")
    assert "3 failed answers" in event.reason
    assert "answered 502" in event.reason


def test_answered_in_between_resets_the_row() -> None:
    """A good answer ends the row: two, a good one, two do not eject."""
    balancer = balancer_of("ab")
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1)
    balancer.answered("a")
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1)
    assert serving(balancer) == "ab"
    assert (balancer.predictors["a"].served, balancer.predictors["a"].failed) == (1, 4)


def test_answer_failed_without_blame_never_ejects() -> None:
    """Failures that were the request's fault are counted and never eject, nor do they belong to a row."""
    balancer = balancer_of("ab")
    for _ in range(20):
        balancer.answer_failed("a", 0.0, "answered 500", blame=False)
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1)
    assert serving(balancer) == "ab"
    assert balancer.predictors["a"].failed == 22


def test_answer_failed_last_in_rotation_is_never_ejected() -> None:
    """The last predictor in rotation stays, whatever it answers."""
    balancer = balancer_of("ab")
    balancer.eject("b", 0.0, "no answer")
    fail_in_a_row(balancer, "a", 20)
    assert serving(balancer) == "a"


def test_answer_failed_last_active_with_a_standby_left_is_not_ejected() -> None:
    """A waiting standby is not in rotation: the only one that is stays."""
    balancer = balancer_of("a", "s")
    fail_in_a_row(balancer, "a", 20)
    assert serving(balancer) == "a"


def test_answer_failed_replaced_by_the_standby() -> None:
    """An active that is ejected for its answers is replaced like any other."""
    balancer = balancer_of("ab", "c")
    fail_in_a_row(balancer, "b", MAX_ERRORS)
    assert serving(balancer) == "ac"


# Leaving and coming back


def test_eject_twice_counts_once() -> None:
    """The return says whether it was up until now; a second report changes nothing."""
    balancer = balancer_of("ab")
    assert balancer.eject("a", 0.0, "connection refused")
    assert not balancer.eject("a", 1.0, "connection refused")
    assert new_events(balancer) == [("ejected", "a")]


def test_readmit_first_failure_returns_at_once() -> None:
    """A predictor that fails for the first time is back as soon as it is well."""
    balancer = balancer_of("ab")
    balancer.eject("a", 100.0, "connection refused")
    assert balancer.readmit("a", 100.5)
    assert serving(balancer) == "ab"
    assert new_events(balancer) == [("ejected", "a"), ("readmitted", "a")]


def test_readmit_one_that_is_up_changes_nothing() -> None:
    """Health checks that go on passing are no event."""
    balancer = balancer_of("ab", "s")
    assert balancer.readmit("a", 1.0)
    assert balancer.readmit("s", 1.0)
    assert new_events(balancer) == []


def test_readmit_flapping_waits_for_the_rest_of_the_hold_down() -> None:
    """Back at 10, failed again at 11: it waits until 15, a hold-down after it came back."""
    balancer = balancer_of("ab")
    balancer.eject("a", 9.0, "connection refused")
    balancer.readmit("a", 10.0)
    balancer.eject("a", 11.0, "connection refused")
    assert not balancer.readmit("a", 14.9)
    assert serving(balancer) == "b"
    assert balancer.readmit("a", 15.0)
    assert serving(balancer) == "ab"


def test_readmit_flapping_is_taken_at_once_when_nobody_serves() -> None:
    """Better one that flaps than none."""
    balancer = balancer_of("ab")
    balancer.eject("a", 9.0, "connection refused")
    balancer.readmit("a", 10.0)
    balancer.eject("a", 11.0, "connection refused")
    balancer.eject("b", 11.0, "connection refused")
    assert balancer.readmit("a", 11.5)
    assert serving(balancer) == "a"


def test_readmit_after_failed_answers_waits_for_the_hold_down() -> None:
    """Probes cannot see why it answered 5xx: it stays out for a hold-down from then on."""
    balancer = balancer_of("ab")
    fail_in_a_row(balancer, "a", MAX_ERRORS, now=20.0)
    assert not balancer.readmit("a", 24.9)
    assert balancer.readmit("a", 25.0)


def test_readmit_standby_waits_outside() -> None:
    """A standby that recovers is ready again, not in rotation."""
    balancer = balancer_of("ab", "s")
    balancer.eject("s", 0.0, "connection refused")
    assert balancer.predictors["s"].state == "down"
    balancer.readmit("s", 1.0)
    assert balancer.predictors["s"].state == "standby"
    assert new_events(balancer) == [("failed", "s"), ("recovered", "s")]


def test_readmit_clears_the_row_of_failures() -> None:
    """One that comes back starts with no failures."""
    balancer = balancer_of("ab")
    fail_in_a_row(balancer, "a", MAX_ERRORS)
    balancer.readmit("a", 10.0)
    fail_in_a_row(balancer, "a", MAX_ERRORS - 1, now=10.0)
    assert serving(balancer) == "ab"


# Drain and ready


def test_drain_lets_requests_in_flight_end() -> None:
    """A drained predictor gets nothing new; its state says when the last request has ended."""
    balancer = balancer_of("ab")
    slots = reserve(balancer, 2)
    balancer.drain("a", 0.0)
    assert balancer.predictors["a"].state == "draining"
    assert sequence(balancer, 3) == "bbb"
    balancer.release(slots[0], 1.0)
    assert balancer.predictors["a"].state == "drained"


def test_ready_puts_it_back_at_once() -> None:
    """Ready returns a healthy predictor to rotation; the standby steps back after the hold-down."""
    balancer = balancer_of("ab", "c")
    balancer.drain("a", 0.0)
    balancer.ready("a", 30.0)
    assert serving(balancer) == "abc"
    balancer.tick(35.0)
    assert serving(balancer) == "ab"
    assert new_events(balancer) == [("drained", "a"), ("promoted", "c"), ("ready", "a"), ("demoted", "c")]


def test_ready_one_that_is_down_waits_for_its_health() -> None:
    """Ready does not overrule the health checks."""
    balancer = balancer_of("ab")
    balancer.drain("a", 0.0)
    balancer.eject("a", 1.0, "connection refused")
    balancer.ready("a", 2.0)
    assert serving(balancer) == "b"
    balancer.readmit("a", 3.0)
    assert serving(balancer) == "ab"


def test_readmit_drained_predictor_stays_out() -> None:
    """Health checks do not overrule the operator."""
    balancer = balancer_of("ab")
    balancer.drain("a", 0.0)
    balancer.eject("a", 1.0, "connection refused")
    assert balancer.readmit("a", 2.0)
    assert (serving(balancer), balancer.predictors["a"].state) == ("b", "drained")
    balancer.ready("a", 3.0)
    assert serving(balancer) == "ab"


def test_drain_and_ready_twice_change_nothing() -> None:
    """An order that is already carried out is no event."""
    balancer = balancer_of("ab")
    balancer.ready("a", 0.0)
    balancer.drain("a", 1.0)
    balancer.drain("a", 2.0)
    balancer.ready("a", 3.0)
    balancer.ready("a", 4.0)
    assert new_events(balancer) == [("drained", "a"), ("ready", "a")]


def test_drain_standby_is_not_promoted_until_ready() -> None:
    """A drained standby stands in for nobody; ready lets it."""
    balancer = balancer_of("ab", "s")
    balancer.drain("s", 0.0)
    balancer.eject("a", 1.0, "no answer")
    assert serving(balancer) == "b"
    balancer.ready("s", 2.0)
    assert serving(balancer) == "bs"


def test_drain_promoted_standby_promotes_the_next() -> None:
    """A standby that stands in and is drained is replaced like any other."""
    balancer = balancer_of("a", "st")
    balancer.eject("a", 0.0, "no answer")
    balancer.drain("s", 1.0)
    assert serving(balancer) == "t"


def test_drain_all_leaves_nobody_and_says_down() -> None:
    """Whom the operator has taken out serves nobody, not even as the last."""
    balancer = balancer_of("ab")
    balancer.drain("a", 0.0)
    balancer.drain("b", 0.0)
    with pytest.raises(DownError):
        balancer.choose(0.0)


@pytest.mark.parametrize("order", ["drain", "ready"])
def test_drain_and_ready_unknown_name_raises(order: str) -> None:
    """An unknown name is a KeyError."""
    with pytest.raises(KeyError):
        getattr(balancer_of("a"), order)("x", 0.0)


# Events and states


def test_events_of_a_failover_tell_time_and_reason() -> None:
    """Every change says when, what, who and why, oldest first."""
    balancer = balancer_of("ab", "c")
    balancer.eject("a", 1.0, "connection refused")
    balancer.readmit("a", 2.0)
    balancer.tick(7.0)
    assert list(balancer.events) == [
        (1.0, "ejected", "a", "connection refused"),
        (1.0, "promoted", "c", "a is down"),
        (2.0, "readmitted", "a", "health checks pass"),
        (7.0, "demoted", "c", "all actives are back"),
    ]


def test_pop_new_events_gives_each_once() -> None:
    """An event is fresh once; the history keeps it."""
    balancer = balancer_of("ab")
    balancer.drain("a", 0.0)
    assert new_events(balancer) == [("drained", "a")]
    assert new_events(balancer) == []
    assert len(balancer.events) == 1


def test_events_are_kept_up_to_a_bound() -> None:
    """The history forgets the oldest events, so it cannot grow for ever."""
    balancer = balancer_of("ab")
    for number in range(EVENTS_KEPT):
        balancer.drain("a", float(number))
        balancer.ready("a", float(number))
        balancer.pop_new_events()
    assert len(balancer.events) == EVENTS_KEPT
    assert balancer.events[-1].time_s == EVENTS_KEPT - 1


def test_states_of_a_new_balancer_follow_the_plan() -> None:
    """At first actives serve, standbys wait, and nothing has happened."""
    balancer = balancer_of("ab", "c")
    assert [p.state for p in balancer.predictors.values()] == ["serving", "serving", "standby"]
    assert list(balancer.events) == []
