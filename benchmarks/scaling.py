"""What one request costs each part, in CPU time, and how far a core of each therefore carries."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks import wrk
from benchmarks.benchmark import PORT, Programs, Server, benchmark_run, cpu_s, new_parser, python
from benchmarks.contenders import SAMPLE, start_haproxy, start_router
from benchmarks.limits import MAX_PREDICTORS, SHOWN_PREDICTORS, Costs, layout, most_predictors
from benchmarks.records import progress
from benchmarks.report import replace_generated, table
from benchmarks.stubs import Stubs, start_instant
from cli import option_words
from experiments.results.folders import PROJECT

RECORD = "scaling.json"
CONNECTIONS = 8
USERS = 300
SWARM_READY_S = 6.0
"""Until Locust has loaded and all users are there, at 100 a second."""

PROBED = 100
SERVICE_TIMES_S = (1.0, 0.1)


def main(arguments: Sequence[str]) -> None:
    """Measures the costs, records them, and prints the tables. Raises CommandError."""
    parser = new_parser(
        "scaling", "CPU time per request of router, HAProxy, Locust and predictor; what follows.", seconds=8
    )
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    options = parser.parse_args(arguments)
    with benchmark_run(options.out, "wrk", "haproxy") as (folder, programs):
        costs = measure(programs, options.seconds)
    (folder.path / RECORD).write_text(json.dumps(asdict(costs), indent=2) + "\n", encoding="utf-8")
    text = markdown(costs)
    if options.write:
        replace_generated(PROJECT / "docs" / "scaling.md", text)
    print(text)


def measure(programs: Programs, seconds: float) -> Costs:
    """Returns the costs of one part after the other; the rest of the machine should be idle."""
    stubs = start_instant(programs)
    script = wrk.write_script(programs.folder, "POST", SAMPLE)

    def under_wrk(name: str, server: Server) -> float:
        progress(f"CPU time per request: {name}")
        wrk.run(server.url, script, CONNECTIONS, 0.5)
        before_s = cpu_s(server.pid)
        burst = wrk.run(server.url, script, CONNECTIONS, seconds)
        return (cpu_s(server.pid) - before_s) / burst.requests

    router_s = under_wrk("router", start_router(programs, stubs))
    engine_s = under_wrk("HAProxy", start_haproxy(programs, stubs))
    predictor_s = under_wrk("predictor", start_predictor(programs))
    swarm_s = swarm_cost_s(programs, stubs, seconds)
    probe_s = probe_cost_s(programs, seconds)
    progress("")
    return Costs(router_s, engine_s, swarm_s, predictor_s, probe_s)


def start_predictor(programs: Programs) -> Server:
    """Starts a real predictor with no service time: real inference, real HTTP."""
    words = option_words({"--port": PORT, "--service-time": 0, "--capacity": 1000})
    return programs.serve_python("predict1", PROJECT / "predictors" / "predict1.py", *words)


def swarm_cost_s(programs: Programs, stubs: Stubs, seconds: float) -> float:
    """Returns CPU seconds of one Locust process per request of the locustfile's users, idle users' share included."""
    progress("CPU time per request: Locust")
    records = programs.folder / "swarm.csv"
    options = {
        "--users": USERS,
        "--spawn-rate": 100,
        "--locustfile": PROJECT / "locust" / "locustfile.py",
        "--host": stubs.url.removesuffix("/predict"),
        "--records": records,
        "--run-time": "10m",
    }
    swarm = programs.start("swarm", python("-m", "locust", "--headless", "--only-summary", *option_words(options)))
    programs.stop.wait(SWARM_READY_S)
    from_s, before_s = time.time(), cpu_s(swarm.pid)
    programs.stop.wait(seconds)
    until_s, used_s = time.time(), cpu_s(swarm.pid) - before_s
    swarm.stop()
    sent_s = [float(line.split(",", 1)[0]) for line in records.read_text().splitlines()[1:]]
    return used_s / sum(from_s <= moment <= until_s for moment in sent_s)


def probe_cost_s(programs: Programs, seconds: float) -> float:
    """Returns the CPU seconds of the router per health check, by a router with many predictors and no requests."""
    progress("CPU time per health check")
    router = start_router(programs, start_instant(programs, PROBED, name="probed"), name="probing")
    programs.stop.wait(1.0)
    start_s, before_s = time.monotonic(), cpu_s(router.pid)
    programs.stop.wait(seconds)
    return (cpu_s(router.pid) - before_s) / (PROBED * 2.0 * (time.monotonic() - start_s))


def markdown(costs: Costs) -> str:
    """Returns the costs, what layouts need at two service times, and where one process of each part is full."""
    parts = [_costs_table(costs)]
    for service_time_s in SERVICE_TIMES_S:
        parts += [f"Service time {service_time_s:g} s:", _layouts_table(costs, service_time_s)]
    return "\n\n".join([*parts, _limits(costs)]) + "\n"


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
        needed = layout(count, costs, service_time_s)
        cores = [f"{needed.router_cores:,.2f}", f"{needed.engine_cores:,.2f}"]
        others = [f"{max(1, round(needed.swarm_cores + 0.5)):,}", f"{needed.predictor_cores:,.2f}"]
        rows.append([f"{count:,}", f"{needed.rate_per_s:,.0f}", f"{needed.users:,}", *cores, *others])
    return table(head, rows)


def _limits(costs: Costs) -> str:
    lines = []
    parts = {
        "The router with its Flask engine": "router_cores",
        "HAProxy with one thread": "engine_cores",
        "One Locust process": "swarm_cores",
    }
    for name, part in parts.items():
        for service_time_s in SERVICE_TIMES_S:
            most = most_predictors(costs, service_time_s, part)
            rate = layout(most, costs, service_time_s).rate_per_s
            at = f"{'more than ' if most == MAX_PREDICTORS else ''}{most:,} predictors ({rate:,.0f} requests/s)"
            lines.append(f"- {name} fills a core at {at}, service time {service_time_s:g} s.")
    return "\n".join(lines)
