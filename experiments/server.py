"""`python -m experiments server FILE`: the preflight of a user's own server, in a table and sentences."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cli import Parser, UsageError
from experiments.options import DEFAULT_CAPACITY
from experiments.page.tables import new_table
from experiments.page.text import NONE
from experiments.results.folders import PROJECT
from experiments.results.store import write_json
from experiments.testbed.servers.chosen import teller
from experiments.testbed.servers.model_servers import servers_of
from experiments.testbed.servers.predictions import Burst
from experiments.testbed.servers.preflight import Drain, Preflight, measure_in_full
from experiments.testbed.servers.probes import method_of, on_one_line
from experiments.testbed.signals import stop_on_signals
from experiments.testbed.topologies import Topology
from experiments.theory.loss_model import MOST_GROWTH, time_text, why_no_loss_model
from server_file import Server, find, read

SHOWN_CHARACTERS = 60
"""So much of the answer is shown."""

UNSTEADY = 3.0
"""Where the slowest answer alone takes so many times the median, a warning says so."""

MOST_PER_S = 300.0
"""What generators, router and predictors carry on two cores."""

DESCRIPTION = """\
Start one of your own model servers alone, without a router, and measure how
it takes load: time to health and to the first good prediction, service time,
latency and refusals with 1 to 16 predictions at once, its health meanwhile,
and what a stop does to predictions in flight. It ends with the capacity to
give it, and warnings.

Time it takes: no prediction alone is begun after 20 s, and none of so many at
once after 10 s; those that are begun have 10 s, or 4 service times if that is
longer, as in the router. After a number of which some got no answer, no
greater one is tried. A server that needs 10 s for a prediction takes about
two minutes."""

EXAMPLES = """\
examples:
  python -m experiments server my-server.json
  python -m experiments server fastapi --json preflight.json
