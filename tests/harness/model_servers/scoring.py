"""What the stand-ins for real model servers have in common: POST /score, GET /healthz, and an end by SIGTERM.

`POST /score` takes `{"features": [numbers]}` and answers with their sum; the standard library alone.
"""

import argparse
import asyncio
import json
import signal
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

PATH, HEALTH = "/score", "/healthz"
BODY_LIMIT_BYTES = 1024 * 1024


class Request(NamedTuple):
    """One request as it came; the names of its headers in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """A status, and a JSON document."""

    status: int
    document: dict[str, Any]


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Returns the options of a stand-in."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", default="model")
    parser.add_argument("--service-time", type=float, default=0.0, help="seconds per prediction")
    parser.add_argument("--limit", type=int, default=0, help="most at once, beyond which it says that it is full")
    parser.add_argument("--at-once", type=int, default=0, help="predictions computed at once, beyond which they queue")
    parser.add_argument("--load-time", type=float, default=0.0, help="seconds before it listens")
    parser.add_argument("--model-time", type=float, default=0.0, help="seconds in which health is well, not the model")
    parser.add_argument("--token", default="", help="what Authorization: Bearer must hold; else 401")
    return parser.parse_args(arguments)


class ModelServer:
    """Serves until SIGTERM; then what is in flight is answered, and idle connections are closed."""

    def __init__(self, options: argparse.Namespace, full: HTTPStatus, full_health: HTTPStatus) -> None:
        """`full` is its answer to predictions over its limit, and `full_health` to health checks meanwhile."""
        self._options = options
        self._full, self._full_health = full, full_health
        self._in_flight = 0
        self._ending = asyncio.Event()
        self._connections: set[asyncio.Task[Any]] = set()
        self._idle: set[asyncio.Task[Any]] = set()
        self._slots = asyncio.Semaphore(options.at_once or 1_000_000)
        self._model_from_s = 0.0

    async def serve(self) -> None:
        """Serves until SIGTERM."""
        options, loop = self._options, asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._ending.set)
        await asyncio.sleep(options.load_time)
        server = await asyncio.start_server(self._converse, options.host, options.port, backlog=1024)
        self._model_from_s = loop.time() + options.model_time
        print(f"{options.name}: serving on http://{options.host}:{options.port}", flush=True)
        await self._ending.wait()
        server.close()
        for task in self._idle:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            while not self._ending.is_set():
                self._idle.add(task)
                request = await _read_request(reader)
                self._idle.discard(task)
                writer.write(_text(await self._answer(request), request.method, self._ending.is_set()))
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            pass  # the client has gone, or the end has come
        finally:
            self._connections.discard(task)
            self._idle.discard(task)
            writer.close()

    async def _answer(self, request: Request) -> Answer:
        if request.path not in (PATH, HEALTH):
            return Answer(HTTPStatus.NOT_FOUND, {"detail": "Not Found"})
        if self._options.token and request.headers.get("authorization") != f"Bearer {self._options.token}":
            return Answer(HTTPStatus.UNAUTHORIZED, {"detail": "Unauthorized"})
        is_full = 0 < self._options.limit <= self._in_flight
        if request.path == HEALTH:
            return Answer(self._full_health if is_full else HTTPStatus.OK, {"status": "full" if is_full else "ok"})
        if request.method != "POST":
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, {"detail": "Method Not Allowed"})
        if is_full:
            return Answer(self._full, {"detail": "over the limit"})
        return await self._predict(request)

    async def _predict(self, request: Request) -> Answer:
        if asyncio.get_running_loop().time() < self._model_from_s:
            return Answer(HTTPStatus.NOT_FOUND, {"detail": "the model is not loaded"})
        self._in_flight += 1
        try:
            async with self._slots:
                await asyncio.sleep(self._options.service_time)
            return Answer(HTTPStatus.OK, {"score": _score(request), "model": self._options.name})
        except (ValueError, TypeError, KeyError) as error:
            return Answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"detail": repr(error)})
        finally:
            self._in_flight -= 1


def _score(request: Request) -> float:
    """Returns the sum of the features. Raises ValueError, TypeError or KeyError for what is no valid request."""
    if request.headers.get("content-type") != "application/json":
        raise ValueError("content-type")
    return float(sum(json.loads(request.body)["features"]))


async def _read_request(reader: asyncio.StreamReader) -> Request:
    """Reads the next request. Raises EOFError, OSError or ValueError where none comes that is whole."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    if length > BODY_LIMIT_BYTES:
        raise ValueError("too large")
    return Request(method, target.partition("?")[0], headers, await reader.readexactly(length))


def _text(answer: Answer, method: str, is_last: bool) -> bytes:
    body = json.dumps(answer.document).encode()
    closing = "Connection: close\r\n" if is_last else ""
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{closing}\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else body)
