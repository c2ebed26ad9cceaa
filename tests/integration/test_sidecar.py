"""The sidecar in front of real sockets: bytes, ends and resets as without it; faults of predictions alone."""

import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from tests.harness.http_client import RESET
from tests.harness.processes import Process
from tests.harness.project import ROOT
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

PLAIN = [sys.executable, str(ROOT / "tests/harness/model_servers/plain.py")]
BODY = b'{"features": [1, 2, 3]}'
POST = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
CHUNKED = (
    b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
UNKNOWN = b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
DEADLINE_S = 10.0


class Sidecar(NamedTuple):
    """A sidecar that runs, where it listens, where what is behind it does, and where its faults are set."""

    process: Process
    port: int
    upstream: int
    control: int

    def set(self, fault: dict[str, Any]) -> None:
        """Sets its fault."""
        assert self._ask("POST", json.dumps(fault).encode()).status == 200

    def struck(self) -> dict[str, int]:
        """How many predictions each fault has struck."""
        counts: dict[str, int] = json.loads(self._ask("GET", None).read())["struck"]
        return counts

    def _ask(self, method: str, body: bytes | None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.control, timeout=DEADLINE_S)
        connection.request(method, "/fault", body, {"Content-Type": "application/json"})
        return connection.getresponse()


def open_sidecar(stage: Stage, *command: str, upstream: int = 0) -> Sidecar:
    """Starts one in front of this command, in whose words {port} is its port, or of what listens on `upstream`."""
    port, behind, control = (stage.reserve_port() for _ in range(3))
    behind = upstream or behind
    options = ["--port", str(port), "--upstream", f"127.0.0.1:{behind}", "--control", str(control)]
    options += ["--path", "/score", "--health", "/healthz", "--", *(word.format(port=behind) for word in command)]
    process = stage.process("sidecar", ["-m", "experiments.testbed.servers.sidecar", *options], cwd=ROOT)
    return Sidecar(process, port, behind, control)


def connects(port: int) -> bool:
    """Whether a connection is let in there, be it to be reset at once."""
    with suppress(ConnectionResetError):  # by a listener that is just being closed
        try:
            socket.create_connection(("127.0.0.1", port), DEADLINE_S).close()
        except ConnectionRefusedError:
            return False
    return True


def open_plain(stage: Stage, *options: str) -> Sidecar:
    """Starts one in front of a model server, which is ready."""
    sidecar = open_sidecar(stage, *PLAIN, "--port", "{port}", *options)
    wait_until(lambda: connects(sidecar.port))
    return sidecar


def connect(port: int) -> socket.socket:
    """A connection to that port."""
    return socket.create_connection(("127.0.0.1", port), DEADLINE_S)


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """Sends a request, and reads one whole answer, whose length must be declared."""
    connection.sendall(request)
    return read_answer(connection)


def read_answer(connection: socket.socket) -> bytes:
    """Reads one whole answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536) or pytest.fail(f"closed after {received!r}")
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


# Without a fault


@pytest.fixture(scope="module")
def plain(shared_stage: Stage) -> Sidecar:
    """A sidecar in front of a model server, for tests that leave no fault on."""
    return open_plain(shared_stage)


def test_answers_are_the_same_bytes_as_without_it(plain: Sidecar) -> None:
    """On one connection, one after the other: predictions, health checks, errors."""
    with closing(connect(plain.port)) as through, closing(connect(plain.upstream)) as direct:
        for request in (POST, HEALTH, UNKNOWN, POST) * 25:
            assert exchange(through, request) == exchange(direct, request)


def breaks(connection: socket.socket) -> bool:
    """Whether what is sent there meets a reset."""
    try:
        connection.sendall(HEALTH)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


class Upstream:
    """A server of which the test holds the connections."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def accept(self) -> socket.socket:
        """The next connection on which something comes: the sidecar looks, too, whether there is a server."""
        while True:
            connection, _ = self.listener.accept()
            connection.settimeout(DEADLINE_S)
            if connection.recv(1, socket.MSG_PEEK):
                return connection
            connection.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server without a process."""
    server = Upstream()
    yield server
    server.listener.close()


@pytest.fixture
def ends(stage: Stage, upstream: Upstream) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection by way of a sidecar: the client's and the server's."""
    sidecar = open_sidecar(stage, upstream=upstream.port)
    wait_until(lambda: connects(sidecar.port))
    with closing(connect(sidecar.port)) as client:
        client.sendall(HEALTH)
        with closing(upstream.accept()) as server:
            assert server.recv(len(HEALTH)) == HEALTH
            yield client, server


def test_connection_that_the_server_closes_is_seen_closed(ends: tuple[socket.socket, socket.socket]) -> None:
    """With all that it sent before; what the client sends then is answered with a reset."""
    client, server = ends
    server.sendall(b"last")
    server.close()
    assert (client.recv(10), client.recv(10)) == (b"last", b"")
    wait_until(lambda: breaks(client))


def test_end_of_one_direction_leaves_the_other_open(ends: tuple[socket.socket, socket.socket]) -> None:
    """A client that sends no more, not even all of a head, still gets its answer."""
    client, server = ends
    client.sendall(b"GET /half")
    client.shutdown(socket.SHUT_WR)
    received = b""
    while data := server.recv(100):
        received += data
    assert received == b"GET /half"
    server.sendall(b"answer")
    server.close()
    assert (client.recv(10), client.recv(10)) == (b"answer", b"")


@pytest.mark.parametrize("by_client", [True, False], ids=["client", "server"])
def test_reset_is_passed_on_as_a_reset(ends: tuple[socket.socket, socket.socket], by_client: bool) -> None:
    """Whichever side breaks off."""
    client, server = ends
    one, other = (client, server) if by_client else (server, client)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    one.close()
    with pytest.raises(ConnectionResetError):
        other.recv(10)


def test_large_body_is_passed_on_whole_to_a_server_that_reads_late(ends: tuple[socket.socket, socket.socket]) -> None:
    """What the server does not take yet waits at the client."""
    client, server = ends
    body = bytes(range(256)) * 16384
    sent = b"POST /score HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    sending = threading.Thread(target=client.sendall, args=(sent,))
    sending.start()
    received = b""
    while len(received) < len(sent) and (data := server.recv(1_000_000)):
        received += data
    sending.join()
    assert received == sent


def test_port_refuses_while_the_server_does(stage: Stage, upstream: Upstream) -> None:
    """Before it listens, and again once it has gone: a health check sees what it would see without the sidecar."""
    sidecar = open_sidecar(stage, upstream=upstream.port)
    wait_until(lambda: connects(sidecar.port))
    upstream.listener.close()
    wait_until(lambda: not connects(sidecar.port), 1.0)
    again = socket.create_server(("127.0.0.1", upstream.port))
    wait_until(lambda: connects(sidecar.port), 1.0)
    again.close()


# With a child


def test_port_refuses_until_its_child_listens(stage: Stage) -> None:
    """A server that loads its model is not ready because something stands in front of it."""
    sidecar = open_sidecar(stage, *PLAIN, "--port", "{port}", "--load-time", "1.0")
    wait_until(lambda: connects(sidecar.control))
    assert not connects(sidecar.port)
    wait_until(lambda: connects(sidecar.port))
    assert connects(sidecar.upstream)


def test_sigterm_ends_both_once_what_is_in_flight_is_answered(stage: Stage) -> None:
    """The port is closed at once; the child's answer still comes."""
    sidecar = open_plain(stage, "--service-time", "1.0")
    with closing(connect(sidecar.port)) as client:
        client.sendall(POST)
        [child] = psutil.Process(sidecar.process.pid).children()
        time.sleep(0.1)
        os.kill(sidecar.process.pid, signal.SIGTERM)
        wait_until(lambda: not connects(sidecar.port), 0.5)
        assert b'"score": 6.0' in read_answer(client)
        assert client.recv(10) == b""
    assert sidecar.process.wait() == 0
    assert not child.is_running()


@pytest.mark.parametrize(
    ("program", "status"), [("exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -9)], ids=["exit", "signal"]
)
def test_end_of_the_child_ends_the_sidecar_with_its_status(stage: Stage, program: str, status: int) -> None:
    """A server that ends at its start is seen to end."""
    assert open_sidecar(stage, sys.executable, "-c", program).process.wait() == status


def test_program_that_is_not_there_is_one_line(stage: Stage) -> None:
    """As without the sidecar."""
    process = open_sidecar(stage, "/no/such/program").process
    assert process.wait() == 1
    assert process.errors() == "sidecar: /no/such/program could not be started: No such file or directory\n"


def test_child_does_not_outlive_a_killed_sidecar(stage: Stage) -> None:
    """SIGKILL to the sidecar alone is the child's end, too."""
    sidecar = open_plain(stage)
    [child] = psutil.Process(sidecar.process.pid).children()
    os.kill(sidecar.process.pid, signal.SIGKILL)
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert not connects(sidecar.upstream)


def test_child_runs_in_the_folder_and_with_the_environment_that_it_is_given(stage: Stage, tmp_path: Path) -> None:
    """The sidecar leaves no trace in either."""
    program = "import os; print(os.getcwd(), os.environ.get('PYTHONPATH'), flush=True)"
    ports = [str(stage.reserve_port()) for _ in range(3)]
    options = ["--port", ports[0], "--upstream", f"127.0.0.1:{ports[1]}", "--control", ports[2], "--cwd", str(tmp_path)]
    command = ["-m", "experiments.testbed.servers.sidecar", *options, "--", sys.executable, "-c", program]
    process = stage.process("sidecar", command, cwd=ROOT)
    assert process.wait() == 0
    assert process.output() == f"{tmp_path} {os.environ.get('PYTHONPATH')}\n"


# Faults


@pytest.fixture
def faulty(plain: Sidecar) -> Iterator[Sidecar]:
    """The sidecar, with no fault afterwards."""
    yield plain
    plain.set({})


def test_error_answers_predictions_of_an_open_connection_with_500(faulty: Sidecar) -> None:
    """From the next request on, chunked ones too, and never health checks; the connection stays open."""
    with closing(connect(faulty.port)) as client:
        good = exchange(client, POST)
        before = faulty.struck()["error"]
        faulty.set({"fails": True})
        answers = [exchange(client, each) for each in (POST, HEALTH, CHUNKED, HEALTH)]
        assert [answer.split(b" ")[1] for answer in answers] == [b"500", b"200"] * 2
        assert faulty.struck()["error"] == before + 2
        faulty.set({})
        assert exchange(client, POST) == good


def test_slow_delays_predictions_alone(faulty: Sidecar) -> None:
    """By the time that it is given, byte for byte as without."""
    with closing(connect(faulty.port)) as client:
        good = exchange(client, POST)
        faulty.set({"added_s": 0.4})
        begun_s = time.monotonic()
        exchange(client, HEALTH)
        healthy_s = time.monotonic()
        assert exchange(client, POST) == good
        assert time.monotonic() - healthy_s >= 0.4
        assert healthy_s - begun_s < 0.4
        assert faulty.struck()["slow"] > 0


def test_truncated_ends_the_connection_after_half_of_a_real_answer(faulty: Sidecar) -> None:
    """Its head declares the whole; health checks pass; the next connection is as before."""
    with closing(connect(faulty.port)) as client, closing(connect(faulty.port)) as other:
        good = exchange(client, POST)
        head, _, body = good.partition(b"\r\n\r\n")
        before = faulty.struck()["truncated"]
        faulty.set({"truncates": True})
        assert exchange(client, HEALTH).startswith(b"HTTP/1.1 200")
        client.sendall(POST)
        received = b""
        while data := client.recv(65536):
            received += data
        assert received == head + b"\r\n\r\n" + body[: len(body) // 2]
        assert faulty.struck()["truncated"] == before + 1
        faulty.set({})
        assert exchange(other, POST) == good


@pytest.mark.parametrize("request_", [POST, CHUNKED])
def test_reset_breaks_off_predictions_that_were_read(faulty: Sidecar, request_: bytes) -> None:
    """Without an answer, and not before the last byte of it; health checks pass."""
    with closing(connect(faulty.port)) as client:
        faulty.set({"resets": True})
        assert exchange(client, HEALTH).startswith(b"HTTP/1.1 200")
        before = faulty.struck()["reset"]
        client.sendall(request_[:-1])
        wait_until(lambda: faulty.struck()["reset"] == before + 1)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(DEADLINE_S)
        client.sendall(request_[-1:])
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_stall_swallows_predictions_and_health_checks_pass(faulty: Sidecar) -> None:
    """Nothing comes, the connection stays open; once the fault is over the prediction fails, and the next is good."""
    with closing(connect(faulty.port)) as client, closing(connect(faulty.port)) as other:
        good = exchange(client, POST)
        faulty.set({"stalls": True})
        client.sendall(POST)
        wait_until(lambda: faulty.struck()["stall"])
        assert exchange(other, HEALTH).startswith(b"HTTP/1.1 200")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(DEADLINE_S)
        faulty.set({})
        assert read_answer(client).startswith(b"HTTP/1.1 500")
        assert exchange(client, POST) == good
