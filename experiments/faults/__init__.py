"""The registry of faults: one line each."""

from experiments.faults.base import Fault
from experiments.faults.big_input import BigInput
from experiments.faults.control import Control
from experiments.faults.crash import Crash
from experiments.faults.error import Error
from experiments.faults.hang import Hang
from experiments.faults.refuse import Refuse
from experiments.faults.region import Region
from experiments.faults.router_restart import RouterRestart
from experiments.faults.slow import Slow
from experiments.faults.surge import Surge
from experiments.faults.upgrade import Upgrade

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Control(),
        Crash(),
        Hang(),
        Slow(),
        Error(),
        Refuse(),
        Region(),
        Upgrade(),
        Surge(),
        BigInput(),
        RouterRestart(),
    )
}
"""Name -> fault, in the order in which tables show them."""
