"""The server that an experiment's command line and topologies name in place of the rig's own predictors."""

import hashlib
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from cli import UsageError
from experiments.page.text import NONE
from experiments.results.folders import PROJECT
from experiments.results.records import PreflightFigures, ServerRecord
from experiments.testbed.payload import Payload, choose_payload
from experiments.testbed.router import HOST
from experiments.testbed.servers.model_servers import is_own, places_of, servers_of
from experiments.testbed.servers.preflight import measure_in_short
from experiments.testbed.signals import stop_on_signals
from experiments.testbed.topologies import Topology
from experiments.theory.loss_model import time_text
from server_file import OWN, Place, Server, find, read

UNSTEADY = 3.0
"""A slowest answer of so many times the median, one at a time, is worth a warning."""


@dataclass(frozen=True)
class ChosenServer:
    """What the predictors of an experiment are."""

    server: Server
    """As the server file says; OWN without one."""
    record: ServerRecord | None
    """What settings.json keeps of it; None where all predictors are the rig's own."""
    service_time_s: float
    """How long a prediction takes in all: of a user's server as measured."""
    capacity: int
    """Of a predictor whose entry names none."""
    payload: Payload | None = None
    """What loads POST to the rig's own; None: GET, or what the server file says."""

    @property
    def name(self) -> str:
        """The user's server as messages call it; empty where all predictors are the rig's own."""
        return self.record.name if self.record else ""

    def to_repeat(self, options: Namespace) -> dict[str, object]:
        """`server`, `payload` and `threshold` for the command that repeats the experiment from the project's folder.

        A name stays one, a path is given within the project or in full; there is no threshold where the server file
        decides it, or the experiment has none.
        """
        values: dict[str, object] = {}
        if options.server:
            values["server"] = _from_project(options.server, self.server.file)
        if self.payload:
            values["payload"] = _from_project(self.payload.given, self.payload.file)
        if self.server.capacity is None and "threshold" in options:
            values["threshold"] = options.threshold
        return values

    @property
    def is_own(self) -> bool:
        """Whether all predictors are the rig's own."""
        return self.record is None

    @property
    def holding_time_s(self) -> float:
        """How long a request holds a slot when all are held: loads go by it."""
        return self.record.preflight.holding_time_s if self.record else self.service_time_s

    @property
    def why_held(self) -> str:
        """What that time is, in words that stand before it."""
        queues = self.record is not None and self.record.preflight.why_no_theory
        return "with all slots held a prediction takes" if queues else "service time"

    def at_once(self, asked: int | None, otherwise: int) -> int:
        """How many runs go side by side: users' servers compute, so that they would take each other's processor.

        Raises UsageError for several where hooks act on servers that all of them would share.
        """
        if self.server.hooks and (asked or 1) > 1:
            why = "hooks act on servers that runs side by side would share"
            raise UsageError(f"argument --at-once: {asked}: {self.server.file}: {why}: leave it out")
        return asked or (otherwise if self.is_own else 1)


def choose_server(
    options: Namespace, topologies: Sequence[Topology], root: Path, console: Console, *,
    service_time_s: float, capacity: int,
) -> ChosenServer:  # fmt: skip
    """Reads `--server` and, where a predictor is a user's own, measures that with the greatest capacity.

    Args:
        options: `server`, `service_time` and, where an experiment has them, `load_time`, `payload` and
            `service_time_per_mb`.
        topologies: of the experiment.
        root: the project's folder: the names of server files stand for those in its folder `servers`.
        console: for what was measured, and warnings.
        service_time_s: of the rig's own predictors, unless the options say otherwise.
        capacity: of a predictor for which neither entry nor server file names one.

    Raises:
        CommandError: a file, an option beside it, or the server itself is not usable.
    """
    server = read(find(options.server, root / "servers")) if options.server else OWN
    pool = {
        (topology.name, name): each for topology in topologies for name, each in servers_of(topology, server).items()
    }
    users = {key: each for key, each in pool.items() if not is_own(each)}
    threshold = server.capacity or capacity
    if not users:
        fixed_s = service_time_s if options.service_time is None else options.service_time
        given, per_mb_s = getattr(options, "payload", None), getattr(options, "service_time_per_mb", 0.0)
        payload, whole_s = choose_payload(given, per_mb_s, fixed_s)
        return ChosenServer(server, None, whole_s, threshold, payload)
    (topology, name), first = max(users.items(), key=lambda item: item[1].capacity or threshold)
    _refuse_what_is_measured(options, f"{topology}: {name}")
    whole = next(each for each in topologies if each.name == topology)
    place = places_of(whole, {name: first}, HOST)[name]
    figures = _measure(place, first, first.capacity or threshold, console)
    differ = len({(each.command, each.path) for each in pool.values()}) > 1
    if differ:
        console.print(f"the predictors differ: {name} of {topology} was measured, the others were not", soft_wrap=True)
    return ChosenServer(server, describe(first, server, figures, differ=differ), figures.service_time_s, threshold)