"""


def main(arguments: Sequence[str], console: Console) -> None:
    """Runs the command. Raises CommandError where the server cannot be measured."""
    parser = Parser(prog="python -m experiments server", description=DESCRIPTION, epilog=EXAMPLES)
    parser.add_argument("server", metavar="NAME|FILE", help="a server file (docs/servers.md)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments)
    if options.json is not None and (options.json.is_dir() or not options.json.parent.is_dir()):
        raise UsageError(f"argument --json: {str(options.json)!r}: give a file in a folder that exists")
    server = read(find(options.server, PROJECT / "servers"))
    if server.hooks:
        raise UsageError(f"{server.file}: hooks: a server is started here by its command; give an experiment the file")
    name = server.file.stem if server.file else ""
    servers_of(Topology(name, {name: {"status": True, "port": 0}}), server)  # refuses what cannot be started
    with (
        tempfile.TemporaryDirectory(prefix="preflight-") as folder,
        stop_on_signals() as stop,
        console.status(f"preflight of {name}") as status,
    ):
        found = measure_in_full(name, server, Path(folder), stop, teller(console, status))
    console.print(levels_table(name, found))
    for sentence in sentences(server, found):
        console.print(sentence, highlight=False, markup=False)
    if options.json is not None:
        write_json(options.json, document(server, found))


def levels_table(name: str, found: Preflight) -> Table:
    """A row for each number at once: answers, latency beside that alone, and health meanwhile."""
    columns = ("At once", "Asked", "Good", "Otherwise", "Latency", "x alone", "Health", "Slowest\ncheck")
    rows = [_level_cells(level, found) for level in found.levels]
    return new_table(f"{name} alone, without a router", columns, [rows], text=(3, 6), folds=(3, 6), max_width=16)


def _level_cells(level: Burst, found: Preflight) -> list[str]:
    others = [f"{count} x {status or 'none'}" for status, count in level.statuses.items() if not 200 <= status < 300]
    failed = list(
        dict.fromkeys(str(each.outcome.status or "none") for each in level.health if not each.outcome.is_good)
    )
    passed = "passes" if level.health else NONE
    return [
        str(level.at_once),
        str(level.asked),
        str(len(level.good_s)),
        ", ".join(others) or NONE,
        NONE if level.latency_s is None else _time(level.latency_s),
        NONE if level.latency_s is None else f"{level.latency_s / found.service_time_s:.1f}",
        ", ".join(failed) or passed,
        NONE if not level.health else _time(max(each.latency_s for each in level.health)),
    ]


def sentences(server: Server, found: Preflight) -> list[str]:
    """The result in sentences, then warnings, then what to write into the server file."""
    good_s = found.alone.good_s
    start = f"health after {_time(found.healthy_after_s)}, first good prediction after {_time(found.ready_after_s)}"
    answer = f"{found.answer.status}, {len(found.answer.body)} bytes: {shown(found.answer.body)}"
    spread = f"{_time(good_s[0])} to {_time(good_s[-1])}"
    return [
        f"Start: {start}.",
        f"Answer to {method_of(server)} {server.path}: {answer}",
        f"Service time: {_time(found.service_time_s)}, the median of {len(good_s)} predictions alone ({spread}).",
        f"Stop: {_stopped(found.drain)}",
        *(f"Warning: {text}." for text in warnings(server, found)),
        _suggestion(server, found),
    ]


def _time(seconds: float) -> str:
    return time_text(seconds, digits=3)


def shown(body: bytes) -> str:
    """The first characters of an answer, on one line."""
    return on_one_line(body, SHOWN_CHARACTERS)


def _stopped(drain: Drain) -> str:
    if not drain.in_flight:
        answered = "no prediction was in flight at SIGTERM"
    else:
        answered = f"{drain.answered} of {drain.in_flight} predictions in flight at SIGTERM got a good answer"
    if drain.ended_after_s is None:
        return f"{answered}; it had not ended within its stop_within_s, and was killed."
    left = f"{drain.left} of its processes ran on and were killed" if drain.left else "nothing of it was left"
    return f"{answered}; it ended after {_time(drain.ended_after_s)}; {left}."


def warnings(server: Server, found: Preflight) -> Iterator[str]:
    """What may surprise in an experiment, each without its full stop."""
    yield from _of_load(server, found)
    yield from _of_health(server, found)
    good_s = found.alone.good_s
    if good_s[-1] > UNSTEADY * found.service_time_s:
        yield (
            f"predictions alone took from {_time(good_s[0])} to {_time(good_s[-1])}: figures of such a "
            "server, or on so busy a machine, vary"
        )
    if found.outside:
        yield (
            f"{found.outside} of its {found.processes} processes left the process group: a kill of the group misses "
            "them; the experiments kill the whole tree"
        )
    if found.drain.answered < found.drain.in_flight:
        yield (
            "a polite stop loses predictions in flight: have your server finish them at SIGTERM; until then drain it "
            "first (docs/operating.md)"
        )
    if found.drain.left:
        yield "what its stop leaves may hold its port: the experiments kill it after stop_within_s"


def _of_load(server: Server, found: Preflight) -> Iterator[str]:
    capacity, service_s = server.capacity or DEFAULT_CAPACITY, found.service_time_s
    whose = (
        f"its capacity, {capacity}," if server.capacity else f"without a capacity in its file it has {capacity}, which"
    )
    beyond = next((level for level in found.levels if level.at_once > found.capacity), None)
    if beyond is not None and capacity > found.capacity:
        why = why_no_loss_model(service_s, beyond.at_once, beyond.latency_s, beyond.asked, len(beyond.good_s))
        yield f"{whose} is more than it carries: {why}, and experiments show no theory"
    most_per_s = capacity / service_s
    if most_per_s > MOST_PER_S:
        yield (
            f"{capacity} slots, each held for {_time(service_s)}, are full at {most_per_s:.0f} requests/s, more than "
            f"the {MOST_PER_S:g} that load and router carry here: only a lower capacity lets a topology be seen to fail"
        )


def _of_health(server: Server, found: Preflight) -> Iterator[str]:
    late = [level for level in found.levels if any(each.latency_s > server.health_timeout_s for each in level.health)]
    failing = [level for level in found.levels if any(not each.outcome.is_good for each in level.health)]
    if failing:
        said = next(each.outcome.said for each in failing[0].health if not each.outcome.is_good)
        yield (
            f"with {failing[0].at_once} at once its health check {said}: the router takes it for down then, unless it "
            "has just answered predictions"
        )
    elif late:
        yield (
            f"with {late[0].at_once} at once its health check takes longer than health_timeout_s, "
            f"{server.health_timeout_s:g} s: raise it above {_time(max(e.latency_s for e in late[-1].health))}"
        )


def _suggestion(server: Server, found: Preflight) -> str:
    capacity, tried = found.capacity, found.levels[-1].at_once
    why = f"the most at once that were all answered, in at most {MOST_GROWTH:g} times the time alone"
    more = "; more were not tried" if capacity == tried else ""
    so = "as in its file" if server.capacity == capacity else f'write "capacity": {capacity} into its file'
    return f"Suggested capacity: {capacity}, {why}{more}: {so}."


def document(server: Server, found: Preflight) -> dict[str, Any]:
    """The figures as JSON values; times in seconds."""
    return {
        "server": server.file.name if server.file else "",
        "healthy_after_s": found.healthy_after_s,
        "ready_after_s": found.ready_after_s,
        "service_time_s": found.service_time_s,
        "levels": [
            {
                "at_once": level.at_once,
                "statuses": level.statuses,
                "latency_s": level.latency_s,
                "longest_health_s": max((each.latency_s for each in level.health), default=None),
            }
            for level in found.levels
        ],
        "processes": found.processes,
        "outside_group": found.outside,
        "drain": found.drain,
        "capacity": found.capacity,
        "warnings": list(warnings(server, found)),
    }
