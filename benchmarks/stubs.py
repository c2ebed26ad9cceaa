"""Predictors that are never the limit: HAProxy answering by itself at once, or a process that only waits."""

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.benchmark import Programs, python
from experiments.testbed.ports import free_ports

CAPACITY = 1000
ANSWER = '{"label": "benign", "probability": 0.98}'


@dataclass(frozen=True)
class Stubs:
    """Running stubs: their process and ports."""

    pid: int
    ports: list[int]

    @property
    def url(self) -> str:
        """URL of the first one's /predict."""
        return f"http://127.0.0.1:{self.ports[0]}/predict"


def start_instant(programs: Programs, count: int = 3, name: str = "stubs") -> Stubs:
    """Starts HAProxy as predictors that answer as soon as a request is there, by `http-request return`."""
    ports = free_ports(count)
    binds = "".join(f"    bind 127.0.0.1:{port}\n" for port in ports)
    health = """string '{"status": "ok"}' if { path /health }"""
    returned = "http-request return status 200 content-type application/json"
    frontend = f"frontend stubs\n{binds}    option http-buffer-request\n    {returned} {health}\n"
    server = programs.serve_haproxy(name, f"{frontend}    {returned} string '{ANSWER}'\n", ports[-1])
    return Stubs(server.pid, ports)


def start_waiting(programs: Programs, count: int, service_time_s: float) -> Stubs:
    """Starts one process that is this many predictors and answers each request after the service time."""
    ports = free_ports(count)
    script = Path(__file__).with_name("waiting_predictors.py")
    server = programs.serve("stubs", python(script, service_time_s, *ports), ports[-1])
    return Stubs(server.pid, ports)


def write_topology(folder: Path, ports: list[int], capacity: int, name: str) -> Path:
    """Writes a topology file of active predictors on these ports; its folder is the router's own."""
    (folder / "topology").mkdir(exist_ok=True)
    path = folder / "topology" / f"{name}.json"
    entries = {
        f"predict{number}": {"status": True, "load": 0, "port": str(port), "capacity": capacity}
        for number, port in enumerate(ports, start=1)
    }
    path.write_text(json.dumps(entries, indent=4) + "\n", encoding="utf-8")
    return path
