"""What theory predicts for the first failure, held against figures from elsewhere and against itself."""

import heapq
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.theory.erlang import erlang_b, erlangs_at_blocking
from experiments.theory.first_failure import Prediction, Spread, predict_first_failure
from experiments.theory.simulation import ANSWER_EXTRA_S, LossSystem, affordable_replications, first_failures, simulate
from tests.unit.experiments.theory.engset import engset_first_failure

DEFAULTS: dict[str, Any] = {"service_time_s": 1.0, "spawn_rate_per_s": 1.0}

no_deadline = settings(deadline=None)  # the machine may be busy

slots_counts = st.integers(1, 200)
loads = st.floats(0.01, 400.0)


def spreads_of(prediction: Prediction) -> tuple[Spread, Spread, Spread]:
    """Rate, users and time of a prediction that must have all three."""
    assert prediction.rate_per_s is not None
    assert prediction.users is not None
    assert prediction.time_s is not None
    return prediction.rate_per_s, prediction.users, prediction.time_s


def first_failure_by_events(slots: int, service_time_s: float, rng: random.Random) -> tuple[float, float]:
    """Time and rate at the first failure of one run at 1 user/s, wait 1 to 5 s: a loop over events."""
    events = [(0.0, "spawn")]
    in_flight, sent = 0, []
    while True:
        now, event = heapq.heappop(events)
        if event == "answer":
            in_flight -= 1
            heapq.heappush(events, (now + rng.uniform(1.0, 5.0), "send"))
            continue
        if event == "spawn":
            heapq.heappush(events, (now + 1.0, "spawn"))
        sent.append(now)
        if in_flight == slots:
            window_s = min(10.0, now)
            return now, sum(time > now - 10.0 for time in sent) / window_s
        in_flight += 1
        heapq.heappush(events, (now + service_time_s + ANSWER_EXTRA_S, "answer"))


def first_refused(sent_s: list[float], slots: int, service_time_s: float) -> float | None:
    """The time of the first request that finds no slot, by counting ends; None if every request finds one."""
    ends: list[float] = []
    for time_s in sorted(sent_s):
        while ends and ends[0] <= time_s:
            heapq.heappop(ends)
        if len(ends) == slots:
            return time_s
        heapq.heappush(ends, time_s + service_time_s)
    return None


@pytest.mark.parametrize(
    ("slots", "median", "p5", "p95"), [(10, 5.8, 4.5, 6.9), (30, 21.2, 18.5, 23.4)], ids=["10", "30"]
)
def test_prediction_at_the_defaults_gives_the_known_figures(slots: int, median: float, p5: float, p95: float) -> None:
    """One and three predictors at the defaults fail at the rates that a separate simulation found."""
    rate, _, _ = spreads_of(predict_first_failure(slots, **DEFAULTS))
    assert rate.median == pytest.approx(median, abs=0.15)
    assert (rate.p5, rate.p95) == pytest.approx((p5, p95), abs=0.25)


def test_prediction_agrees_with_a_plain_event_loop() -> None:
    """Reading the first failure off sorted request times gives what counting slots event by event gives."""
    rng = random.Random(4)
    runs = [first_failure_by_events(10, 1.0, rng) for _ in range(1000)]
    times_s, rates = np.array(runs).T
    rate, _, time_s = spreads_of(predict_first_failure(10, **DEFAULTS))
    assert np.median(times_s) == pytest.approx(time_s.median, rel=0.03)
    assert np.quantile(rates, [0.05, 0.5, 0.95]) == pytest.approx([rate.p5, rate.median, rate.p95], abs=0.25)


@pytest.mark.parametrize(("slots", "rate_gap"), [(10, 0.06), (20, 0.04), (30, 0.03)])
def test_engset_chain_agrees_with_the_simulation(slots: int, rate_gap: float) -> None:
    """Chain and simulation, two ways to one figure, agree: the median time to 2 %, the rate as stated."""
    rate, users, time_s = engset_first_failure(slots, **DEFAULTS)
    expected = spreads_of(predict_first_failure(slots, **DEFAULTS))
    assert rate.median == pytest.approx(expected[0].median, rel=rate_gap)
    assert users.median == pytest.approx(expected[1].median, rel=0.04)  # 1 user of 26
    assert time_s.median == pytest.approx(expected[2].median, rel=0.02)
    assert (time_s.p5, time_s.p95) == pytest.approx((expected[2].p5, expected[2].p95), rel=0.06)


