"""The steps of `python -m tools.peers measure`: what each runs, which are finished, how long the rest takes."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from statistics import fmean

from cli import CommandError, UsageError
from experiments.failover.faults import FAULTS
from experiments.results.store import read_json, write_json
from experiments.testbed.namespaces import why_impossible
from experiments.testbed.signals import InterruptedBySignalError, stop_on_signals
from tools.peers_figures import SATURATION
from tools.peers_results import CONTENTS, CONTROL, FINISHED, HOSTS, PLAN, THROUGHPUT, finished
from tools.peers_tables import ORDER

LOCK = "measuring.lock"
"""The file that is locked for as long as anything measures into the folder."""

TOOK = "took_s"
OWN_WORDS = ("--seed=", "--out=")
"""How the words of a step begin that no other has."""

TOPOLOGY = "2active"
RATE_PER_S = 8.0
"""What one predictor alone carries with 0.2 % refused (Erlang B), so that no fault is overload besides."""

WINDOW_S = 8.0
"""Least length of a fault's window: the repair, and what a router needs to take a predictor back."""

LOAD = {"rate": f"{RATE_PER_S:g}", "service-time": "0.4", "threshold": "10", "repair-after": "3", "hold-down": "2"}
"""Settings that all runs have; each is given, so that the plan has it whatever an experiment's default becomes."""

AT_ONCE = 7
"""Runs side by side: all routers meet each fault in the same minute, and on two quiet cores no window was late."""

SATURATING_AT_ONCE = 3
"""The same at saturation: each is offered some 150 requests/s."""

POLL_EVERY_S = 0.05
BETWEEN_WINDOWS_S, AROUND_RUNS_S = 4.0, 20.0
THROUGHPUT_S = 180.0
"""About how long things take besides, for the time left until steps have told."""


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often."""

    routers: tuple[str, ...]
    repeats: int
    window_s: float = WINDOW_S
    at_once: int = AT_ONCE
    contents: tuple[str, ...] = ()
    """What tells the routers' files of a user's own from those that they were: a word each."""


@dataclass(frozen=True)
class Step:
    """One command that leaves a folder."""

    name: str
    """Its folder's."""
    kind: str
    """Steps of one kind take about as long."""
    command: tuple[str, ...]
    """The words after `python -m`."""
    expected_s: float


def steps(plan: Plan, folder: Path, hosts: bool) -> list[Step]:
    """Returns all steps in their order; without `hosts` none that needs network namespaces."""
    on_hosts = [name for name in ORDER if name in FAULTS and FAULTS[name].on_hosts]
    rest = [name for name in ORDER if name in FAULTS and name not in (*on_hosts, SATURATION)]
    saturating = min(plan.at_once, SATURATING_AT_ONCE)
    found = []
    for repeat in range(1, plan.repeats + 1):
        found.append(_faults(plan, folder, TOPOLOGY, TOPOLOGY, rest, repeat, plan.at_once))
        if SATURATION in FAULTS:
            found.append(_faults(plan, folder, SATURATION, TOPOLOGY, [SATURATION], repeat, saturating))
        if hosts:
            found.append(_faults(plan, folder, HOSTS, HOSTS, [CONTROL, *on_hosts], repeat, plan.at_once))
    command = ("benchmarks", "routers", f"--routers={','.join(plan.routers)}", f"--out={folder / THROUGHPUT}")
    return [*found, Step(THROUGHPUT, THROUGHPUT, command, THROUGHPUT_S)]


def _faults(
    plan: Plan, folder: Path, kind: str, topology: str, faults: Sequence[str], repeat: int, at_once: int
) -> Step:
    name = f"{kind}-{repeat}"
    options = {
        "router": ",".join(plan.routers), "topologies": topology, "loads": "calm", "faults": ",".join(faults),
        **LOAD,
        "seed": repeat, "window": f"{plan.window_s:g}", "at-once": at_once, "out": folder / name,
    }  # fmt: skip
    words = [f"--{option}={value}" for option, value in options.items()]
    rounds = ceil(len(plan.routers) / at_once)
    expected_s = rounds * (len(faults) * (plan.window_s + BETWEEN_WINDOWS_S) + AROUND_RUNS_S)
    return Step(name, kind, ("experiments", "failover", "--no-capacity", *words), expected_s)


def measure(plan: Plan, folder: Path, env: Mapping[str, str], show: Callable[[str], None]) -> None:
    """Runs the steps that are not finished, each in a folder of its own. Raises CommandError."""
    _make(folder)
    with held(folder) as lock:
        _require_same(plan, folder)
        _measure(plan, folder, env, show, lock)


