"""Who gets the next request: a real router before predictors that hold their requests open."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.harness.processes import (
    Answer,
    Exchange,
    Router,
    Stage,
    ask,
    best_of,
    loads,
    statuses,
    wait_until,
)
from tests.harness.stubs import StubPredictor, ports_of

AT_ONCE_S = 0.1
TRIES = 5  # of which the best counts: the machine that runs the tests is busy with other things too


def start(stage: Stage, name: str, *options: str) -> tuple[Router, list[StubPredictor], Path]:
    """Start three stubs and a router on a copy of the named topology."""
    stubs = stage.stubs(3)
    path = stage.topology(name, ports_of(stubs))
    return stage.router(path, *options), stubs, path


def hold(stage: Stage, router: Router, stubs: list[StubPredictor], number: int) -> list[Exchange]:
    """Send further requests that the stubs hold; wait until all have arrived."""
    for stub in stubs:
        stub.holding = True
    expected = sum(stub.held for stub in stubs) + number
    sent = stage.hold(router, number)
    wait_until(lambda: sum(stub.held for stub in stubs) == expected)
    return sent


def held(stubs: list[StubPredictor]) -> list[int]:
    """How many requests each stub holds."""
    return [stub.held for stub in stubs]


def let_go(stubs: list[StubPredictor]) -> None:
    """Have the stubs answer what they hold and hold nothing more."""
    for stub in stubs:
        stub.let_go()


def refusal(router: Router) -> Answer:
    """Ask once for a prediction that no slot is left for."""
    answer = ask(router.url)
    assert (answer.status, answer.json()["reason"]) == (503, "saturated")
    return answer


def test_router_thirty_held_requests_spread_ten_each(stage: Stage) -> None:
    """Requests in flight spread evenly over the actives, up to each one's capacity."""
    router, stubs, path = start(stage, "3active")
    sent = hold(stage, router, stubs, 30)
    assert held(stubs) == [10, 10, 10]
    assert router.loads() == [10, 10, 10]
    wait_until(lambda: loads(path) == [10, 10, 10])
    let_go(stubs)
    answers = [exchange.answer() for exchange in sent]
    assert {answer.status for answer in answers} == {200}
    assert Counter(answer.predictor for answer in answers) == {"predict1": 10, "predict2": 10, "predict3": 10}
    assert all(answer.json() == {"predictor": answer.predictor} for answer in answers)


def test_router_sequential_requests_on_an_idle_pool_go_round_robin(stage: Stage) -> None:
    """Ties rotate: an idle pool does not send everything to its first predictor."""
    router, _, _ = start(stage, "3active")
    made_by = [ask(router.url).predictor for _ in range(9)]
    assert made_by == ["predict1", "predict2", "predict3"] * 3


def test_router_lowest_load_gets_the_next_request(stage: Stage) -> None:
    """The predictor with the fewest requests in flight is chosen until it has as many as the others."""
    router, stubs, _ = start(stage, "3active")
    hold(stage, router, stubs, 9)
    stubs[1].release(2)
    wait_until(lambda: router.loads() == [3, 1, 3])
    hold(stage, router, stubs, 2)
    assert held(stubs) == [3, 3, 3]
    stubs[2].release(3)
    wait_until(lambda: router.loads() == [3, 3, 0])
    hold(stage, router, stubs, 3)
    assert held(stubs) == [3, 3, 3]


def test_router_every_slot_taken_refuses_the_next_at_once(stage: Stage) -> None:
    """The 31st request of 30 slots hears 503 saturated within 0.1 s, and none of its predictors hears of it."""
    router, stubs, _ = start(stage, "3active")
    hold(stage, router, stubs, 30)
    answer = refusal(router)
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.predictor == ""
    assert best_of(TRIES, lambda: refusal(router).took_s) < AT_ONCE_S
    assert router.picture()["refused"]["saturated"] == TRIES + 1
    assert held(stubs) == [10, 10, 10]


