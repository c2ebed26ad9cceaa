"""The command line of the failover experiment."""

import io

import pytest
from rich.console import Console

from cli import UsageError
from experiments.experiment import run_experiment
from experiments.failover.experiment import EXPERIMENT


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--faults", "flood"], "unknown fault 'flood': give none, crash"),
        (["--rate", "0"], "--rate: '0'"),
        (["--window", "-1"], "--window: '-1'"),
        (["--topologies", "4active"], "unknown topology '4active'"),
    ],
)
def test_failover_command_line_mistake_is_one_line(arguments: list[str], expected: str) -> None:
    """The bad value and what is accepted, before anything is started."""
    with pytest.raises(UsageError) as raised:
        run_experiment(EXPERIMENT, arguments, Console(file=io.StringIO()))
    assert expected in str(raised.value)
