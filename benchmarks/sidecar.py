"""The sidecar that stands in front of users' model servers: is it transparent, and what does it cost?"""

import re
import socket
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.benchmark import benchmark_run, new_parser, python
from benchmarks.contenders import SAMPLE
from benchmarks.records import Target
from benchmarks.stubs import start_instant
from cli import CommandError, whole_number
from experiments.testbed.ports import free_ports

MOST_ADDED_MS = 0.3
WITHIN_S = 10.0
HEAD = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


def main(arguments: Sequence[str]) -> None:
    """Sends the same requests direct and through it, in turn, each way on one connection. Raises CommandError."""
    parser = new_parser("sidecar", "Requests to a stub, direct and through the sidecar.", repeats=5)
    parser.add_argument("--requests", type=whole_number, default=1000, help="how many each way (default: %(default)d)")
    options = parser.parse_args(arguments)
    with benchmark_run(options.out, "haproxy") as (folder, programs):
        [behind] = start_instant(programs, count=1).ports
        port, control = free_ports(2)
        words = ["--port", port, "--upstream", f"127.0.0.1:{behind}", "--control", control, "--path", "/predict"]
        programs.serve("sidecar", python("-m", "experiments.testbed.servers.sidecar", *words), port)
        runs = [compare(behind, port, options.requests) for _ in range(options.repeats)]
    added_ms, different = [each for each, _ in runs], sum(count for _, count in runs)
    median = statistics.median(added_ms)
    figure = f"{median:.2f} ms ({min(added_ms):.2f} to {max(added_ms):.2f}); {different} answers differ"
    name = f"the sidecar before users' servers: p50 added, {options.requests:,} requests"
    reached = median <= MOST_ADDED_MS and not different
    wanted = f"at most {MOST_ADDED_MS:g} ms, none differs"
    folder.add_target(Target(name, figure, wanted, reached, "python -m benchmarks sidecar"))


def compare(direct: int, through: int, requests: int) -> tuple[float, int]:
    """Returns by how much the median is later through it, in ms, and how many answers differ in a byte."""
    body = SAMPLE.read_bytes()
    request = HEAD.format(len(body)).encode() + body
    times_s: tuple[list[float], list[float]] = ([], [])
    different = 0
    with ExitStack() as stack:
        ways = [stack.enter_context(socket.create_connection(("127.0.0.1", p), WITHIN_S)) for p in (direct, through)]
        for _ in range(requests):
            answers = [_exchange(way, request, taken_s) for way, taken_s in zip(ways, times_s, strict=True)]
            different += answers[0] != answers[1]
    direct_s, through_s = map(statistics.median, times_s)
    return (through_s - direct_s) * 1000, different


def _exchange(connection: socket.socket, request: bytes, taken_s: list[float]) -> bytes:
    """Sends a request, reads the whole answer, and notes how long that took."""
    began_s = time.perf_counter()
    connection.sendall(request)
    answer = b""
    while not _is_whole(answer):
        data = connection.recv(65536)
        if not data:
            raise CommandError(f"the connection was closed after {answer!r}")
        answer += data
    taken_s.append(time.perf_counter() - began_s)
    return answer


def _is_whole(answer: bytes) -> bool:
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    return bool(blank) and length is not None and len(body) >= int(length[1])
