"""The documents that set a sidecar's fault."""

import pytest

from experiments.testbed.servers.sidecar import control
from experiments.testbed.servers.sidecar.control import NO_FAULT, Fault, FaultSwitch, parse_fault
from predictors import fault_control


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"{}", NO_FAULT),
        (b'{"added_s": 3}', Fault(added_s=3.0)),
        (b'{"fails": true}', Fault(fails=True)),
        (b'{"stalls": true, "fails": false}', Fault(stalls=True)),
        (b'{"truncates": true}', Fault(truncates=True)),
        (b'{"resets": true}', Fault(resets=True)),
    ],
)
def test_parse_fault_reads_what_the_rigs_own_predictors_take_too(text: bytes, fault: Fault) -> None:
    """An empty document ends all."""
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "give a JSON object"),
        (b"[1]", "give a JSON object"),
        (b'{"slow": true}', "give a JSON object"),
        (b'{"fails": 1}', "fails is 1: give true or false"),
        (b'{"stalls": "yes"}', "stalls is 'yes': give true or false"),
        (b'{"truncates": 0}', "truncates is 0: give true or false"),
        (b'{"resets": null}', "resets is None: give true or false"),
        (b'{"added_s": -1}', "added_s is -1: give seconds from 0 to 3600"),
        (b'{"added_s": true}', "added_s is True"),
        (b'{"added_s": NaN}', "added_s is nan"),
    ],
)
def test_parse_fault_refuses_all_else_in_one_line(text: bytes, message: str) -> None:
    """The bad value, and what is accepted."""
    with pytest.raises(ValueError, match=message):
        parse_fault(text)


def test_switch_counts_what_each_fault_strikes() -> None:
    """Nothing is counted where there is no fault."""
    switch = FaultSwitch()
    more = (Fault(truncates=True), Fault(resets=True))
    for fault in (NO_FAULT, Fault(added_s=1.0), Fault(fails=True), Fault(stalls=True), Fault(stalls=True), *more):
        switch.set(fault)
        assert switch.strike() == fault
    assert switch.state()["struck"] == {"slow": 1, "error": 1, "stall": 2, "truncated": 1, "reset": 1}


def test_faults_have_the_names_that_the_rigs_own_predictors_give_them() -> None:
    """An experiment switches both alike; they are programs that know nothing of each other."""
    assert (control.FLAGS, control.NAMES) == (fault_control.FLAGS, fault_control.NAMES)
