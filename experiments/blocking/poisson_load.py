"""`python -m experiments.blocking.poisson_load`: sends at random moments drawn beforehand, whatever the answers.

A process of its own, so that nothing else delays its sends. It records each request; figures are computed elsewhere.
"""

import asyncio
import gc
import json
import random
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from itertools import accumulate
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from cli import Parser, run_command, whole_number
from experiments.blocking.records import PoissonRequest
from experiments.results.store import RowWriter
from server_file import OWN, Server, find, read

START_AFTER_S = 0.5
"""Until the first moment of the schedule: the process has come to rest by then."""

ANSWER_WITHIN_S = 30.0
IDLE_LIMIT_S = 5.0
"""A connection idle for longer is not used again: the router closes it at some time, perhaps just then."""

PROJECT = Path(__file__).resolve().parents[2]
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PREDICTOR = re.compile(rb"\r\nx-predictor: *([^\r]*)", re.IGNORECASE)
CLOSING = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


Answer = tuple[int, str, str]
"""Status, 0 for none; reason, empty when good; predictor."""


def schedule_s(rate_per_s: float, arrivals: int, seed: int) -> list[float]:
    """Moments of a Poisson process, in seconds after its start: the steps between them are exponential."""
    draw = random.Random(seed)
    return list(accumulate(draw.expovariate(rate_per_s) for _ in range(arrivals)))


class Connection:
    """One kept connection, for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.idle_since_s = 0.0
        self.is_reusable = False
        self.close = writer.close
        self._reader = reader
        self._writer = writer

    async def exchange(self, request: bytes) -> Answer:
        """Sends the request; returns its answer. Raises OSError where none comes; closed where it is not kept."""
        self.is_reusable = False
        self._writer.write(request)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            body, has_end = await self._read_body(head)
            answer = _parse_answer(head, body)
            self.is_reusable = has_end and head.startswith(b"HTTP/1.1 ") and not CLOSING.search(head)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise ConnectionResetError("closed without an answer, or what came is none") from error
        finally:
            if not self.is_reusable:
                self.close()
        return answer

    async def _read_body(self, head: bytes) -> tuple[bytes, bool]:
        """Returns an answer's body, and whether it ends before the connection does."""
        if CHUNKED.search(head):
            return await self._read_chunks(), True
        if length := CONTENT_LENGTH.search(head):
            return await self._reader.readexactly(int(length[1])), True
        if int(head[9:12]) in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return b"", True
        return await self._reader.read(), False

    async def _read_chunks(self) -> bytes:
        body = b""
        while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(len(b"\r\n"))
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            pass  # trailers
        return body

    def is_open(self, now_s: float) -> bool:
        """Whether the router has not closed it and is not about to."""
        return now_s - self.idle_since_s < IDLE_LIMIT_S and not self._reader.at_eof() and not self._writer.is_closing()


def _parse_answer(head: bytes, body: bytes) -> Answer:
    status = int(head[9:12])
    predictor = PREDICTOR.search(head)
    reason = "" if 200 <= status < 300 else _reason(body) or f"status {status}"
    return status, reason, predictor[1].decode() if predictor else ""


def _reason(body: bytes) -> str:
    """The `reason` in an error's JSON, on one line of 80 characters at most; empty where there is none."""
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        reason = json.loads(body)["reason"]
        return " ".join(reason.split())[:80] if isinstance(reason, str) else ""
    return ""


def _request(parts: SplitResult, server: Server) -> bytes:
    method, headers = "GET", {"Host": parts.netloc} | server.header_values()
    if server.payload is not None:
        method = "POST"
        headers |= {"Content-Type": server.content_type, "Content-Length": str(len(server.payload))}
    target = urlunsplit(("", "", parts.path or server.path, parts.query, ""))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + (server.payload or b"")


class Load:
    """Sends at the scheduled moments over kept connections, as many as it takes."""

    def __init__(self, url: str, writer: RowWriter[PoissonRequest], server: Server = OWN) -> None:
        """Asks `url`; its path is the server's where it has none. Raises JsonFileError as Server.header_values."""
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._request = _request(parts, server)
        self._writer = writer
        self._idle: list[Connection] = []

    async def run(self, moments_s: Sequence[float], start_at_s: float | None = None) -> None:
        """Sends a request at each of the moments; returns when all are answered.

        `moments_s` are seconds after `start_at_s`, an epoch; without one, after START_AFTER_S.
        """
        loop = asyncio.get_running_loop()
        self._epoch_s = time.time() - loop.time()  # one offset for all, so that a clock that is set moves nothing
        start_s = loop.time() + START_AFTER_S if start_at_s is None else start_at_s - self._epoch_s
        sent = set()
        for moment_s in moments_s:
            await asyncio.sleep(start_s + moment_s - loop.time())
            sent.add(asyncio.create_task(self._send(start_s + moment_s)))
        await asyncio.gather(*sent)
        for connection in self._idle:
            connection.close()

    async def _send(self, scheduled_s: float) -> None:
        loop = asyncio.get_running_loop()
        sent_s, answer = loop.time(), (0, "", "")
        try:
            connection = await self._acquire(sent_s)
            sent_s = loop.time()
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer = await connection.exchange(self._request)
            if connection.is_reusable:
                connection.idle_since_s = loop.time()
                self._idle.append(connection)
        except OSError as error:  # TimeoutError is one
            answer = (0, type(error).__name__, "")
        latency_s, (status, reason, predictor) = loop.time() - sent_s, answer
        request = PoissonRequest(
            scheduled_at_s=round(self._epoch_s + scheduled_s, 6),
            sent_at_s=round(self._epoch_s + sent_s, 6),
            latency_s=round(latency_s, 6),
            status=status,
            reason=reason,
            predictor=predictor,
        )
        self._writer.write([request])

    async def _acquire(self, now_s: float) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open(now_s):
                return connection
            connection.close()
        return Connection(*await asyncio.open_connection(*self._address))


def main() -> None:
    """Sends, records, ends."""
    parser = Parser(
        prog="python -m experiments.blocking.poisson_load",
        description="Send requests at the moments of a Poisson process and record them.",
        epilog="example: python -m experiments.blocking.poisson_load --url http://127.0.0.1:8000/predict --rate 5 "
        "--arrivals 100 --seed 1 --records requests.csv",
    )
    parser.add_argument("--url", required=True, help="what to ask")
    parser.add_argument("--server", metavar="FILE", help="a server file: its payload and headers are sent; its path, "
                        "where URL has none (default: GET, /predict)")  # fmt: skip
    parser.add_argument("--rate", type=float, required=True, metavar="PER_S", help="mean requests per second")
    parser.add_argument("--arrivals", type=whole_number, required=True, metavar="N", help="requests to send")
    parser.add_argument("--seed", type=int, required=True, help="of the moments: the same seed, the same moments")
    parser.add_argument("--records", type=Path, required=True, metavar="FILE", help="one CSV row per request")
    parser.add_argument("--start-at", type=float, metavar="EPOCH_S",
                        help="when the schedule begins, seconds since 1970 (default: 0.5 s from now)")  # fmt: skip
    options = parser.parse_args()
    server = read(find(options.server, PROJECT / "servers")) if options.server else OWN
    moments_s = schedule_s(options.rate, options.arrivals, options.seed)
    writer = RowWriter(options.records, PoissonRequest)
    gc.disable()  # a collection would delay a send; a run is short
    asyncio.run(Load(options.url, writer, server).run(moments_s, options.start_at))
    writer.close()


if __name__ == "__main__":
    run_command("python -m experiments.blocking.poisson_load", main)
