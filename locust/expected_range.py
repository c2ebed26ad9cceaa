"""What theory expects of a run's rate at first failure: the range that chance alone gives, or why it says nothing."""

import dataclasses
import functools
import json
import subprocess
from dataclasses import dataclass

from locust.env import Environment

from loss_system import System, arguments_of
from swarm import swarm_options

UNEQUAL = 1.5  # answers that differ by more are not of one service time
LEAST_LATENCY_S = 0.005
LONGEST_S = 60.0  # for two seconds of processor time at most, at the lowest priority on a machine under load


@dataclass(frozen=True)
class Expected:
    """The 5 and 95 % quantiles of the rate (requests/s) of such a system, None with the reason where there are none."""

    system: System | None = None
    range_per_s: tuple[float, float] | None = None
    reason: str = ""


@dataclass(frozen=True)
class Pace:
    """A swarm that grows: new users per second, the most users, their waits and the longest run, in s (None: any)."""

    spawn_rate_per_s: float
    max_users: int
    wait_s: tuple[float, float]
    run_time_s: float | None = None


@dataclass(frozen=True)
class Circumstances:
    """A run at its first failure.

    `pace` is None where it was no single one; `changes` says which predictors left or came back in the run;
    `latency_s` is the median and the 95 % quantile of the good answers.
    """

    saturated: bool
    pace: Pace | None
    slots: int
    changes: str
    latency_s: tuple[float, float] | None


def pace_of(environment: Environment) -> Pace | None:
    """Returns the pace that the options set now; None for a load shape, or for users of several kinds."""
    options, users = swarm_options(environment), environment.user_classes
    wait_s = getattr(users[0], "wait_s", None) if len(users) == 1 else None
    if environment.shape_class is not None or wait_s is None:
        return None
    run_time_s = options.run_time if isinstance(options.run_time, (int, float)) else None
    return Pace(float(options.spawn_rate or 1), int(options.num_users or 1), wait_s, run_time_s or None)


def expected(run: Circumstances) -> Expected:
    """Returns what theory expects; simulates in a process of its own, so that the load is not disturbed."""
    if (reason := reason_against(run)) or run.pace is None or run.latency_s is None:
        return Expected(reason=reason)
    system = System(run.slots, float(f"{run.latency_s[0]:.3g}"), **dataclasses.asdict(run.pace))
    try:
        found = simulated(system)
    except (OSError, subprocess.SubprocessError, ValueError):
        return Expected(system, reason="the simulation did not end: is the machine overloaded?")
    return Expected(system, found, "" if found else "too few simulated runs failed in time")


def reason_against(run: Circumstances) -> str:
    """Returns why the loss system is no model of this run; "" where it is one."""
    median_s, p95_s = run.latency_s or (0.0, 0.0)
    together = max(1, int(run.pace.spawn_rate_per_s)) if run.pace else 0
    reasons = {
        "the cause is not saturation": not run.saturated,
        "the swarm did not grow at one pace": run.pace is None,
        "the slots are not known": not run.slots,
        f"the slots changed: {run.changes}": bool(run.changes),
        "the users who come together are more than the slots": together > run.slots,
        "no good answer was measured": run.latency_s is None,
        "the answers took no time": median_s < LEAST_LATENCY_S,
        "the answers took unequal times": p95_s > UNEQUAL * median_s,
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


@functools.lru_cache(maxsize=256)
def simulated(system: System) -> tuple[float, float] | None:
    """Returns the range by simulation; None where there is none. Raises OSError, SubprocessError or ValueError."""
    done = subprocess.run(arguments_of(system), capture_output=True, timeout=LONGEST_S, check=True)
    quantiles = json.loads(done.stdout)
    return quantiles and (float(quantiles[0]), float(quantiles[1]))


def describe_expected(found: Expected | None) -> str:
    """Returns it for people, as in "18.4 to 23.4 (30 slots, answers in 1.01 s)"."""
    if found is None:
        return "being simulated"
    if found.range_per_s is None or found.system is None:
        return f"- ({found.reason})"
    p5, p95 = found.range_per_s
    return f"{p5:.1f} to {p95:.1f} ({found.system.slots} slots, answers in {found.system.service_time_s:g} s)"
