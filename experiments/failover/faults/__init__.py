"""The registry of faults."""

from experiments.failover.faults.base import Fault
from experiments.failover.faults.big_input import BigInput
from experiments.failover.faults.black_hole import BlackHole
from experiments.failover.faults.control import Control
from experiments.failover.faults.crash import Crash
from experiments.failover.faults.double_crash import DoubleCrash
from experiments.failover.faults.error import Error
from experiments.failover.faults.flapping import Flapping
from experiments.failover.faults.hang import Hang
from experiments.failover.faults.host import Host
from experiments.failover.faults.refuse import Refuse
from experiments.failover.faults.region import Region
from experiments.failover.faults.reset import Reset
from experiments.failover.faults.router_crash import RouterCrash
from experiments.failover.faults.router_restart import RouterRestart, RouterStopAndStart
from experiments.failover.faults.saturation import Saturation
from experiments.failover.faults.slow import Slow
from experiments.failover.faults.stall import Stall
from experiments.failover.faults.surge import Surge
from experiments.failover.faults.surge_while_down import SurgeWhileDown
from experiments.failover.faults.truncated import Truncated
from experiments.failover.faults.upgrade import Upgrade
from experiments.failover.records import FailoverSettings

FAULTS: dict[str, Fault] = {
    fault.name: fault()
    for fault in (
        Control,
        Crash,
        DoubleCrash,
        Hang,
        Slow,
        Error,
        Stall,
        Truncated,
        Reset,
        Refuse,
        Flapping,
        Region,
        Host,
        BlackHole,
        Upgrade,
        Surge,
        SurgeWhileDown,
        Saturation,
        BigInput,
        RouterRestart,
        RouterCrash,
    )
}
"""Name -> fault, in the order in which tables show them."""

UNSUPERVISED: dict[str, Fault] = {RouterStopAndStart.name: RouterStopAndStart()}
"""Name -> what it was before the router was supervised."""


def fault_of(name: str, settings: FailoverSettings) -> Fault:
    """What stands under that name in the records of a run of these settings."""
    return FAULTS[name] if settings.supervised else UNSUPERVISED.get(name, FAULTS[name])


def what_is_done(name: str, settings: FailoverSettings) -> str:
    """What that fault was in a run of these settings, in one sentence without a full stop."""
    fault, foreign = fault_of(name, settings), [settings.is_foreign(plan) for plan in settings.topologies]
    if not any(foreign) or not fault.what_behind_others:
        return fault.what
    return fault.what_behind_others if all(foreign) else f"{fault.what}; behind others {fault.what_behind_others}"
