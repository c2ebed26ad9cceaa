"""What each rule of the HAProxy configuration costs: instructions per request with it and without it."""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from benchmarks.benchmark import HAPROXY_BASE, benchmark_run, new_parser
from benchmarks.contenders import SAMPLE
from benchmarks.stubs import CAPACITY, start_instant, write_topology
from cli import CommandError, whole_number
from experiments.testbed.ports import free_ports
from routing import topology as topology_file
from routing.haproxy.configuration import ProxyOptions, configuration

WARM_UP = 100
CONNECTIONS = 4
START_S = 60.0
GET = b"GET /predict HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")
ADDRESS = "127.0.0.1:PORT"
CHECKS = re.compile(r"inter \d+ms fastinter \d+ms")

RULES = {
    "two paths, two methods": (r"http-request return status 40[45]",),
    "body limit": (r"http-request return status 413 .*the body is larger",),
    "body whole before a slot": ("http-request wait-for-body",),
    "no body of a GET": ("http-request return status 400",),
    "chunks become a length": (r"http-request return status 413 .*chunks", "http-request (set|del)-header [ct]"),
    "client's headers, query": (r"http-request del-header \^", "http-request set-pathq"),
    "predictor's headers": ("http-response del-header", "http-response set-header Content-Type"),
    "X-Predictor": ("http-response set-header X-Predictor",),
    "404, busy, no answer counted": ("http-response (allow|track|sc-inc)", "http-after-response"),
    "re-sending": ("retries", "retry-on", "option redispatch"),
}
"""What a rule does, and how its lines in the configuration begin."""


def main(arguments: Sequence[str]) -> None:
    """Prints the table. Raises CommandError."""
    parser = new_parser("rules", "Instructions per request of HAProxy's rules, by valgrind (about 2 minutes).")
    parser.add_argument("--requests", type=whole_number, default=400, help="how many (default: %(default)d)")
    options = parser.parse_args(arguments)
    body = SAMPLE.read_bytes()
    post = HEAD.format(len(body)).encode() + body
    with benchmark_run(options.out, "haproxy", "valgrind") as (folder, programs):
        ports = start_instant(programs).ports
        rules = ours(folder.path, ports)
        count = partial(per_request, folder.path, options.requests)
        plain, whole = count(post, _plain(ports)), count(post, rules)
        print("| HAProxy, POST of the sample | instructions per request |\n| --- | --- |")
        print(f"| plain | {plain:,} |\n| with all rules | {whole:,} |\n| with all rules, GET | {count(GET, rules):,} |")
        for rule, lines in RULES.items():
            print(f"| {rule} | {whole - count(post, _without(rules, lines)):+,} |", flush=True)


def _plain(ports: Sequence[int]) -> str:
    servers = "".join(f"    server predict{n} 127.0.0.1:{p} check inter 1h\n" for n, p in enumerate(ports, start=1))
    front = f"frontend front\n    bind {ADDRESS}\n    default_backend predictors\n"
    return f"{HAPROXY_BASE}{front}backend predictors\n    balance leastconn\n{servers}"


def ours(folder: Path, ports: list[int]) -> str:
    """Returns the router's configuration before predictors on these ports, whose health is checked once an hour."""
    topology = topology_file.read(write_topology(folder, ports, CAPACITY, "rules"), CAPACITY)
    return CHECKS.sub("inter 1h", configuration(topology, ProxyOptions(ADDRESS)))


def _without(text: str, lines: tuple[str, ...]) -> str:
    kept = [line for line in text.splitlines(keepends=True) if not re.match(rf"\s*({'|'.join(lines)})", line)]
    return "".join(kept)


def per_request(folder: Path, requests: int, request: bytes, text: str) -> int:
    """Returns the instructions that so many further requests take, by one. Raises CommandError."""
    few, many = (_counted(folder, text, request, number) for number in (WARM_UP, WARM_UP + requests))
    return round((many - few) / requests)


def _counted(folder: Path, text: str, request: bytes, requests: int) -> int:
    """Returns the instructions of an HAProxy from its start to its end, with so many requests between."""
    [port] = free_ports(1)
    file, log = folder / "rules.cfg", folder / "rules.log"
    file.write_text(text.replace(ADDRESS, f"127.0.0.1:{port}"), encoding="utf-8")
    counting = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command = [*counting, f"--log-file={log}", "haproxy", "-q", "-db", "-f", str(file)]
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)
    try:
        _ask(port, request, requests)
        program.send_signal(signal.SIGTERM)
        program.wait(START_S)
    finally:
        program.kill()
        program.wait()
    found = COUNTED.search(log.read_text(encoding="utf-8"))
    if found is None:
        raise CommandError(f"valgrind counted nothing: see {log}")
    return int(found[1].replace(",", ""))


def _ask(port: int, request: bytes, requests: int) -> None:
    """Sends them in turn over some connections that are kept. Raises CommandError unless each is answered well."""
    with ExitStack() as stack:
        ways = [stack.enter_context(_connected(port)) for _ in range(CONNECTIONS)]
        for number in range(requests):
            way = ways[number % CONNECTIONS]
            way.sendall(request)
            answer = way.recv(65536)  # one piece: it is small, and HAProxy sends head and body together
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise CommandError(f"a request was answered {answer[:60]!r}")


def _connected(port: int) -> socket.socket:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s:
        with suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), START_S)
        time.sleep(0.05)
    raise CommandError(f"HAProxy does not serve within {START_S:g} s")