def _measure(plan: Plan, folder: Path, env: Mapping[str, str], show: Callable[[str], None], lock: int) -> None:
    why = why_impossible()
    if why:
        show(f"{HOSTS}: left out, its cells will be missing: no network namespaces: {why}")
    todo = steps(plan, folder, hosts=not why)
    for number, step in enumerate(todo, start=1):
        place = folder / step.name
        if finished(place):
            show(f"step {number} of {len(todo)}: {step.name}: finished before")
            continue
        left_min = ceil(left_s(todo[number - 1 :], folder, todo) / 60)
        show(f"step {number} of {len(todo)}: {step.name}, about {left_min} min left")
        _run(step, place, env, lock)


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Keeps other measurements out of the folder; gives the descriptor that does. Raises UsageError where one is in.

    What is started with that descriptor keeps them out too: a step whose measurement was killed still writes.
    """
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{folder}: still measured by another process: wait for it, or end it") from error
        yield file.fileno()


def in_common(plan: Plan) -> dict[str, list[str]]:
    """What all steps of a kind have in common, whether or not this machine can take them: their words."""
    first = steps(replace(plan, repeats=1), Path(), hosts=True)
    return {step.kind: [word for word in step.command if not word.startswith(OWN_WORDS)] for step in first} | {
        CONTENTS: list(plan.contents)
    }


def _make(folder: Path) -> None:
    """Makes the folder, or takes an earlier measurement's. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made: {error.strerror}; give another folder") from error
    if not (folder / PLAN).is_file() and any(path.name != LOCK for path in folder.iterdir()):
        raise UsageError(f"{folder} is not empty and no folder of measure: give a new one")


def _require_same(plan: Plan, folder: Path) -> None:
    """Keeps the plan in the folder. Raises UsageError where its finished steps are of another."""
    if not (folder / PLAN).is_file():
        write_json(folder / PLAN, in_common(plan))
    elif other := _differences(read_json(folder / PLAN), in_common(plan)):
        raise UsageError(f"{folder}: begun with {other}: give the same, or a new folder")


def _differences(before: object, now: Mapping[str, Sequence[str]]) -> str:
    """What the plan that was kept has otherwise, in words; empty where nothing is."""
    if before == now:
        return ""
    if not isinstance(before, dict) or before.keys() != now.keys():
        return f"a {PLAN} of another version"
    had, has = (
        dict.fromkeys(
            word.replace("--router=", "--routers=") for name in now for word in one[name] if word not in two[name]
        )
        for one, two in ((before, now), (now, before))
    )
    return f"{' '.join(had) or 'less'}, not {' '.join(has) or 'with that'}"


def left_s(rest: Sequence[Step], folder: Path, all_steps: Sequence[Step]) -> float:
    """About how long these steps take that are not finished: as finished ones of their kind, else as expected."""
    took_s: dict[str, list[float]] = {}
    for step in all_steps:
        if finished(folder / step.name):
            took_s.setdefault(step.kind, []).append(_took_s(folder / step.name))
    open_steps = (step for step in rest if not finished(folder / step.name))
    return sum(fmean(took_s.get(step.kind, [step.expected_s])) for step in open_steps)


def _took_s(place: Path) -> float:
    """How long a finished step took. Raises UsageError where that is not there."""
    document = read_json(place / FINISHED)
    took_s = document.get(TOOK) if isinstance(document, dict) else None
    if not isinstance(took_s, int | float):
        raise UsageError(f"{place / FINISHED}: has no {TOOK}: remove that file, and the step is measured again")
    return took_s


def _run(step: Step, place: Path, env: Mapping[str, str], lock: int) -> None:
    """Runs a step from its beginning; what half of it left is removed. Raises CommandError."""
    _remove(place)
    began = time.monotonic()
    status = run_to_end([sys.executable, "-m", *step.command], env, lock)
    if status != 0:
        raise CommandError(f"{step.name}: python -m {' '.join(step.command[:2])} ended with exit status {status}")
    write_json(place / FINISHED, {TOOK: round(time.monotonic() - began, 1)})


def _remove(place: Path) -> None:
    """Removes what half a step has left, if anything. Raises UsageError: its files would stand among the new ones."""
    try:
        if place.exists():
            shutil.rmtree(place)
    except OSError as error:
        raise UsageError(f"{error.filename or place}: cannot be removed: {error.strerror}; remove {place}") from error


def run_to_end(words: Sequence[str], env: Mapping[str, str] | None, *inherited: int) -> int:
    """Runs a command to its end; returns its exit status. A signal is passed on, for what it started ends with it.

    It has the `inherited` descriptors for as long as it runs, whatever becomes of this process.
    """
    with stop_on_signals() as stop, subprocess.Popen(words, env=env, pass_fds=inherited) as process:
        try:
            while process.poll() is None:
                stop.wait(POLL_EVERY_S)
        except InterruptedBySignalError:
            process.terminate()
            process.wait()
            raise
    return process.returncode


def with_programs(folder: Path) -> dict[str, str]:
    """The environment of the steps: programs of that folder are found first."""
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
