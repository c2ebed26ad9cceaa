"""Random faults for SOAK_S seconds (unset: 20; the full run: 600), from the seed SOAK_SEED (unset: a random one)."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from statistics import median

import psutil
import pytest

from tests.harness.deployment import Deployment
from tests.harness.load import CAPACITY, Load
from tests.harness.measurements import MEASURING, record
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

SOAK_S = float(os.environ.get("SOAK_S", "30" if MEASURING else "20"))
SEED = int(os.environ.get("SOAK_SEED", str(time.time_ns() % 1_000_000)))
CLIENTS = 15  # 50 % of 30 slots
MEMORY_GROWTH_MIB = 10.0
WARM_UP_SHARE = 0.2
NEAR_S = 6.0
STUB = 2  # this one is a stub: it can also answer 500s and refuse connections


class Chaos:
    """One random fault after the other, each removed and recovered from before the next."""

    def __init__(self, deployed: Deployment, seed: int) -> None:
        self.done: list[tuple[float, str]] = []
        self._rig = deployed
        self._random = random.Random(seed)
        everywhere = (self._crash, self._hang, self._drain, self._upgrade)
        self._faults: list[tuple[Callable[[int], None], int]] = [(f, i) for f in everywhere for i in range(3)]
        self._faults += [(fault, STUB) for fault in (self._fail_fast, self._refuse)] * 3

    def strike(self) -> None:
        """Does a fault for a random time, and waits until its predictor serves again."""
        fault, index = self._random.choice(self._faults)
        self.done.append((time.time(), f"{fault.__name__[1:]} predict{index + 1}"))
        fault(index)
        wait_until(lambda: self._rig.router.predictors("state") == ["serving"] * 3, 30)

    def _wait(self, least_s: float = 0.1, most_s: float = 3.0) -> None:
        time.sleep(self._random.uniform(least_s, most_s))  # the fault's own length, not a wait for something

    def _crash(self, index: int) -> None:
        self._rig.processes[index].kill()
        wait_until(lambda: self._rig.router.predictors("state")[index] == "down")
        self._wait(most_s=1.0)
        self._rig.restart(index)

    def _hang(self, index: int) -> None:
        self._rig.processes[index].signal(signal.SIGSTOP)
        self._wait()
        self._rig.processes[index].signal(signal.SIGCONT)
        self._wait(1.2, 2.0)  # the verdict on it may still come: two probes' time

    def _drain(self, index: int) -> None:
        self._rig.router.order(f"predict{index + 1}", "drain")
        self._wait(most_s=1.5)
        self._rig.router.order(f"predict{index + 1}", "ready")

    def _upgrade(self, index: int) -> None:
        self._rig.router.order(f"predict{index + 1}", "drain")
        wait_until(lambda: self._rig.router.predictors("state")[index] == "drained")
        self._rig.processes[index].kill() if index == STUB else self._rig.processes[index].stop()
        self._rig.restart(index)
        self._rig.router.order(f"predict{index + 1}", "ready")

    def _fail_fast(self, index: int) -> None:
        self._toggle(index, signal.SIGUSR1)

    def _refuse(self, index: int) -> None:
        self._toggle(index, signal.SIGUSR2)

    def _toggle(self, index: int, signum: signal.Signals) -> None:
        self._rig.processes[index].signal(signum)
        self._wait()
        self._rig.processes[index].signal(signum)
        self._wait(0.8, 1.2)  # an answer of 500 counts once its request has been answered elsewhere


def memory_mib(deployed: Deployment) -> float:
    """The router's resident memory."""
    return float(psutil.Process(deployed.router.pid).memory_info().rss) / 2**20


def strike_on(deployed: Deployment, chaos: Chaos, length_s: float) -> tuple[list[float], list[float]]:
    """Strikes for this long; returns the router's memory in MiB after each fault: after the warm-up, at the end."""
    start_s = time.monotonic()
    samples: list[tuple[float, float]] = []
    while time.monotonic() < start_s + length_s:
        chaos.strike()
        samples.append((time.monotonic() - start_s, memory_mib(deployed)))
    warm = [mib for at_s, mib in samples if at_s > WARM_UP_SHARE * length_s]
    edge = max(1, len(warm) // 5)
    return warm[:edge], warm[-edge:]


def what_happened(deployed: Deployment, chaos: Chaos, load: Load) -> str:
    """The seed, and around the first lost request the faults done and the router's events, in epoch seconds."""
    if not load.lost():
        return f"seed {SEED}"
    lost = Counter((answer.status, answer.body.decode()) for answer in load.lost())
    first_s = load.lost()[0].sent_at_s + time.time() - time.monotonic()
    events = [(e["time"], e["event"], e["predictor"], e["reason"]) for e in deployed.router.snapshot()["events"]]
    near = sorted([moment for moment in [*chaos.done, *events] if abs(moment[0] - first_s) < NEAR_S])
    return f"seed {SEED}, lost {lost}, the first at {first_s:.3f}:\n" + "\n".join(map(str, near))


@pytest.mark.timeout(SOAK_S + 150)
def test_soak_of_random_faults_loses_nothing_and_leaves_nothing(stage: Stage) -> None:
    """At 50 % of capacity, with one predictor faulty at a time: no request lost, none mixed up, memory flat."""
    print(f"soak: {SOAK_S:g} s, seed {SEED}", flush=True)
    deployed = stage.deploy_processes("3active", [stage.light_predictor, stage.light_predictor, stage.echo])
    chaos = Chaos(deployed, SEED)
    with deployed.closed_loop(CLIENTS, longest_s=SOAK_S + 100) as load:
        wait_until(lambda: all(load.answered_by(f"predict{number}") for number in (1, 2, 3)))
        early_mib, late_mib = strike_on(deployed, chaos, SOAK_S)
    growth_mib = median(late_mib) - median(early_mib)
    slowest_s = load.slowest_s()
    figures = {"lost": len(load.lost()), "of": len(load.answers), "faults": len(chaos.done)}
    record("soak", **figures, length_s=SOAK_S, slowest_s=slowest_s, memory_growth_mib=growth_mib)
    print(f"soak: {figures}, slowest {slowest_s:.2f} s, memory {growth_mib:+.2f} MiB", flush=True)
    assert (len(load.lost()), len(load.wrong())) == (0, 0), what_happened(deployed, chaos, load)
    assert max(deployed.router.predictors("peak_load")) <= CAPACITY, what_happened(deployed, chaos, load)
    deployed.wait_until_initial()
    assert growth_mib < MEMORY_GROWTH_MIB
