"""What `python -m tools.peers measure` found, pooled over its repeats: read from run folders, kept as docs/peers.json.

What it means stands in peers_figures.py.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import DIRECT
from benchmarks.records import Measurement, RunFolder
from cli import UsageError
from experiments.failover.windows import MOST_LATENESS_S
from experiments.results.store import read_json, read_record
from experiments.testbed.chosen_routers import BETWEEN

FINISHED = "finished.json"
"""The file that the folder of a step has once the step has ended well."""

PLAN = "plan.json"
"""What the folder's steps have in common, by their kind: they are pooled, so they must be alike."""

CONTENTS = "contents"
"""The plan's entry that is no kind of step."""

THROUGHPUT = "throughput"
"""The step that comes last."""

CONTROL = "none"
HOSTS = "2hosts"
CONTROL_ON_HOSTS = "none, on two hosts"
"""The windows without a fault of the topology whose hosts are lost: it has a predictor more than the other."""

SUMMARY = "summary.json"

Summary = Mapping[str, Any]


@dataclass
class Cell:
    """One fault behind one router, a value per window."""

    router: str
    fault: str
    lost: list[int] = field(default_factory=list)
    offered: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    """Requests refused at saturation, which are in `lost` too; empty where runs have no such figure."""
    refused_after_s: list[float] = field(default_factory=list)
    """After which time a refused request was answered so: the median of a window that has some."""
    outage_s: list[float] = field(default_factory=list)
    longest_wait_s: list[float] = field(default_factory=list)
    """The longest time to any answer or failure of a window."""
    left_out: int = 0
    """Windows that count for nothing: the fault was not proven to strike, or the load came late."""


@dataclass
class Speed:
    """How fast one router is under one number of connections, a value per repeat."""

    router: str
    connections: int
    repeats: list[int] = field(default_factory=list)
    rate_per_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)


@dataclass
class Results:
    """All of it."""

    about: dict[str, Any]
    """When, where, by which versions and settings."""
    cells: list[Cell]
    speeds: list[Speed]

    def cell(self, router: str, fault: str) -> Cell | None:
        """That cell, where it has a window."""
        found = (each for each in self.cells if (each.router, each.fault) == (router, fault))
        return next((each for each in found if each.lost), None)

    def speed(self, router: str, connections: int) -> Speed | None:
        """How fast that router is under that load."""
        found = (each for each in self.speeds if (each.router, each.connections) == (router, connections))
        return next(found, None)

    @property
    def routers(self) -> list[str]:
        """Those whose faults were measured, in the order asked for."""
        return list(dict.fromkeys(each.router for each in self.cells))

    @property
    def measured(self) -> list[str]:
        """Those of which anything was measured, the loads' own target aside."""
        fast = (each.router for each in self.speeds if each.router != DIRECT)
        return list(dict.fromkeys([*self.routers, *fast]))

    @property
    def faults(self) -> list[str]:
        """Those that were measured, in the order of the runs."""
        return list(dict.fromkeys(each.fault for each in self.cells))


def finished(folder: Path) -> bool:
    """Whether that folder is one of a step that has ended well."""
    return (folder / FINISHED).is_file()


def unfinished(folder: Path) -> list[str]:
    """Returns the steps that the plan has and that have not ended well, of as many repeats as were begun.

    Where the last of all has ended and no step on hosts was begun, the machine had no namespaces: none of these.
    """
    plan = read_json(folder / PLAN) if (folder / PLAN).is_file() else {}
    kinds = [kind for kind in plan if kind not in (CONTENTS, THROUGHPUT)] if isinstance(plan, dict) else []
    begun = {kind: _repeats_begun(folder, kind) for kind in kinds}
    if finished(folder / THROUGHPUT) and not begun.get(HOSTS):
        kinds = [kind for kind in kinds if kind != HOSTS]
    repeats = range(1, max([1, *(number for found in begun.values() for number in found)]) + 1)
    names = [f"{kind}-{repeat}" for repeat in repeats for kind in kinds] + ([THROUGHPUT] if kinds else [])
    return [name for name in names if not finished(folder / name)]


def _repeats_begun(folder: Path, kind: str) -> list[int]:
    """The numbers of the repeats of which a step of that kind was begun."""
    ends = (path.name.removeprefix(f"{kind}-") for path in folder.glob(f"{kind}-*"))
    return [int(end) for end in ends if end.isdecimal()]


def read_runs(folder: Path) -> Results:
    """Pools what the finished steps of a folder hold. Raises UsageError."""
    runs = [path.parent for path in sorted(folder.glob(f"*/{SUMMARY}")) if finished(path.parent)]
    if not runs:
        raise UsageError(f"{folder}: no finished step of `measure` stands there: give its folder")
    cells: dict[tuple[str, str], Cell] = {}
    summaries = [_summary(run) for run in runs]
    for run, summary in zip(runs, summaries, strict=True):
        try:
            _pool(summary, cells, run)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UsageError(
                f"{run}: {SUMMARY} is no summary of `experiments failover`: give one of measure"
            ) from error
    fast = RunFolder(folder / THROUGHPUT) if finished(folder / THROUGHPUT) else None
    about = _about([summary["settings"] for summary in summaries], fast) | {"unfinished": unfinished(folder)}
    return Results(about, list(cells.values()), _speeds(fast.measurements()) if fast else [])


