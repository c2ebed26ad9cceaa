"""Predictors that are never the limit: HAProxy answering by itself at once, or a process that only waits."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import Programs
from experiments.testbed.processes import Child, free_ports

CAPACITY = 1000
HAPROXY_BASE = """global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 1s
    timeout http-keep-alive 60s
"""
ANSWER = '{"label": "benign", "probability": 0.98}'


@dataclass(frozen=True)
class Stubs:
    """Running stubs: their process and ports."""

    child: Child
    ports: list[int]

    @property
    def url(self) -> str:
        """The first one's /predict."""
        return f"http://127.0.0.1:{self.ports[0]}/predict"


def start_instant(programs: Programs, count: int = 3, name: str = "stubs") -> Stubs:
    """Start HAProxy as predictors that answer as soon as a request is there, by `http-request return`."""
    ports = free_ports(count)
    binds = "".join(f"    bind 127.0.0.1:{port}\n" for port in ports)
    health = """string '{"status": "ok"}' if { path /health }"""
    returned = "http-request return status 200 content-type application/json"
    frontend = f"frontend stubs\n{binds}    option http-buffer-request\n    {returned} {health}\n"
    config = programs.folder / f"{name}.cfg"
    config.write_text(f"{HAPROXY_BASE}{frontend}    {returned} string '{ANSWER}'\n", encoding="utf-8")
    child = programs.start(name, ["haproxy", "-db", "-f", str(config)], f"http://127.0.0.1:{ports[-1]}/health")
    return Stubs(child, ports)


def start_waiting(programs: Programs, count: int, service_time_s: float) -> Stubs:
    """Start one process that is this many predictors and answers each request after the service time."""
    ports = free_ports(count)
    script = str(Path(__file__).with_name("waiting_predictors.py"))
    argv = [sys.executable, script, str(service_time_s), *map(str, ports)]
    return Stubs(programs.start("stubs", argv, f"http://127.0.0.1:{ports[-1]}/health"), ports)


def write_topology(folder: Path, ports: list[int], capacity: int, name: str) -> Path:
    """Write a topology file of active predictors on these ports; its folder is the router's own."""
    (folder / "topology").mkdir(exist_ok=True)
    path = folder / "topology" / f"{name}.json"
    entries = {
        f"predict{number}": {"status": True, "load": 0, "port": str(port), "capacity": capacity}
        for number, port in enumerate(ports, start=1)
    }
    path.write_text(json.dumps(entries, indent=4) + "\n", encoding="utf-8")
    return path
