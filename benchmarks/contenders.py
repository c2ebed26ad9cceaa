"""Who takes part in the comparison, and how each is started in front of the same stubs."""

from collections.abc import Callable
from importlib.util import find_spec

from benchmarks.benchmark import PORT, Programs, Server, SkippedError
from benchmarks.peers import PEERS
from benchmarks.stubs import CAPACITY, Stubs, write_topology
from cli import option_words
from experiments.results.folders import PROJECT
from experiments.testbed.ports import free_ports

SAMPLE = PROJECT / "predictors" / "sample.json"
ROUTER, DIRECT, FLASK, NAIVE, HAPROXY = "router", "direct", "flask alone", "naive", "haproxy"
ENGINE, RAY = "router on haproxy", "ray serve"


def start_router(
    programs: Programs, stubs: Stubs, *options: str, name: str = "router", capacity: int = CAPACITY
) -> Server:
    """This project's router, every predictor active, room for every request."""
    topology = write_topology(programs.folder, stubs.ports, capacity, f"3active-{name}")
    words = option_words({"--topology": topology, "--port": PORT, "--admin-port": free_ports(1)[0]})
    return programs.serve_python(name, PROJECT / "router.py", *words, *options)


def start_haproxy(programs: Programs, stubs: Stubs) -> Server:
    """HAProxy by hand: the same three servers, least connections, nothing else."""
    [port] = free_ports(1)
    servers = "".join(f"    server predict{n} 127.0.0.1:{p} check\n" for n, p in enumerate(stubs.ports, start=1))
    front = f"frontend front\n    bind 127.0.0.1:{port}\n    default_backend predictors\n"
    return programs.serve_haproxy("haproxy", f"{front}backend predictors\n    balance leastconn\n{servers}", port)


def start_ray(programs: Programs, _: Stubs) -> Server:
    """Ray Serve, where it is installed. Raises SkippedError."""
    if find_spec("ray") is None:
        raise SkippedError("ray is not installed (pip install 'ray[serve]')")
    return programs.serve_python("ray", "-m", "benchmarks.ray_router", PORT, ready="/predict")


CONTENDERS: dict[str, Callable[[Programs, Stubs], Server]] = {
    DIRECT: lambda _, stubs: Server(stubs.url, stubs.pid),
    HAPROXY: start_haproxy,
    **PEERS,
    ENGINE: lambda programs, stubs: start_router(programs, stubs, "--engine", "haproxy", name="engine"),
    FLASK: lambda programs, _: programs.serve_python("flask", "-m", "benchmarks.flask_alone", PORT),
    ROUTER: start_router,
    NAIVE: lambda programs, stubs: programs.serve_python(
        "naive", "-m", "benchmarks.naive_router", SAMPLE, PORT, *stubs.ports
    ),
    RAY: start_ray,
}
"""In the order in which the tables show them."""
