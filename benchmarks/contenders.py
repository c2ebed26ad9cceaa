"""Who takes part in the comparison, and how each is started in front of the same stubs."""

import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.programs import Programs
from benchmarks.stubs import CAPACITY, HAPROXY_BASE, Stubs, write_topology
from experiments.results.folders import PROJECT
from experiments.testbed.processes import free_ports

SAMPLE = PROJECT / "predictors" / "sample.json"
ROUTER, DIRECT, FLASK, NAIVE, HAPROXY = "router", "direct", "flask alone", "naive", "haproxy"
ENGINE, RAY = "router on haproxy", "ray serve"


@dataclass(frozen=True)
class Served:
    """A contender that runs: where it answers, and its process."""

    url: str
    pid: int


class SkippedError(Exception):
    """The contender cannot take part here; the text says why."""


def start_direct(_: Programs, stubs: Stubs) -> Served:
    """No router at all."""
    return Served(stubs.url, stubs.child.pid)


def start_router(
    programs: Programs, stubs: Stubs, *options: str, name: str = "router", capacity: int = CAPACITY
) -> Served:
    """This project's router, every predictor active, room for every request."""
    port, admin_port = free_ports(2)
    topology = write_topology(programs.folder, stubs.ports, capacity, f"3active-{name}")
    argv = [sys.executable, str(PROJECT / "router.py"), "--topology", str(topology), "--port", str(port)]
    child = programs.start(name, [*argv, "--admin-port", str(admin_port), *options], f"http://127.0.0.1:{port}/health")
    return Served(f"http://127.0.0.1:{port}/predict", child.pid)


def start_engine(programs: Programs, stubs: Stubs) -> Served:
    """The same router with HAProxy carrying the requests."""
    if "--engine" not in _routers_help():
        raise SkippedError("this router has no option --engine")
    return start_router(programs, stubs, "--engine", "haproxy", name="engine")


def start_haproxy(programs: Programs, stubs: Stubs) -> Served:
    """HAProxy by hand: the same three servers, least connections, nothing else."""
    [port] = free_ports(1)
    servers = "".join(f"    server predict{n} 127.0.0.1:{p} check\n" for n, p in enumerate(stubs.ports, start=1))
    config = programs.folder / "haproxy.cfg"
    front = f"frontend front\n    bind 127.0.0.1:{port}\n    default_backend predictors\n"
    config.write_text(f"{HAPROXY_BASE}{front}backend predictors\n    balance leastconn\n{servers}", encoding="utf-8")
    argv = ["haproxy", "-db", "-f", str(config)]
    return _served(programs, "haproxy", argv, port)


def start_flask(programs: Programs, _: Stubs) -> Served:
    """Flask behind the router's server, forwarding nothing."""
    [port] = free_ports(1)
    return _served(programs, "flask", [sys.executable, "-m", "benchmarks.flask_alone", str(port)], port)


def start_naive(programs: Programs, stubs: Stubs) -> Served:
    """A requests session under Flask's development server."""
    [port] = free_ports(1)
    argv = [sys.executable, "-m", "benchmarks.naive_router", str(SAMPLE), str(port), *map(str, stubs.ports)]
    return _served(programs, "naive", argv, port)


def start_ray(programs: Programs, _: Stubs) -> Served:
    """Ray Serve, where somebody has installed it."""
    if find_spec("ray") is None:
        raise SkippedError("ray is not installed (pip install 'ray[serve]')")
    [port] = free_ports(1)
    return _served(programs, "ray", [sys.executable, "-m", "benchmarks.ray_router", str(port)], port, "/predict")


def _served(programs: Programs, name: str, argv: list[str], port: int, ready: str = "/health") -> Served:
    child = programs.start(name, argv, f"http://127.0.0.1:{port}{ready}")
    return Served(f"http://127.0.0.1:{port}/predict", child.pid)


@functools.cache
def _routers_help() -> str:
    command = [sys.executable, str(PROJECT / "router.py"), "--help"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout


CONTENDERS: dict[str, Callable[[Programs, Stubs], Served]] = {
    DIRECT: start_direct,
    HAPROXY: start_haproxy,
    ENGINE: start_engine,
    FLASK: start_flask,
    ROUTER: start_router,
    NAIVE: start_naive,
    RAY: start_ray,
}
"""In the order in which the tables show them."""