def test_engset_chain_with_short_service_agrees_closely() -> None:
    """Where users send many times before the first failure, what the chain neglects has faded: 3 % at most."""
    simulation = spreads_of(predict_first_failure(10, 0.2, 1.0))
    for found, expected in zip(engset_first_failure(10, 0.2, 1.0), simulation, strict=True):
        assert found.median == pytest.approx(expected.median, rel=0.03)


def test_prediction_with_the_same_seed_is_the_same() -> None:
    """A prediction depends on its settings and its seed alone."""
    first, again, other = (predict_first_failure(10, 1.0, 1.0, replications=300, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_prediction_with_more_slots_fails_later_and_faster() -> None:
    """More slots: more users, a later failure, a higher rate."""
    predictions = [predict_first_failure(slots, **DEFAULTS, replications=500) for slots in (5, 10, 20)]
    for figures in zip(*map(spreads_of, predictions), strict=True):
        medians = [spread.median for spread in figures]
        assert medians == sorted(set(medians))


def test_prediction_range_holds_nine_runs_in_ten() -> None:
    """The 5 to 95 % range holds about 90 % of other runs of the same system."""
    rate, _, _ = spreads_of(predict_first_failure(10, **DEFAULTS))
    _, _, rates = simulate(LossSystem(10, 1.0, 1.0), 2000, seed=99)
    assert np.mean([rate.contains(value) for value in rates]) == pytest.approx(0.91, abs=0.03)


def test_prediction_with_one_slot_fails_at_the_second_user() -> None:
    """The second user comes 1 s after the first, just before the first is answered: 2 requests in 1 s."""
    two, one = Spread(2.0, 2.0, 2.0), Spread(1.0, 1.0, 1.0)
    assert spreads_of(predict_first_failure(1, 1.0, 1.0)) == (two, two, one)


def test_prediction_without_wait_fails_when_users_exceed_slots() -> None:
    """Users who never wait are always in flight: the 11th user meets 10 full slots."""
    _, users, time_s = spreads_of(predict_first_failure(10, 1.0, 1.0, (0.0, 0.0), replications=10))
    assert (users.median, time_s.median) == (11.0, 10.0)


def test_prediction_with_long_service_counts_every_user() -> None:
    """Service longer than the run: each user holds a slot for good, and the window is the last 10 s alone."""
    rate, users, time_s = spreads_of(predict_first_failure(20, 100.0, 2.0, replications=10))
    assert (users.median, time_s.median) == (22.0, 10.0)  # 2 at a time; the 21st fails
    assert rate.median == 2.1


@pytest.mark.parametrize(
    ("arguments", "replications", "note"),
    [
        ({"service_time_s": 0.0}, 0, "service time 0"),
        ({"max_users": 10}, 0, "10 users"),
        ({"run_time_s": 9.0, "replications": 50}, 50, "none of 50"),
        ({"slots": 30, "service_time_s": 0.001}, 0, "too long"),
    ],
    ids=["nothing is ever in flight", "as many users as slots", "9 of 11 users have come", "too many requests"],
)
def test_prediction_without_a_failure_has_a_note_in_place_of_figures(
    arguments: dict[str, Any], replications: int, note: str
) -> None:
    """Nothing can fail, nothing did in the simulated runs, or a run is too long to be simulated: the note has which."""
    prediction = predict_first_failure(**{"slots": 10, **DEFAULTS, **arguments})
    assert (prediction.rate_per_s, prediction.users, prediction.time_s) == (None, None, None)
    assert (prediction.share_reached, prediction.replications) == (0.0, replications)
    assert note in prediction.note


def test_prediction_with_a_short_run_gives_the_share_that_fails() -> None:
    """A time limit at the median of the first failure lets half of the runs reach it, before the limit."""
    _, _, unlimited_s = spreads_of(predict_first_failure(10, **DEFAULTS))
    limited = predict_first_failure(10, **DEFAULTS, run_time_s=unlimited_s.median)
    assert limited.share_reached == pytest.approx(0.5, abs=0.05)
    assert spreads_of(limited)[2].p95 < unlimited_s.median


def test_prediction_with_few_users_ends_and_gives_the_share() -> None:
    """With users capped and no time limit the watch still ends, and never finds more users than the cap."""
    prediction = predict_first_failure(10, **DEFAULTS, max_users=16, replications=300)
    assert 0.2 < prediction.share_reached < 1.0
    assert spreads_of(prediction)[1].p95 == 16.0


def test_prediction_with_first_users_over_slots_has_no_rate() -> None:
    """Ten users at time 0 on four slots fail before any time has passed: users and time, but no rate."""
    prediction = predict_first_failure(4, 1.0, 10.0)
    assert prediction.rate_per_s is None
    assert (prediction.users, prediction.time_s) == (Spread(10.0, 10.0, 10.0), Spread(0.0, 0.0, 0.0))
    assert prediction.share_reached == 1.0


def test_affordable_replications_are_fewer_of_longer_runs() -> None:
    """With a short service a run takes so many requests that not all replications are simulated."""
    assert affordable_replications(LossSystem(30, 0.1, 1.0), 10_000) < 10_000


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"slots": 0}, "slots is 0"),
        ({"slots": 2.5}, "slots is 2.5"),
        ({"slots": True}, "slots is True"),
        ({"service_time_s": -1.0}, "service_time_s is -1.0"),
        ({"service_time_s": math.nan}, "service_time_s is nan"),
        ({"spawn_rate_per_s": 0.0}, "spawn_rate_per_s is 0.0"),
        ({"spawn_rate_per_s": math.inf}, "spawn_rate_per_s is inf"),
        ({"wait_s": (5.0, 1.0)}, r"wait_s is \(5.0, 1.0\)"),
        ({"wait_s": (-1.0, 1.0)}, "wait_s is"),
        ({"max_users": 0}, "max_users is 0"),
        ({"run_time_s": 0.0}, "run_time_s is 0.0"),
        ({"replications": 0}, "replications is 0"),
    ],
)
def test_prediction_with_a_value_out_of_range_names_value_and_range(change: dict[str, Any], text: str) -> None:
    """A refused value is named, with what is accepted."""
    arguments = {"slots": 10, **DEFAULTS, **change}
    with pytest.raises(ValueError, match=f"^{text}.*; accepted: "):
        predict_first_failure(**arguments)


