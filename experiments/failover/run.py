"""One run of one topology: its production capacity, then every fault in turn under one steady load."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli import CommandError
from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import Fault, FaultContext, SkippedError
from experiments.failover.logs import ActionLog, EventLog
from experiments.failover.records import (
    ACTIONS,
    ALL_UP,
    DOMAIN_DOWN,
    ENDED,
    INJECTED,
    PUT_BACK,
    RECOVERED,
    REPAIR,
    REPAIRED,
    SKIPPED,
    Action,
    DomainPlan,
    FailoverRun,
    FailoverSettings,
    read_requests,
)
from experiments.failover.windows import find_windows, generator_on_time
from experiments.results.store import RUN, read_rows, write_json
from experiments.testbed.deployment import Deployment, DeploymentSettings, Programs
from experiments.testbed.recording import Recording, record_swarm
from experiments.testbed.sampler import LoadSampler
from experiments.testbed.signals import StopRequest
from experiments.testbed.steady_load import FurtherLoad, SteadyLoad, steady_plan
from experiments.testbed.swarm import SwarmSettings
from experiments.testbed.topologies import Topology

LOOK_EVERY_S = 0.1
SETTLE_S = 1.5
"""From the load's start to the first fault."""

RANDOM_MOMENT_S = 1.0
"""A fault comes at a random moment of this length, twice the router's probing interval."""

BACK_WITHIN_S = 60.0
"""How long all may take to be as planned again; then the operator puts back standbys that the load keeps promoted."""

AGAIN = "again"
"""The step in which faults are repeated, should any have to be."""

MOST_ROUNDS_AGAIN = 2
RECORDED_AFTER_S = 1.5
"""The load writes its records about once a second."""

CAPACITY_RUN_S = 240
CAPACITY_USERS = 1000


@dataclass(frozen=True)
class Job:
    """One run: which topology, which repeat, and where its records go."""

    topology: Topology
    plan: DomainPlan
    repeat: int
    folder: Path
    settings: FailoverSettings
    programs: Programs

    @property
    def name(self) -> str:
        """Its name, for people."""
        return f"{self.plan.name}-{self.repeat}"


Step = Callable[[str], None]
"""Told the name of each step as it begins."""


def run_job(job: Job, stop: StopRequest, step: Step) -> None:
    """Do the whole run and leave its records. Raises CommandError."""
    job.folder.mkdir()
    started_s = time.time()
    if job.settings.capacity_spawn_rate_per_s:
        _measure_capacity(job, stop, step)
    _run_faults(job, stop, step)
    write_json(job.folder / RUN, FailoverRun(job.plan.name, job.repeat, started_s, time.time()))


def _measure_capacity(job: Job, stop: StopRequest, step: Step) -> None:
    """Swarm until the first failure with everything up, then with the largest failure domain down."""
    step(ALL_UP)
    (job.folder / ALL_UP).mkdir()
    settings = DeploymentSettings(
        job.settings.capacity_service_time_s, job.settings.threshold, engine=job.settings.engine
    )
    with Deployment(job.topology, job.programs, settings, job.folder / ALL_UP) as deployment:
        deployment.start(stop)
        _swarm(job, deployment, ALL_UP, stop)
        domain = job.plan.largest_domain()
        if len(domain) < len(job.plan.capacities):
            step(DOMAIN_DOWN)
            for name in domain:
                deployment.expect_exit(name).kill()
            _wait_for(lambda: all(deployment.state_of(name) == "down" for name in domain), "the domain to be out", stop)
            _swarm(job, deployment, DOMAIN_DOWN, stop)


def _swarm(job: Job, deployment: Deployment, part: str, stop: StopRequest) -> None:
    folder = job.folder / part
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    pace = SwarmSettings(job.settings.capacity_spawn_rate_per_s, CAPACITY_USERS, CAPACITY_RUN_S)
    recording = Recording(job.plan.name, job.repeat, folder)
    record_swarm(deployment, job.programs.locustfile, pace, recording, stop, lambda _: None)


def _run_faults(job: Job, stop: StopRequest, step: Step) -> None:
    step("start")
    settings = job.settings
    rng = random.Random(f"{settings.seed} {job.name}")
    seed = rng.randrange(2**31)
    deployment_settings = DeploymentSettings(
        settings.service_time_s, settings.threshold, settings.hold_down_s, fault_control=True, engine=settings.engine
    )
    with Deployment(job.topology, job.programs, deployment_settings, job.folder) as deployment:
        deployment.start(stop)
        events = EventLog(deployment.state)
        plan = steady_plan(settings.rate_per_s, settings.pacing_s, seed)
        with (
            LoadSampler(events.ask, job.folder),
            SteadyLoad(deployment.url, job.programs.steady, plan, job.folder) as load,
            FurtherLoad(deployment.url, job.programs.steady, job.folder, seed, stop) as further,
        ):
            load.wait_until_ready(stop)
            load.go()
            stop.wait(SETTLE_S)
            _FaultSequence(job, deployment, load, further, events, stop, rng).run(step)
        events.ask()
        events.write(job.folder)