@pytest.mark.parametrize("freed", [0, 1, 2])
def test_router_one_slot_freed_takes_the_next_request(stage: Stage, freed: int) -> None:
    """As soon as one of 30 requests is answered, one more is accepted, by the predictor that has room."""
    router, stubs, _ = start(stage, "3active")
    sent = hold(stage, router, stubs, 30)
    refusal(router)
    stubs[freed].release(1)
    wait_until(lambda: any(exchange.answered() for exchange in sent))
    hold(stage, router, stubs, 1)
    assert held(stubs) == [10, 10, 10]
    assert len(stubs[freed].received) == 11
    refusal(router)


def test_router_full_actives_promote_the_standby_for_the_request_that_found_it_so(stage: Stage) -> None:
    """2active: the 21st request in flight promotes predict3 and is served by it; the file shows it."""
    router, stubs, path = start(stage, "2active", "--hold-down", "1")
    initial = path.read_bytes()
    hold(stage, router, stubs, 20)
    assert held(stubs) == [10, 10, 0]
    wait_until(lambda: loads(path) == [10, 10, 0])
    assert statuses(path) == [True, True, False]
    [one_more] = hold(stage, router, stubs, 1)
    assert held(stubs) == [10, 10, 1]
    wait_until(lambda: (statuses(path), loads(path)) == ([True, True, True], [10, 10, 1]))
    assert router.events("predict3") == ["promoted"]
    let_go(stubs)
    answer = one_more.answer()
    assert (answer.status, answer.predictor) == (200, "predict3")
    wait_until(lambda: path.read_bytes() == initial)  # the saturation is over, and so is the hold-down
    assert router.events("predict3") == ["promoted", "demoted"]


def test_router_standby_full_too_refuses_the_next(stage: Stage) -> None:
    """2active has 30 slots with its standby, no more."""
    router, stubs, _ = start(stage, "2active")
    hold(stage, router, stubs, 30)
    assert held(stubs) == [10, 10, 10]
    refusal(router)


def test_router_threshold_option_is_the_capacity_unless_the_entry_says_otherwise(stage: Stage) -> None:
    """`--threshold 2` gives each predictor two requests; an entry's own `capacity` goes before it."""
    stubs = stage.stubs(3)
    path = stage.topology("3active", ports_of(stubs))
    document = json.loads(path.read_text())
    document["predict3"]["capacity"] = 4
    path.write_text(json.dumps(document))
    router = stage.router(path, "--threshold", "2")
    hold(stage, router, stubs, 8)
    assert held(stubs) == [2, 2, 4]
    assert router.predictors("capacity") == [2, 2, 4]
    refusal(router)


def test_router_burst_beyond_all_slots_refuses_exactly_the_rest(stage: Stage) -> None:
    """Of 100 requests sent at once to 30 slots, 30 are placed and 70 refused: no slot is lost or doubled."""
    router, stubs, path = start(stage, "3active")
    for stub in stubs:
        stub.holding = True
    sent = stage.hold(router, 100)
    wait_until(lambda: sum(exchange.answered() for exchange in sent) == 70)
    wait_until(lambda: held(stubs) == [10, 10, 10])
    let_go(stubs)
    answers = [exchange.answer() for exchange in sent]
    assert sorted(answer.status for answer in answers) == [200] * 30 + [503] * 70
    wait_until(lambda: loads(path) == router.loads() == [0, 0, 0])
    assert router.predictors("peak_load") == [10, 10, 10]
    assert router.predictors("served") == [10, 10, 10]


def test_router_load_change_reaches_the_file_within_a_tenth_of_a_second(stage: Stage) -> None:
    """The file follows a change of load within 100 ms (the best of some tries: the machine is busy)."""
    router, stubs, path = start(stage, "3active")

    def delay_s() -> float:
        before = sum(loads(path))
        hold(stage, router, stubs, 1)
        start_s = time.monotonic()
        wait_until(lambda: sum(loads(path)) == before + 1)
        return time.monotonic() - start_s

    assert best_of(TRIES, delay_s) < AT_ONCE_S