@pytest.mark.parametrize(
    ("rate_per_s", "expected_s"),
    [
        (1.0, [0.0, 1.0, 2.0, 3.0]),
        (0.5, [0.0, 2.0]),
        (2.5, [0.0, 0.0, 0.8, 0.8, 1.6, 1.6, 2.4, 2.4, 3.2, 3.2]),
    ],
)
def test_users_come_in_steps_of_whole_users(rate_per_s: float, expected_s: list[float]) -> None:
    """Locust's dispatcher spawns floor(rate) users at a time, at least one, and holds the mean rate by its pause."""
    system = LossSystem(10, 1.0, rate_per_s)
    assert system.spawns_s(0.0, 4.0) == pytest.approx(expected_s)
    assert [*system.spawns_s(0.0, 2.0), *system.spawns_s(2.0, 4.0)] == pytest.approx(expected_s)
    assert system.users_at(np.array([3.999])) == [len(expected_s)]


@no_deadline
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=60), st.integers(1, 6), st.integers(1, 900))
def test_first_failure_in_any_schedule_is_the_first_refused_request(
    sent_ms: list[int], slots: int, service_ms: int
) -> None:
    """Looking back over `slots` requests finds exactly the request that a count of occupied slots refuses first."""
    sent_s, service_s = [0.001 + ms / 1000 for ms in sent_ms], (service_ms + 0.5) / 1000  # no ties, no time 0
    failed, time_s, _ = first_failures(np.array([[*sent_s, np.inf]]), slots, service_s)
    expected = first_refused(sent_s, slots, service_s)
    assert time_s.tolist() == ([] if expected is None else [expected])
    assert failed.tolist() == [expected is not None]


