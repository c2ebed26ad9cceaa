"""What one request costs each part, in CPU time, and how far a core of each therefore carries."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import wrk
from benchmarks.contenders import SAMPLE, Served, start_haproxy, start_router
from benchmarks.documents import document, replace_generated, table
from benchmarks.limits import MOST_PREDICTORS, SHOWN_PREDICTORS, Costs, Layout, layout, most_predictors
from benchmarks.options import parse, parser
from benchmarks.programs import Programs, cpu_s, require
from benchmarks.records import RunFolder, progress
from benchmarks.stubs import Stubs, start_instant
from experiments.results.folders import PROJECT
from experiments.testbed.processes import free_ports
from experiments.testbed.signals import StopRequest, stop_on_signals

RECORD = "scaling.json"
CONNECTIONS = 8
USERS = 300
SWARM_READY_S = 6.0
"""Until Locust has loaded and all users are there, at 100 a second."""

PROBED = 100
SERVICE_TIMES_S = (1.0, 0.1)


def main(arguments: Sequence[str]) -> None:
    """Measure the costs, record them, and print the tables. Raises CommandError."""
    made = parser("scaling", "CPU time per request of router, HAProxy, Locust and predictor; what follows.", seconds=8)
    made.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    options = parse(made, arguments)
    require("wrk", "haproxy")
    folder = RunFolder.make(options.out)
    with stop_on_signals() as stop, Programs(folder.path, stop) as programs:
        costs = measure(programs, folder.path, options.seconds, stop)
    (folder.path / RECORD).write_text(json.dumps(asdict(costs), indent=2) + "\n", encoding="utf-8")
    text = markdown(costs)
    if options.write:
        replace_generated(document("scaling"), text)
    print(text)


def measure(programs: Programs, folder: Path, seconds: float, stop: StopRequest) -> Costs:
    """Measure one part after the other; the rest of the machine should be idle."""
    stubs = start_instant(programs)
    script = wrk.write_script(folder, "POST", SAMPLE)

    def under_wrk(name: str, served: Served) -> float:
        progress(f"CPU time per request: {name}")
        wrk.run(served.url, script, CONNECTIONS, 0.5)
        before_s = cpu_s(served.pid)
        burst = wrk.run(served.url, script, CONNECTIONS, seconds)
        return (cpu_s(served.pid) - before_s) / burst.requests

    router_s = under_wrk("router", start_router(programs, stubs))
    engine_s = under_wrk("HAProxy", start_haproxy(programs, stubs))
    predictor_s = under_wrk("predictor", start_predictor(programs))
    swarm_s = swarm_cost_s(programs, stubs, folder, seconds, stop)
    probe_s = probe_cost_s(programs, seconds, stop)
    progress("")
    return Costs(router_s, engine_s, swarm_s, predictor_s, probe_s)


def start_predictor(programs: Programs) -> Served:
    """Start a real predictor that waits for nothing: real inference, real HTTP."""
    [port] = free_ports(1)
    script = str(PROJECT / "predictors" / "predict1.py")
    argv = [sys.executable, script, "--port", str(port), "--service-time", "0", "--capacity", "1000"]
    child = programs.start("predict1", argv, f"http://127.0.0.1:{port}/health")
    return Served(f"http://127.0.0.1:{port}/predict", child.pid)


def swarm_cost_s(programs: Programs, stubs: Stubs, folder: Path, seconds: float, stop: StopRequest) -> float:
    """CPU seconds of one Locust process per request of the locustfile's users, idle users' share included."""
    progress("CPU time per request: Locust")
    records = folder / "swarm.csv"
    argv = [
        sys.executable, "-m", "locust", "--headless", "--only-summary", "--users", str(USERS), "--spawn-rate", "100",
        "--locustfile", str(PROJECT / "locust" / "locustfile.py"), "--host", stubs.url.removesuffix("/predict"),
        "--records", str(records), "--run-time", "10m",
    ]  # fmt: skip
    swarm = programs.run("swarm", argv)
    stop.wait(SWARM_READY_S)
    from_s, before_s = time.time(), cpu_s(swarm.pid)
    stop.wait(seconds)
    until_s, used_s = time.time(), cpu_s(swarm.pid) - before_s
    swarm.stop()
    sent_s = [float(line.split(",", 1)[0]) for line in records.read_text().splitlines()[1:]]
    return used_s / sum(from_s <= moment <= until_s for moment in sent_s)


def probe_cost_s(programs: Programs, seconds: float, stop: StopRequest) -> float:
    """CPU seconds of the router per health check, by a router with many predictors and no requests."""
    progress("CPU time per health check")
    served = start_router(programs, start_instant(programs, PROBED, name="probed"), name="probing")
    stop.wait(1.0)
    start_s, before_s = time.monotonic(), cpu_s(served.pid)
    stop.wait(seconds)
    return (cpu_s(served.pid) - before_s) / (PROBED * 2.0 * (time.monotonic() - start_s))


def markdown(costs: Costs) -> str:
    """The costs, what layouts need at two service times, and where one process of each part is full."""
    parts = [_costs_table(costs)]
    for service_time_s in SERVICE_TIMES_S:
        parts += [f"Service time {service_time_s:g} s:", _layouts_table(costs, service_time_s)]
    return "\n\n".join([*parts, *_limits(costs)]) + "\n"


def _costs_table(costs: Costs) -> str:
    named = {
        "router (Flask engine), per request": costs.router_s,
        "HAProxy, per request": costs.engine_s,
        "Locust, per request": costs.swarm_s,
        "predictor without service time (real inference), per request": costs.predictor_s,
        "router, per health check": costs.probe_s,
    }
    rows = [[name, f"{1e6 * seconds:,.0f}", f"{1 / seconds:,.0f}"] for name, seconds in named.items()]
    return table(["part", "CPU time, us", "a core carries, per second"], rows)


def _layouts_table(costs: Costs, service_time_s: float) -> str:
    head = ["predictors of 10 places", "rate with 1 % refused, requests/s", "users", "router, cores", "HAProxy, cores",
            "Locust, processes", "predictors' HTTP, cores"]  # fmt: skip
    rows = []
    for count in SHOWN_PREDICTORS:
        made = layout(count, costs, service_time_s)
        cores = [f"{made.router_cores:,.2f}", f"{made.engine_cores:,.2f}"]
        others = [f"{max(1, round(made.swarm_cores + 0.5)):,}", f"{made.predictor_cores:,.2f}"]
        rows.append([f"{count:,}", f"{made.rate_per_s:,.0f}", f"{made.users:,}", *cores, *others])
    return table(head, rows)


def _limits(costs: Costs) -> list[str]:
    lines = []
    parts: dict[str, Callable[[Layout], float]] = {
        "The router with its Flask engine": lambda made: made.router_cores,
        "HAProxy with one thread": lambda made: made.engine_cores,
        "One Locust process": lambda made: made.swarm_cores,
    }
    for name, cores in parts.items():
        for service_time_s in SERVICE_TIMES_S:
            most = most_predictors(costs, service_time_s, cores)
            rate = layout(most, costs, service_time_s).rate_per_s
            much = f"more than {most:,}" if most == MOST_PREDICTORS else f"{most:,}"
            at = f"{much} predictors ({rate:,.0f} requests/s)"
            lines.append(f"- {name} fills a core at {at}, service time {service_time_s:g} s.")
    return ["\n".join(lines)]