def describe(first: Server, server: Server, figures: PreflightFigures, *, differ: bool = False) -> ServerRecord:
    """Returns what is kept of a server, without any header's value.

    `first` is what was measured; `server` the whole of the server file, which entries of a topology may differ from;
    `differ`: whether others are started or asked otherwise.
    """
    payload = first.payload
    return ServerRecord(
        file="" if first.file is None else first.file.name,
        command=list(first.command),
        path=first.path,
        health=first.health,
        payload_bytes=None if payload is None else len(payload),
        payload_sha256=None if payload is None else hashlib.sha256(payload).hexdigest(),
        headers=list(first.headers),
        capacity=server.capacity,
        preflight=figures,
        differ=differ,
    )


def _from_project(given: str, file: Path | None) -> str:
    """What stands for the file in the project's folder: its name where it is one of `servers`, else its path."""
    if file is None or (file.parent == PROJECT / "servers" and file.stem == given):
        return given
    return str(file.relative_to(PROJECT) if file.is_relative_to(PROJECT) else file)


def _refuse_what_is_measured(options: Namespace, place: str) -> None:
    """Refuses options of the rig's own predictors. Raises UsageError."""
    whose = f"--server {options.server}" if options.server else f"{place} has a command of its own"
    if options.service_time is not None:
        raise UsageError(f"argument --service-time: {options.service_time:g}: {whose}: it is measured: leave it out")
    if getattr(options, "load_time", 0.0):
        raise UsageError(f"argument --load-time: {options.load_time:g}: {whose}: it takes its own time: leave it out")
    if per_mb_s := getattr(options, "service_time_per_mb", 0.0):
        raise UsageError(f"argument --service-time-per-mb: {per_mb_s:g}: {whose}: it takes its own time: leave it out")
    if (payload := getattr(options, "payload", None)) is not None:
        raise UsageError(f"argument --payload: {payload!r}: {whose}: name it as `payload` in a server file")


def _measure(place: Place, server: Server, capacity: int, console: Console) -> PreflightFigures:
    """The short preflight, with what it came to in a line, and warnings. Raises CommandError."""
    what = server.file.stem if server.file else place.name
    with (
        tempfile.TemporaryDirectory(prefix="preflight-") as folder,
        stop_on_signals() as stop,
        console.status(f"preflight of {what}") as status,
    ):
        figures = measure_in_short(place, server, capacity, Path(folder), stop, teller(console, status))
    for line in [_in_a_line(what, figures), *_warnings(figures)]:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    return figures


def teller(console: Console, status: Status) -> Callable[[str], None]:
    """Returns what prints a line, and leaves it in the status line."""

    def tell(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
        status.update(escape(line))

    return tell


def _in_a_line(what: str, figures: PreflightFigures) -> str:
    together = NONE if figures.latency_at_once_s is None else _time(figures.latency_at_once_s)
    return (
        f"preflight of {what}: service time {_time(figures.service_time_s)} ({figures.asked_alone} predictions, "
        f"{_time(figures.fastest_s)} to {_time(figures.slowest_s)}); {figures.at_once} at once: {together}"
    )


def _warnings(figures: PreflightFigures) -> Iterator[str]:
    if why := figures.why_no_theory:
        yield f"warning: {why}; `python -m experiments server FILE` suggests a capacity"
    if figures.slowest_s > UNSTEADY * figures.service_time_s:
        yield (
            f"warning: one prediction at a time took from {_time(figures.fastest_s)} to "
            f"{_time(figures.slowest_s)}: such a server, or so busy a machine, makes figures that vary"
        )


def _time(seconds: float) -> str:
    return time_text(seconds, digits=3)