def test_first_failure_rate_counts_the_window_and_the_failed_request() -> None:
    """Of requests at 0, 1, 11 and 11.5 s, the last of which fails, two lie in the 10 s before: 0.2 per second."""
    failed, time_s, rate_per_s = first_failures(np.array([[11.5, 0.0, 1.0, 11.0], [0.0, 2.0, 4.0, 6.0]]), 1, 0.9)
    assert failed.tolist() == [True, False]
    assert (time_s.tolist(), rate_per_s.tolist()) == ([11.5], [0.2])


def test_first_failure_rate_early_in_a_run_uses_the_time_so_far() -> None:
    """At 4 s into the run the window is 4 s: 3 requests make 0.75 per second."""
    _, _, rate_per_s = first_failures(np.array([[0.0, 3.5, 4.0]]), 1, 0.9)
    assert rate_per_s.tolist() == [0.75]


@pytest.mark.parametrize(("slots", "erlangs"), [(1, 0.0101), (5, 1.361), (10, 4.461), (20, 12.03), (30, 20.34)])
def test_erlangs_at_one_percent_gives_the_published_table(slots: int, erlangs: float) -> None:
    """Published Erlang B tables give these offered loads at 1 % blocking."""
    assert erlangs_at_blocking(slots, 0.01) == pytest.approx(erlangs, rel=5e-4)


@no_deadline
@given(st.integers(0, 60), st.floats(0.01, 60.0))
def test_erlang_b_equals_its_definition(slots: int, erlangs: float) -> None:
    """The recursion gives what the formula by factorials gives, where that can be computed."""
    terms = [erlangs**k / math.factorial(k) for k in range(slots + 1)]
    assert erlang_b(slots, erlangs) == pytest.approx(terms[-1] / sum(terms), rel=1e-9)


@no_deadline
@given(slots_counts, loads, st.floats(1.001, 3.0))
def test_erlang_b_with_more_load_blocks_more(slots: int, erlangs: float, factor: float) -> None:
    """More load, more refused; always a share."""
    assert 0.0 <= erlang_b(slots, erlangs) <= erlang_b(slots, factor * erlangs) <= 1.0


@no_deadline
@given(slots_counts, loads)
def test_erlang_b_with_another_slot_blocks_less(slots: int, erlangs: float) -> None:
    """One slot more, fewer refused (or none in either, below the smallest number there is)."""
    fewer, more = erlang_b(slots, erlangs), erlang_b(slots + 1, erlangs)
    assert more < fewer or more == fewer == 0.0


@no_deadline
@given(slots_counts, st.floats(1e-6, 0.95))
def test_erlangs_at_blocking_is_the_inverse(slots: int, blocking: float) -> None:
    """The load found for a share of refusals gives that share back."""
    assert erlang_b(slots, erlangs_at_blocking(slots, blocking)) == pytest.approx(blocking, rel=1e-9)


def test_erlang_b_at_its_edges_is_sure() -> None:
    """No load is never refused, no slot always refuses, and a huge system does not overflow."""
    assert erlang_b(5, 0.0) == 0.0
    assert erlang_b(0, 3.0) == 1.0
    assert 0.0 < erlang_b(10_000, 10_000.0) < 0.01
    assert erlang_b(5000, 1.0) == 0.0


@pytest.mark.parametrize(
    ("formula", "slots", "value"),
    [
        *((erlang_b, *each) for each in [(-1, 1.0), (1.5, 1.0), (3, -0.1), (3, math.inf), (3, math.nan)]),
        *((erlangs_at_blocking, *each) for each in [(0, 0.01), (10, 0.0), (10, 1.0), (10, math.nan)]),
    ],
)
def test_erlang_formula_with_a_value_out_of_range_is_refused(
    formula: Callable[[Any, float], float], slots: float, value: float
) -> None:
    """Slots are a whole number, a load is finite and not negative, blocking a share above 0 and below 1."""
    with pytest.raises(ValueError, match="; accepted: "):
        formula(slots, value)