def _summary(run: Path) -> Summary:
    document = read_json(run / SUMMARY)
    if not isinstance(document, dict) or not isinstance(document.get("settings"), dict):
        raise UsageError(f"{run}: {SUMMARY} is no summary of an experiment: give the folder of `measure`")
    return document


def _pool(summary: Summary, cells: dict[tuple[str, str], Cell], run: Path) -> None:
    for scored in summary["topologies"]:
        topology, router = scored["topology"].partition(BETWEEN)[0], _router(scored["topology"], summary["settings"])
        if not router:
            raise UsageError(f"{run}: {SUMMARY} does not say which router {topology} had: measure it again")
        for window in scored["windows"]:
            fault = CONTROL_ON_HOSTS if topology == HOSTS and window["fault"] == CONTROL else window["fault"]
            _add(window, cells.setdefault((router, fault), Cell(router, fault)))


def _router(deployment: str, settings: Summary) -> str:
    """The router of that deployment, whose name says it only where a run has several; empty where nothing does."""
    planned = [each.get("router") for each in settings.get("topologies", []) if each["name"] == deployment]
    others = [each["name"] for each in settings.get("routers", [])]
    alone = others[0] if len(others) == 1 else ""
    found = [*planned, deployment.partition(BETWEEN)[2], settings.get("engine"), alone]
    return next((name for name in found if name), "")


def _add(window: Summary, cell: Cell) -> None:
    """Adds a window to its cell. One that is late counts for no loss either, which is stricter than the scorecard.

    Where the load comes late the machine has too much to do, and a router is not to be blamed for what is lost then.
    """
    if window.get("missed") or not window["offered"] or window["lateness_p99_s"] > MOST_LATENESS_S:
        cell.left_out += 1
        return
    cell.lost.append(window["lost"])
    cell.offered.append(window["offered"])
    if (refused := window.get("refused")) is not None:
        cell.refused.append(refused)
    for name in ("refused_after_s", "outage_s", "longest_wait_s"):
        if (value := window.get(name)) is not None:
            getattr(cell, name).append(value)


def _speeds(measured: Iterable[Measurement]) -> list[Speed]:
    found: dict[tuple[str, int], Speed] = {}
    for each in measured:
        if each.method == "POST":
            key = each.contender, each.connections
            speed = found.setdefault(key, Speed(*key))
            speed.repeats.append(each.repeat)
            speed.rate_per_s.append(round(each.rate_per_s, 1))
            speed.p50_ms.append(each.p50_ms)
            speed.p99_ms.append(each.p99_ms)
    return list(found.values())


SHOWN = ("haproxy", "wrk")
"""Programs whose versions the benchmark alone knows."""

ONE_OF_ALL = ("rate_per_s", "service_time_s", "threshold", "window_s", "repair_after_s", "hold_down_s", "at_once")
"""Settings that all runs have in common, but for the rate by their topologies."""


def _about(settings: Sequence[Summary], fast: RunFolder | None) -> dict[str, Any]:
    """What the page says of the measurement; of values that differ between runs each."""
    more = fast.about() if fast else {"versions": {}}
    benchmark = [more["versions"]] if "project" in more["versions"] else []
    versions = {each["name"]: each["version"] for one in settings for each in one.get("routers", [])}
    versions |= {name: more["versions"][name] for name in SHOWN if name in more["versions"]}
    return {
        "begun": min(one["started_at"] for one in settings)[:10],
        "machine": {name: settings[0]["machine"][name] for name in ("processor", "cores", "memory", "system")},
        "commits": _distinct(one["project"] for one in [*(one["versions"] for one in settings), *benchmark]),
        "python": settings[0]["versions"]["python"],
        "versions": {name: version_number(text) for name, text in versions.items()},
        "threads": more.get("threads", {}),
        "settings": {name: _distinct(one[name] for one in settings) for name in ONE_OF_ALL},
    }


def version_number(text: str) -> str:
    """The number in what a program says of its version, which may name commits and paths too; all where it has none."""
    found = re.search(r"\d+\.\d+\.\d+", text)
    return found[0] if found else text


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def write(results: Results, path: Path) -> None:
    """Writes the results, a line per cell, so that a difference of two measurements shows which."""
    rows = {"cells": map(asdict, results.cells), "speeds": map(asdict, results.speeds)}
    parts = [f'"about": {json.dumps(results.about)}', *(_lines(name, each) for name, each in rows.items())]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _lines(name: str, rows: Iterator[dict[str, Any]]) -> str:
    """A list of objects, one a line, without what is empty."""
    kept = ({key: value for key, value in row.items() if value not in ([], 0)} for row in rows)
    return f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in kept) + "\n]"


def read(path: Path) -> Results:
    """Reads what `write` has written. Raises UsageError."""
    return read_record(Results, path)