class _FaultSequence:
    """The faults of a run, one after the other."""

    def __init__(
        self, job: Job, deployment: Deployment, load: SteadyLoad, further: FurtherLoad, events: EventLog,
        stop: StopRequest, rng: random.Random,
    ) -> None:  # fmt: skip
        self._job = job
        self._rig = deployment
        self._load = load
        self._events = events
        self._stop = stop
        self._rng = rng
        self._log = ActionLog(job.folder)
        rate, delay = job.settings.rate_per_s, job.settings.repair_after_s
        self._scene = FaultContext(deployment, job.plan, further, stop, self._note, rate, delay)

    def run(self, step: Step) -> None:
        """Every fault once, in the settings' order; then again those in whose windows the generator lagged."""
        try:
            for name in self._job.settings.faults:
                step(name)
                self._begin(name)
            for _ in range(MOST_ROUNDS_AGAIN):
                if not (lagging := self._lagging()):
                    return
                step(AGAIN)
                for name in lagging:
                    self._begin(name)
        finally:
            self._log.close()

    def _begin(self, name: str) -> None:
        self._log.begin(self._log.window + 1, name)
        self._run_fault(FAULTS[name])

    def _lagging(self) -> list[str]:
        """The faults that have no valid window yet, by the records so far."""
        self._stop.wait(RECORDED_AFTER_S)
        found = find_windows(read_rows(Action, self._job.folder / ACTIONS), self._job.settings)
        requests = read_requests(self._job.folder)
        valid = {window.fault for window in found if generator_on_time(window, requests)}
        return [name for name in dict.fromkeys(window.fault for window in found) if name not in valid]

    def _note(self, action: str, target: str) -> None:
        self._events.ask()  # before a router goes: its log goes with it
        self._log.note(action, target)

    def _run_fault(self, fault: Fault) -> None:
        """A fault from its random moment to the end of its window."""
        try:
            targets = fault.choose(self._job.plan, self._rng)
        except SkippedError as reason:
            self._log.note(SKIPPED, str(reason))
            return
        fault.prepare(self._scene)
        self._wait_checking_processes(self._rng.uniform(0.0, RANDOM_MOMENT_S))
        self._events.ask()
        hit = "+".join(targets)
        injected_s = self._log.note(INJECTED, hit)
        fault.inject(self._scene, targets)
        if fault.lasts:
            self._wait_checking_processes(injected_s + self._job.settings.repair_after_s - time.time())
        self._log.note(REPAIR, hit)
        fault.clear(self._scene, targets)
        self._log.note(REPAIRED, hit)
        if not _wait_until(self._is_back, self._stop):
            self._put_back()
            _wait_for(self._is_back, "all predictors to be back as planned", self._stop)
        self._log.note(RECOVERED, hit)
        self._wait_checking_processes(injected_s + self._job.settings.window_s - time.time())
        self._log.note(ENDED, hit)

    def _put_back(self) -> None:
        """As an operator, take standbys out of the rotation that the load, not a failure, has kept promoted."""
        for name in self._rig.promoted_standbys():
            self._log.note(PUT_BACK, name)
            self._rig.order(name, "drain")
            self._rig.order(name, "ready")

    def _is_back(self) -> bool:
        self._check()
        return self._rig.is_as_planned()

    def _wait_checking_processes(self, seconds: float) -> None:
        """Wait, with an eye on the processes. Raises CommandError."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._stop.wait(min(left, LOOK_EVERY_S))
            self._check()

    def _check(self) -> None:
        self._load.require_alive()
        self._rig.require_alive()


def _wait_for(condition: Callable[[], bool], what: str, stop: StopRequest) -> None:
    """Wait until it holds. Raises CommandError."""
    if not _wait_until(condition, stop):
        raise CommandError(f"waited {BACK_WITHIN_S:g} s for {what}, in vain")


def _wait_until(condition: Callable[[], bool], stop: StopRequest) -> bool:
    """Wait until it holds; the return says whether it came to that. Raises CommandError."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        stop.wait(LOOK_EVERY_S)
    return True
