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
    loads = {"predict1": {"load": 3, "peak_load": None, "capacity": None, "status": None}}
    assert printed(STATES).splitlines() == [str((None, loads)), *["not a topology"] * 4]
