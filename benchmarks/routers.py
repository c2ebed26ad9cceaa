"""The routers that experiments can have, each started as an experiment starts it, in front of the same stubs.

Their configurations are the templates of `routers/` and the router's own rules, with limits that no load reaches: what
is measured is the router that the scorecard judges, not the fastest that it could be made (`peers.py`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.benchmark import Programs, Server, new_parser, threads, version_of
from benchmarks.contenders import DIRECT
from benchmarks.records import CONNECTIONS, THREADS, RunFolder
from benchmarks.stubs import CAPACITY, Stubs, start_instant
from benchmarks.throughput import comparison_run, measure, print_tables
from cli import UsageError
from experiments.options import ENGINES
from experiments.results.folders import PROJECT
from experiments.testbed import programs as testbed
from experiments.testbed.chosen_routers import ChosenRouter, choose_routers
from experiments.testbed.other_router import OtherRouter
from experiments.testbed.own_router import OwnRouter
from experiments.testbed.router import HOST, Router
from experiments.testbed.routers.rendering import find_program, require_installed
from experiments.testbed.servers.model_servers import servers_of
from experiments.testbed.topologies import Topology, find_topology
from server_file import OWN

TOPOLOGY = "3active"
LOADS = [("POST", number) for number in CONNECTIONS]


def main(arguments: Sequence[str]) -> None:
    """Measures, records, and prints the tables. Raises CommandError."""
    known = ",".join([*ENGINES, *sorted(file.stem for file in (PROJECT / "routers").glob("*.json"))])
    text = "This project's router and others, by the configurations that experiments start them with."
    parser = new_parser("routers", text, seconds=1.5, repeats=5)
    parser.add_argument("--routers", metavar="A,B", default=known, help="names or router files (default: %(default)s)")
    options = parser.parse_args(arguments)
    chosen = choose_routers([options.routers], [], PROJECT).chosen
    if any(router.name == DIRECT for router in chosen):
        raise UsageError(f"argument --routers: {DIRECT!r} stands for no router at all here: give the file another name")
    missing = {router.name: reason for router in chosen if (reason := why_missing(router))}
    if len(missing) == len(chosen):
        raise UsageError(f"no router to measure: {'; '.join(f'{name}: {why}' for name, why in missing.items())}")
    with comparison_run(options.out) as (folder, programs):
        for name, reason in missing.items():
            folder.note("skipped", name, reason)
        servers = _start_all(folder, programs, [router for router in chosen if router.name not in missing])
        _note_threads(folder, servers)  # at once, so that a run that is broken off is known for what it is
        measure(folder, servers, LOADS, options, programs.stop)
        _note_threads(folder, servers)
    print_tables(folder)


def why_missing(router: ChosenRouter) -> str:
    """Returns why it cannot be started here, and how to get it; empty where it can."""
    if router.file is None:
        return ""
    try:
        require_installed(router.file)
    except UsageError as error:
        return f"not installed ({router.file.install or error})"
    return ""


def start(programs: Programs, stubs: Stubs, router: ChosenRouter) -> Server:
    """Starts it as an experiment does in front of three actives, which may have CAPACITY each. Raises CommandError."""
    topology = find_topology(TOPOLOGY, PROJECT / "topology")
    started = _make(topology, router, programs.folder / router.name)
    addresses = {name: (HOST, port) for name, port in zip(topology.predictors, stubs.ports, strict=True)}
    try:
        started.start(addresses, programs.stop)
    finally:
        programs.children.extend(started.processes())
    return Server(f"{started.url}{OWN.path}", started.processes()[0].pid)


def _make(topology: Topology, router: ChosenRouter, folder: Path) -> Router:
    settings = testbed.DeploymentSettings(service_time_s=0.0, threshold=CAPACITY, router=router)
    folder.mkdir(exist_ok=True)
    if router.file is None:
        return OwnRouter(topology, testbed.Programs(PROJECT), settings, folder, lambda: False)
    return OtherRouter(router.file, topology, servers_of(topology, OWN), settings, folder, lambda: True)


def _start_all(folder: RunFolder, programs: Programs, routers: Sequence[ChosenRouter]) -> dict[str, Server]:
    stubs = start_instant(programs)
    servers = {DIRECT: Server(stubs.url, stubs.pid)}
    for router in routers:
        servers[router.name] = start(programs, stubs, router)
        _note_version(folder, router)
    return servers


def _note_version(folder: RunFolder, router: ChosenRouter) -> None:
    if router.file is not None and router.file.version:
        program, *words = router.file.version
        folder.note("versions", router.name, version_of([find_program(program, router.file), *words]))


def _note_threads(folder: RunFolder, servers: Mapping[str, Server]) -> None:
    for name, server in servers.items():
        folder.note(THREADS, name, str(threads(server.pid)))
