"""Who takes part in the comparison, and how each is started in front of the same stubs."""

import functools
import subprocess
from collections.abc import Callable
from importlib.util import find_spec

from benchmarks.programs import Programs, Server, python
from benchmarks.stubs import CAPACITY, Stubs, write_topology
from cli import option_words
from experiments.results.folders import PROJECT
from experiments.testbed.processes import free_ports

ROUTER_PY = PROJECT / "router.py"
SAMPLE = PROJECT / "predictors" / "sample.json"
ROUTER, DIRECT, FLASK, NAIVE, HAPROXY = "router", "direct", "flask alone", "naive", "haproxy"
ENGINE, RAY = "router on haproxy", "ray serve"


class SkippedError(Exception):
    """The contender cannot take part here; its message is the reason."""


def start_direct(_: Programs, stubs: Stubs) -> Server:
    """No router at all."""
    return Server(stubs.url, stubs.pid)


def start_router(
    programs: Programs, stubs: Stubs, *options: str, name: str = "router", capacity: int = CAPACITY
) -> Server:
    """This project's router, every predictor active, room for every request."""
    port, admin_port = free_ports(2)
    topology = write_topology(programs.folder, stubs.ports, capacity, f"3active-{name}")
    words = option_words({"--topology": topology, "--port": port, "--admin-port": admin_port})
    return programs.serve(name, python(ROUTER_PY, *words, *options), port)


def start_engine(programs: Programs, stubs: Stubs) -> Server:
    """The same router with HAProxy carrying the requests."""
    if "--engine" not in _routers_help():
        raise SkippedError("this router has no option --engine")
    return start_router(programs, stubs, "--engine", "haproxy", name="engine")


def start_haproxy(programs: Programs, stubs: Stubs) -> Server:
    """HAProxy by hand: the same three servers, least connections, nothing else."""
    [port] = free_ports(1)
    servers = "".join(f"    server predict{n} 127.0.0.1:{p} check\n" for n, p in enumerate(stubs.ports, start=1))
    front = f"frontend front\n    bind 127.0.0.1:{port}\n    default_backend predictors\n"
    return programs.serve_haproxy("haproxy", f"{front}backend predictors\n    balance leastconn\n{servers}", port)


def start_flask(programs: Programs, _: Stubs) -> Server:
    """Flask behind the router's server, forwarding nothing."""
    [port] = free_ports(1)
    return programs.serve("flask", python("-m", "benchmarks.flask_alone", port), port)


def start_naive(programs: Programs, stubs: Stubs) -> Server:
    """A requests session under Flask's development server."""
    [port] = free_ports(1)
    return programs.serve("naive", python("-m", "benchmarks.naive_router", SAMPLE, port, *stubs.ports), port)


def start_ray(programs: Programs, _: Stubs) -> Server:
    """Ray Serve, where it is installed."""
    if find_spec("ray") is None:
        raise SkippedError("ray is not installed (pip install 'ray[serve]')")
    [port] = free_ports(1)
    return programs.serve("ray", python("-m", "benchmarks.ray_router", port), port, "/predict")


@functools.cache
def _routers_help() -> str:
    return subprocess.run(python(ROUTER_PY, "--help"), capture_output=True, text=True, timeout=30, check=False).stdout


CONTENDERS: dict[str, Callable[[Programs, Stubs], Server]] = {
    DIRECT: start_direct,
    HAPROXY: start_haproxy,
    ENGINE: start_engine,
    FLASK: start_flask,
    ROUTER: start_router,
    NAIVE: start_naive,
    RAY: start_ray,
}
"""In the order in which the tables show them."""
