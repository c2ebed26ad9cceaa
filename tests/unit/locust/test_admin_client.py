"""What is read from the answer of the router's admin port."""

from tests.unit.locust.scripts import printed

STATES = """
from admin_client import loads_in, topology_name, validate_state
state = validate_state({"predictors": {"predict1": {"load": 3, "port": "9696"}, "predict2": None}})
print((topology_name(state), loads_in(state)))
for state in ([], {}, {"predictors": []}, None):
    try:
        print(validate_state(state))
    except TypeError as error:
        print(error)
"""


def test_topology_of_an_unexpected_shape_is_refused_or_read_as_far_as_it_goes() -> None:
    """An admin answer without a table of predictors is no topology; a missing figure is None."""
    loads = {"predict1": {"load": 3, "peak_load": None, "capacity": None, "status": None, "state": None}}
    assert printed(STATES).splitlines() == [str((None, loads)), *["not a topology"] * 4]


SLOTS = """
from admin_client import changes_since, slots_in
def figures(state, status=False, capacity=10):
    return {"load": 0, "capacity": capacity, "status": status, "state": state}
loads = {"a": figures("serving", True), "b": figures("standby"), "c": figures("down"), "d": figures("wanted"),
         "e": figures("serving", True, None)}
events = [{"time": t, "event": e, "predictor": "a"} for t, e in ((1.0, "ejected"), (3.0, "promoted"), (4.0, "drained"))]
events += [{"time": 5.0, "event": "topology", "predictor": ""}, 7, {"time": "x", "event": []}]
print(slots_in(loads), changes_since({"events": events}, 2.0), changes_since({"events": None}, 2.0))
"""


def test_slots_are_those_that_serve_or_could_at_once_and_changes_those_of_the_run() -> None:
    """A warm standby's slots count, those of what is down or cold do not; a promotion changes no slots, another topology does."""
    assert printed(SLOTS) == "20 a drained, topology"
