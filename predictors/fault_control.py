"""Faults that an experiment injects into a real predictor: slow answers, errors, none, halves, resets. Off by default.

POST /fault from this machine, as JSON: `{"service_time_factor": 10}`, `{"fails": true}`, `{"stalls": true}`,
`{"truncates": true}`, `{"resets": true}`, `{}` to end all; GET /fault: with what it struck.
"""

import errno
import ipaddress
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import gevent.event
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import BadRequest, Forbidden, InternalServerError, UnsupportedMediaType

from serving.request import read_body

MAX_BODY_BYTES = 1024
MAX_FACTOR = 1000.0

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: what is unsent is dropped, and the other side gets a reset."""


@dataclass(frozen=True)
class Switches:
    """What is on; by default nothing."""

    service_time_factor: float = 1.0
    fails: bool = False
    stalls: bool = False
    truncates: bool = False
    resets: bool = False

    @property
    def name(self) -> str:
        """By which it is counted; of several the first that a prediction meets; empty for none."""
        names = {"stall": self.stalls, "reset": self.resets, "error": self.fails, "truncated": self.truncates}
        return next((name for name, is_on in names.items() if is_on), "slow" if self.service_time_factor != 1.0 else "")


FLAGS = tuple(each.name for each in fields(Switches) if each.type is bool)
NAMES = ("slow", "error", "stall", "truncated", "reset")


@dataclass
class Fault:
    """The predictor's fault just now, by default none, and how many predictions each has struck."""

    on: Switches = Switches()
    struck: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    _going: gevent.event.Event = field(default_factory=gevent.event.Event)

    def set(self, switches: Switches) -> None:
        """Sets it; once there is no stall, predictions that one has kept fail, as where a server is started again."""
        self.on = switches
        self._going.clear() if switches.stalls else self._going.set()

    def strike(self) -> str:
        """Counts a prediction that it strikes, and returns the name of what does; empty for nothing.

        Raises InternalServerError for a prediction that fails, of a stall once that has ended.
        """
        name = self.on.name
        if name:
            self.struck[name] += 1
        if name == "stall":
            self._going.wait()
        if name in ("error", "stall"):
            raise InternalServerError("a fault that was switched on for an experiment")
        return name


def reset_connection() -> Response:
    """Returns what resets the request's connection in place of an answer."""
    return Response(_reset(request.environ["gunicorn.socket"]))


def _reset(connection: Any) -> Iterator[bytes]:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    raise ConnectionResetError(errno.ECONNRESET, "a fault that was switched on for an experiment")
    yield b""  # never: the server asks for the first piece of the answer, and closes the connection


def truncate(answer: Response) -> Response:
    """Returns the same answer, which ends with its connection after half of the declared body."""
    body = answer.get_data()
    answer.response = _half(body[: len(body) // 2], request.environ["gunicorn.socket"])
    answer.content_length = len(body)
    return answer


def _half(data: bytes, connection: Any) -> Iterator[bytes]:
    yield data
    connection.uncork()
    connection.shutdown(socket.SHUT_RDWR)


def add_fault_control(app: Flask, fault: Fault) -> None:
    """Adds POST /fault, by which clients on this machine set `fault`, and GET /fault, which shows it."""

    @app.post("/fault", provide_automatic_options=False)
    def set_fault() -> Response:
        _require_loopback()
        fault.set(_parse_fault())
        return show_fault()

    @app.get("/fault", provide_automatic_options=False)
    def show_fault() -> Response:
        _require_loopback()
        return jsonify(**asdict(fault.on), struck=fault.struck)


def _require_loopback() -> None:
    if not ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104  (no address: not ours)
        raise Forbidden("faults are switched from this machine only")
    if request.headers.get("Origin") is not None:
        raise Forbidden("faults are not switched by web pages")


def _parse_fault() -> Switches:
    """Returns what is to be on. Raises UnsupportedMediaType or BadRequest."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("send Content-Type: application/json")
    try:
        document: Any = json.loads(read_body(MAX_BODY_BYTES))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or set(document) - {"service_time_factor", *FLAGS}:
        known = ", ".join(f'"{name}"' for name in ("service_time_factor", *FLAGS[:-1]))
        raise BadRequest(f'give a JSON object with {known} or "{FLAGS[-1]}", or {{}} to end all faults')
    factor = document.get("service_time_factor", 1.0)
    for name in FLAGS:
        if not isinstance(document.get(name, False), bool):
            raise BadRequest(f"{name} is {document[name]!r}: give true or false")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 <= factor <= MAX_FACTOR:
        raise BadRequest(f"service_time_factor is {factor!r}: give a number from 0 to {MAX_FACTOR:g}")
    return Switches(**{**document, "service_time_factor": float(factor)})
