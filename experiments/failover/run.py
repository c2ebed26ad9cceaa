"""One run of one deployment: its production capacity, then every fault in turn under each load."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from experiments.compare.run import record_swarm
from experiments.failover.fault_sequence import AGAIN, BACK_WITHIN_S, OFFER, FaultSequence, step_of
from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import FaultContext, start_s
from experiments.failover.faults.crash import Crash
from experiments.failover.logs import ActionLog, EventLog
from experiments.failover.records import ALL_UP, DOMAIN_DOWN, DomainPlan, FailoverRun, FailoverSettings
from experiments.results.folders import display_path
from experiments.results.store import RUN, write_json
from experiments.testbed.chosen_routers import ChosenDeployment
from experiments.testbed.deployment import Deployment
from experiments.testbed.hosts import SeparateHosts
from experiments.testbed.parallel import Job, run_jobs
from experiments.testbed.programs import DeploymentSettings, Programs
from experiments.testbed.progress import RunProgress
from experiments.testbed.sampler import LoadSampler
from experiments.testbed.signals import StopRequest
from experiments.testbed.steady_load import ExtraLoad, SteadyLoads
from experiments.testbed.swarm import SwarmSettings

START = "start"
CAPACITY_RUN_S = 240
CAPACITY_USERS = 1000

START_S, OFFER_S, FAULT_EXTRA_S, PREPARE_S, SWARM_START_S = 9.0, 9.0, 2.0, 4.0, 6.0
"""What steps are expected to take, for the time left; of each, what was measured on two cores."""


def run_all(
    settings: FailoverSettings,
    deployments: Sequence[ChosenDeployment],
    programs: Programs,
    folder: Path,
    console: Console,
) -> None:
    """Does every run and leaves its records in the folder. Raises CommandError."""
    announce(settings, folder, console)
    repeats = range(1, settings.repeats + 1)
    jobs = [job for repeat in repeats for job in jobs_of(repeat, settings, deployments, programs, folder)]
    run_jobs(jobs, settings.at_once, console)


def announce(settings: FailoverSettings, folder: Path, console: Console) -> None:
    """Prints what is offered, and where the records will be."""
    loads = ", ".join(f"{load.name} {load.rate_per_s:g} requests/s" for load in settings.offered_loads)
    console.print(f"offered to each: {loads}; seed {settings.seed}", soft_wrap=True)
    console.print(f"records in {display_path(folder)}", soft_wrap=True)


def jobs_of(
    repeat: int, settings: FailoverSettings, deployments: Sequence[ChosenDeployment], programs: Programs, folder: Path
) -> list[Job]:
    """The runs of one repeat: one of each deployment."""
    return [
        DeploymentRun(folder / f"{each.folder}-{repeat}", settings, each, plan, repeat, programs)
        for each, plan in zip(deployments, settings.topologies, strict=True)
    ]


@dataclass(frozen=True)
class DeploymentRun(Job):
    """One run of one deployment."""

    settings: FailoverSettings
    chosen: ChosenDeployment
    plan: DomainPlan
    repeat: int
    programs: Programs

    def steps(self) -> list[tuple[str, float]]:
        """Both swarms that measure capacity, the start, every fault of each load, and those that are repeated."""
        settings, plan = self.settings, self.plan
        steps: list[tuple[str, float]] = []
        if settings.capacity_spawn_rate_per_s:
            steps.append((ALL_UP, START_S + self._expected_ramp_s(plan.slots)))
            if left := plan.slots - plan.slots_of(plan.largest_domain()):
                steps.append((DOMAIN_DOWN, self._expected_ramp_s(left)))
        steps.append((START, START_S + settings.expected_load_s))
        for load in settings.offered_loads:
            faults = [(step_of(load, name), self._expected_fault_s(name)) for name in load.faults]
            steps += [(step_of(load, OFFER), OFFER_S), *faults, (step_of(load, AGAIN), 0.0)]
        return steps

    def _expected_ramp_s(self, slots: int) -> float:
        """About the time to the first failure: each slot carries the requests of some 2.7 users."""
        return SWARM_START_S + min(2.7 * slots, CAPACITY_USERS) / self.settings.capacity_spawn_rate_per_s

    def _expected_fault_s(self, name: str) -> float:
        fault = FAULTS[name]
        if fault.applies_to(self.plan) is not None:
            return 0.0
        least_s = fault.expected_s(self.settings, self.plan) + (0.0 if fault.is_control else self.settings.hold_down_s)
        if self.plan.cold and not fault.is_control:
            least_s = max(least_s, start_s(self.settings) + self.settings.hold_down_s)
        return max(self.settings.window_s, least_s) + FAULT_EXTRA_S + (PREPARE_S if fault.kind else 0.0)

    def run(self, stop: StopRequest, progress: RunProgress) -> str:
        """Does the whole run. Raises CommandError."""
        started_s = time.time()
        if self.settings.capacity_spawn_rate_per_s:
            self._measure_capacity(stop, progress)
        self._run_faults(stop, progress)
        write_json(self.folder / RUN, FailoverRun(self.plan.name, self.repeat, started_s, time.time()))
        return "every fault done"

    def _measure_capacity(self, stop: StopRequest, progress: RunProgress) -> None:
        """Swarms until the first failure with everything up, then with the largest failure domain down."""
        progress.begin(ALL_UP)
        (self.folder / ALL_UP).mkdir()
        chosen = self.settings
        settings = DeploymentSettings(
            chosen.capacity_service_time_s,
            chosen.threshold,
            router=self.chosen.router,
            server=self.programs.server,
            held_s=chosen.holding_time_s,
            supervised=chosen.supervised,
        )
        topology, folder = self.chosen.topology, self.folder / ALL_UP
        with Deployment(topology, self.programs, settings, folder, tell=progress.say) as deployment:
            deployment.start(stop)
            self._swarm(deployment, self.folder / ALL_UP, stop)
            domain = self.plan.largest_domain()
            if len(domain) == len(self.plan.capacities) or not all(deployment.can(n, *Crash.needs) for n in domain):
                return
            progress.begin(DOMAIN_DOWN)
            running = [name for name in domain if name not in self.plan.cold]
            deployment.kill(running)
            within_s = BACK_WITHIN_S + chosen.expected_load_s
            deployment.router.wait_until_replaced(running, stop, within_s)
            self._swarm(deployment, self.folder / DOMAIN_DOWN, stop)

    def _swarm(self, deployment: Deployment, folder: Path, stop: StopRequest) -> None:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        pace = SwarmSettings(self.settings.capacity_spawn_rate_per_s, CAPACITY_USERS, CAPACITY_RUN_S)
        record_swarm(deployment, pace, self.plan.name, self.repeat, folder, stop)

    def _run_faults(self, stop: StopRequest, progress: RunProgress) -> None:
        """Injects the faults, under load, into a deployment of their own."""
        progress.begin(START)
        chosen = self.settings
        settings = DeploymentSettings(
            chosen.service_time_s,
            chosen.threshold,
            chosen.hold_down_s,
            fault_control=True,
            router=self.chosen.router,
            resend=chosen.resend,
            load_time_s=chosen.load_time_s,
            server=self.programs.server,
            sidecars=any(FAULTS[name].by_sidecar for load in chosen.offered_loads for name in load.faults),
            held_s=chosen.holding_time_s,
            supervised=chosen.supervised,
        )
        with ExitStack() as opened:
            hosts = (
                opened.enter_context(SeparateHosts(self.chosen.topology).at_the_router())
                if self._needs_hosts()
                else None
            )
            actions = opened.enter_context(closing(ActionLog(self.folder)))
            deployment = opened.enter_context(
                Deployment(
                    self.chosen.topology, self.programs, settings, self.folder, actions.note, hosts, progress.say
                )
            )
            deployment.start(stop)
            events = EventLog(deployment.state)
            with (
                LoadSampler(events.poll, self.folder),
                SteadyLoads(deployment, stop) as loads,
                ExtraLoad(deployment, stop) as extra,
            ):

                def record(action: str, target: str) -> float:
                    events.poll()  # before a router goes: its latest events may go with it
                    return actions.note(action, target)

                context = FaultContext(chosen, self.plan, deployment, extra, stop, record, chosen.rate_per_s, seed=0)
                FaultSequence(context, loads, actions, self.repeat).run(progress)
            events.poll()
            events.write(self.folder)

    def _needs_hosts(self) -> bool:
        """Whether the hosts that the topology names are to be there, for a fault that one of them can have."""
        faults = [FAULTS[name] for load in self.settings.offered_loads for name in load.faults]
        return any(fault.on_hosts and fault.applies_to(self.plan) is None for fault in faults)
