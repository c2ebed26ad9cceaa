"""`python -m experiments.blocking.poisson_load`: sends at random moments drawn beforehand, whatever the answers.

A process of its own, so that nothing else delays its sends. It records each request; figures are computed elsewhere.
"""

import argparse
import asyncio
import gc
import json
import random
import re
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from urllib.parse import urlsplit

from cli import Parser, whole_number
from experiments.blocking.records import PoissonRequest
from experiments.results.store import RowWriter

START_AFTER_S = 0.5
"""Until the first moment of the schedule: the process has come to rest by then."""

ANSWER_WITHIN_S = 30.0
IDLE_LIMIT_S = 5.0
"""A connection idle for longer is not used again: the router closes it at some time, perhaps just then."""

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PREDICTOR = re.compile(rb"\r\nx-predictor: *([^\r]*)", re.IGNORECASE)
CLOSING = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


def schedule_s(rate_per_s: float, arrivals: int, seed: int) -> list[float]:
    """Moments of a Poisson process, in seconds after its start: the steps between them are exponential."""
    draw = random.Random(seed)
    return list(accumulate(draw.expovariate(rate_per_s) for _ in range(arrivals)))


class Connection(asyncio.Protocol):
    """One kept connection: one request at a time, its answer as (status, reason, predictor)."""

    def __init__(self) -> None:
        self.idle_since_s = 0.0
        self.usable = True
        self._received = b""
        self._answer: asyncio.Future[tuple[int, str, str]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TCP connections are
        self._transport = transport

    def send(self, request: bytes) -> "asyncio.Future[tuple[int, str, str]]":
        """Sends the request; the future gets the answer, or ConnectionError."""
        assert self._transport is not None  # noqa: S101  # create_connection has returned
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = CONTENT_LENGTH.search(head)
        if not end or (length and len(body) < int(length[1])):
            return
        self._received = b""
        self.usable = bool(length) and not CLOSING.search(head)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(_parse_answer(head, body))

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio."""
        self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed without an answer"))

    def close(self) -> None:
        """Closes the connection."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()


def _parse_answer(head: bytes, body: bytes) -> tuple[int, str, str]:
    """Status, reason (empty when good) and predictor of an answer."""
    status = int(head[9:12])
    predictor = PREDICTOR.search(head)
    reason = "" if status == 200 else _reason(status, body)
    return status, reason, predictor[1].decode() if predictor else ""


def _reason(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["reason"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}"


class Load:
    """Sends at the scheduled moments over kept connections, as many as it takes."""

    def __init__(self, url: str, writer: RowWriter[PoissonRequest]) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        self._writer = writer
        self._idle: list[Connection] = []

    async def run(self, moments_s: Sequence[float]) -> None:
        """Sends a request at each of the moments; returns when all are answered."""
        loop = asyncio.get_running_loop()
        start_s = loop.time() + START_AFTER_S
        self._epoch_s = time.time() - loop.time()  # one offset for all, so that a clock that is set moves nothing
        sent = set()
        for moment_s in moments_s:
            await asyncio.sleep(start_s + moment_s - loop.time())
            sent.add(asyncio.create_task(self._send(start_s + moment_s)))
        await asyncio.gather(*sent)

    async def _send(self, scheduled_s: float) -> None:
        loop = asyncio.get_running_loop()
        sent_s, answer = loop.time(), (0, "", "")
        try:
            connection = await self._acquire()
            sent_s = loop.time()
            answer = await asyncio.wait_for(connection.send(self._request), ANSWER_WITHIN_S)
            self._release(connection)
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

    async def _acquire(self) -> Connection:
        now_s = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and now_s - connection.idle_since_s < IDLE_LIMIT_S:
                return connection
            connection.close()
        _, connection = await asyncio.get_running_loop().create_connection(Connection, *self._address)
        return connection

    def _release(self, connection: Connection) -> None:
        if connection.usable:
            connection.idle_since_s = asyncio.get_running_loop().time()
            self._idle.append(connection)


def main() -> None:
    """Sends, records, ends."""
    options = _parser().parse_args()
    moments_s = schedule_s(options.rate, options.arrivals, options.seed)
    writer = RowWriter(options.records, PoissonRequest)
    gc.disable()  # a collection would delay a send; a run is short
    asyncio.run(Load(options.url, writer).run(moments_s))
    writer.close()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m experiments.blocking.poisson_load",
        description="Send GET requests at the moments of a Poisson process and record them.",
        epilog="example: python -m experiments.blocking.poisson_load --url http://127.0.0.1:8000/predict --rate 5 "
        "--arrivals 100 --seed 1 --records requests.csv",
    )
    parser.add_argument("--url", required=True, help="what to ask")
    parser.add_argument("--rate", type=float, required=True, metavar="PER_S", help="mean requests per second")
    parser.add_argument("--arrivals", type=whole_number, required=True, metavar="N", help="requests to send")
    parser.add_argument("--seed", type=int, required=True, help="of the moments: the same seed, the same moments")
    parser.add_argument("--records", type=Path, required=True, metavar="FILE", help="one CSV row per request")
    return parser


if __name__ == "__main__":
    main()
