"""What theory is asked of a run, and when it says nothing."""

import json

from tests.unit.locust.scripts import printed

REASONS = """
from dataclasses import replace
from expected_range import Circumstances, Pace, reason_against
run = Circumstances(True, Pace(1.0, 150, (1.0, 5.0)), 30, "", (1.01, 1.02))
others = {
    "saturated": False, "pace": None, "slots": 0, "changes": "predict1 ejected", "latency_s": None,
}
found = [reason_against(run), *(reason_against(replace(run, **{key: value})) for key, value in others.items())]
found += [reason_against(replace(run, latency_s=each)) for each in ((0.001, 0.001), (1.0, 2.0))]
found += [reason_against(replace(run, pace=Pace(31.0, 150, (1.0, 5.0))))]
print(json.dumps(found))
"""

SIMULATED = """
from expected_range import Circumstances, Pace, describe_expected, expected, simulated
run = Circumstances(True, Pace(1.0, 150, (1.0, 5.0)), 10, "", (1.0123, 1.02))
texts = [describe_expected(expected(run)) for _ in range(2)]
silent = describe_expected(expected(Circumstances(False, None, 10, "", None)))
print(json.dumps([texts, simulated.cache_info().hits, silent, describe_expected(None)]))
"""

FAILED = """
import subprocess
import expected_range
from expected_range import Circumstances, Pace, describe_expected, expected
run = Circumstances(True, Pace(1.0, 150, (1.0, 5.0)), 10, "", (1.0, 1.0))
works = subprocess.run
def too_slow(*arguments, **options):
    raise subprocess.TimeoutExpired("simulation", 60.0)
subprocess.run = too_slow
texts = [describe_expected(expected(run))]
subprocess.run = works
print(json.dumps([*texts, describe_expected(expected(run))]))
"""

PACES = """
from expected_range import pace_of
def user(**attributes):
    return type("User", (), attributes)
def environment(*users, shape=None):
    options = Some(num_users=40, spawn_rate=2, run_time=60)
    return Some(parsed_options=options, user_classes=list(users), shape_class=shape)
timed, untimed = user(wait_s=(1.0, 5.0)), user()
print(pace_of(environment(timed)))
print([pace_of(each) for each in (environment(untimed), environment(timed, timed), environment(timed, shape=object()))])
"""


def test_run_that_is_no_loss_system_gets_no_range_but_the_reason() -> None:
    """Theory speaks of saturation by a swarm that grows at one pace, at slots and answers that stay as they are."""
    assert json.loads(printed(REASONS)) == [
        "",
        "the cause is not saturation",
        "the swarm did not grow at one pace",
        "the slots are not known",
        "the slots changed: predict1 ejected",
        "no good answer was measured",
        "the answers took no time",
        "the answers took unequal times",
        "the users who come together are more than the slots",
    ]


def test_range_is_simulated_once_per_setting_and_shown_with_it() -> None:
    """The same slots, pace and latency are not simulated again; the text says what the range is of."""
    texts, hits, silent, unasked = json.loads(printed(SIMULATED))
    assert texts[0].endswith(" (10 slots, answers in 1.01 s)")
    low, high = (float(each) for each in texts[0].partition(" (")[0].split(" to "))
    assert 4.0 < low < 5.0 < 6.5 < high < 7.5
    assert (texts[1], hits) == (texts[0], 1)
    assert (silent, unasked) == ("- (the cause is not saturation)", "being simulated")


def test_simulation_that_did_not_end_is_told_and_tried_again() -> None:
    """On an overloaded machine there is no range, which is no finding of theory; the next such run gets one."""
    failed, again = json.loads(printed(FAILED))
    assert failed == "- (the simulation did not end: is the machine overloaded?)"
    assert again.endswith(" (10 slots, answers in 1 s)")


def test_pace_is_known_of_one_kind_of_user_without_a_load_shape() -> None:
    """The pace comes from the options and the user's own wait; a shape or other users have none."""
    assert printed(PACES).splitlines() == [
        "Pace(spawn_rate_per_s=2.0, max_users=40, wait_s=(1.0, 5.0), run_time_s=60)",
        "[None, None, None]",
    ]
