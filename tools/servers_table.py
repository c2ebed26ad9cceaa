"""`python -m tools.servers table RUN ...`: the measured tables of docs/servers.md, from summaries of run folders."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cli import Parser, UsageError

Summary = Mapping[str, Any]
NONE = "-"


class Measured(NamedTuple):
    """What was measured of one server: the summary of each experiment, by the experiment's name."""

    server: str
    summaries: dict[str, Summary]


def tables(runs: Sequence[Measured]) -> Iterator[str]:
    """Yields the lines of the tables, in the order of the servers given: first failures, requests lost; none empty."""
    compared = [(run.server, run.summaries["compare"]) for run in runs if "compare" in run.summaries]
    if compared:
        names = _distinct(each["topology"] for _, summary in compared for each in summary["topologies"])
        yield from _table(["server", "alone", "at once", *names], (_rates(*run, names) for run in compared))
        yield ""
    broken = [(run.server, run.summaries["failover"]) for run in runs if "failover" in run.summaries]
    if broken:
        faults = _distinct(fault["fault"] for _, summary in broken for _, cells in _cells(summary) for fault in cells)
        rows = (_losses(server, *cells, faults) for server, summary in broken for cells in _cells(summary))
        yield from _table(["server", "topology", *faults], rows)


def _rates(server: str, summary: Summary, names: list[str]) -> list[str]:
    rates = {each["topology"]: each["rate_at_first_failure_per_s"] for each in summary["topologies"]}
    shown = [f"{rates[name]['median']:.1f}/s" if rates.get(name) else NONE for name in names]
    return [server, *_times(summary["settings"]["server"]["preflight"]), *shown]


def _times(measured: Summary) -> list[str]:
    """How long a prediction takes alone, and with as many in flight as the capacity allows."""
    full_s = measured["latency_at_once_s"]
    full = NONE if full_s is None else f"{full_s:.2f} s ({measured['at_once']})"
    return [f"{measured['service_time_s']:.2f} s", full]


def _cells(summary: Summary) -> Iterator[tuple[str, list[Summary]]]:
    """Each topology under each load, by name, with its faults."""
    for load in summary["loads"]:
        for each in load["topologies"]:
            yield each["topology"], each["faults"]


def _losses(server: str, topology: str, cells: list[Summary], faults: list[str]) -> list[str]:
    by_fault = {cell["fault"]: cell for cell in cells}
    return [server, topology, *(_lost(by_fault.get(fault)) for fault in faults)]


def _lost(cell: Summary | None) -> str:
    """The requests lost of those offered in the windows that count, which may be none."""
    if cell is None:
        return NONE
    return f"{cell['lost_total']} of {cell['offered_total']}" if cell["windows"] else "invalid"


def _table(head: list[str], rows: Iterator[list[str]]) -> Iterator[str]:
    for cells in [head, ["---"] * len(head), *rows]:
        yield f"| {' | '.join(cells)} |"


def _distinct(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))


def read(folders: Sequence[Path]) -> list[Measured]:
    """Returns what the run folders hold, by server. Raises UsageError, of two runs that would be one figure too."""
    found: dict[str, Measured] = {}
    for folder in folders:
        summary = _summary(folder)
        server = Path(summary["settings"]["server"]["file"]).stem
        kept = found.setdefault(server, Measured(server, {})).summaries
        experiment = summary["settings"]["experiment"]
        if experiment in kept:
            raise UsageError(f"{folder}: a second run of {experiment} with {server}: give one of each")
        kept[experiment] = summary
    return list(found.values())


def _summary(folder: Path) -> Summary:
    try:
        summary: Summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        server = summary["settings"].get("server")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder}: no run folder with a summary.json: give the --out of an experiment") from error
    if not server:
        raise UsageError(f"{folder}: a run without --server: give runs with one")
    return summary


def command(arguments: Sequence[str]) -> None:
    """Prints the tables of the run folders named. Raises UsageError."""
    parser = Parser(
        prog="python -m tools.servers table",
        description="Print first failures and requests lost, by server, as Markdown.",
        epilog="example: python -m tools.servers table results/servers/*",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="folder of compare or failover --server")
    for line in tables(read(parser.parse_args(arguments).runs)):
        print(line)
