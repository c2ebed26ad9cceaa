"""What one request costs each part, in CPU time, and how far a core of each therefore carries."""

import json
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks import wrk
from benchmarks.benchmark import PORT, Programs, Server, benchmark_run, cpu_s, new_parser, python
from benchmarks.contenders import SAMPLE, start_haproxy, start_router
from benchmarks.records import progress
from benchmarks.report import replace_generated, table
from benchmarks.stubs import Stubs, start_instant
from cli import option_words
from experiments.results.folders import PROJECT
from experiments.theory.erlang import erlangs_at_blocking

RECORD = "scaling.json"
CONNECTIONS = 8
USERS = 300
SWARM_READY_S = 6.0
"""Until Locust has loaded and all users are there, at 100 a second."""

PROBED = 100
SERVICE_TIMES_S = (1.0, 0.1)

CAPACITY = 10
REFUSED = 0.01
MEAN_WAIT_S = 3.0
"""Of the locustfile's users, who wait 1 to 5 s."""

PROBES_PER_S = 2.0
"""Health checks of each predictor."""

SHOWN_PREDICTORS = (3, 30, 300, 3_000)
MAX_PREDICTORS = 10_000


@dataclass(frozen=True)
class Costs:
    """CPU seconds of one core: per request of each part, and per health check of the router."""

    router_s: float
    engine_s: float
    swarm_s: float
    predictor_s: float
    probe_s: float


@dataclass(frozen=True)
class Layout:
    """A pool of predictors at the rate that it carries with 1 % refused, and the cores that each part needs for it."""

    rate_per_s: float
    users: int
    router_cores: float
    engine_cores: float
    swarm_cores: float
    predictor_cores: float
    """All predictors together, without the model's own time."""


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
    return (cpu_s(router.pid) - before_s) / (PROBED * PROBES_PER_S * (time.monotonic() - start_s))


def layout(predictors: int, costs: Costs, service_time_s: float) -> Layout:
    """Returns what a pool of predictors takes: rate by Erlang's B formula, cores in proportion to the rate."""
    rate_per_s = erlangs_at_blocking(CAPACITY * predictors, REFUSED) / service_time_s
    return Layout(
        rate_per_s=rate_per_s,
        users=round(rate_per_s * (MEAN_WAIT_S + service_time_s)),
        router_cores=rate_per_s * costs.router_s + predictors * PROBES_PER_S * costs.probe_s,
        engine_cores=rate_per_s * costs.engine_s,
        swarm_cores=rate_per_s * costs.swarm_s,
        predictor_cores=rate_per_s * costs.predictor_s,
    )


def most_predictors(costs: Costs, service_time_s: float, part: str) -> int:
    """Returns the most predictors for which a part, such as "router_cores", needs no more than one core."""
    counts = range(1, MAX_PREDICTORS + 1)
    return max(1, bisect_right(counts, 1.0, key=lambda count: getattr(layout(count, costs, service_time_s), part)))


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
