"""Faults that an experiment injects into a real predictor: slower answers, errors, or none. Off unless enabled.

POST /fault from this machine, as JSON: `{"service_time_factor": 10}`, `{"fails": true}`, `{"stalls": true}`, `{}` to
end all; GET /fault: with what it struck.
"""

import ipaddress
import json
from dataclasses import dataclass, field
from typing import Any

import gevent.event
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import BadRequest, Forbidden, InternalServerError, UnsupportedMediaType

from serving.request import read_body

MAX_BODY_BYTES = 1024
MAX_FACTOR = 1000.0


@dataclass
class Fault:
    """The predictor's fault just now, by default none, and how many predictions each has struck."""

    service_time_factor: float = 1.0
    fails: bool = False
    stalls: bool = False
    struck: dict[str, int] = field(default_factory=lambda: {"slow": 0, "error": 0, "stall": 0})
    _going: gevent.event.Event = field(default_factory=gevent.event.Event)

    def set(self, service_time_factor: float, fails: bool, stalls: bool) -> None:
        """Sets it; once there is no stall, predictions that one has kept fail, as where a server is started again."""
        self.service_time_factor, self.fails, self.stalls = service_time_factor, fails, stalls
        self._going.clear() if stalls else self._going.set()

    def strike(self) -> None:
        """Counts a prediction that it strikes. Raises InternalServerError for it, of a stall once that has ended."""
        name = "stall" if self.stalls else "error" if self.fails else "slow" if self.service_time_factor != 1.0 else ""
        if name:
            self.struck[name] += 1
        if self.stalls:
            self._going.wait()
        if name in ("error", "stall"):
            raise InternalServerError("a fault that was switched on for an experiment")


def add_fault_control(app: Flask, fault: Fault) -> None:
    """Adds POST /fault, by which clients on this machine set `fault`, and GET /fault, which shows it."""

    @app.post("/fault", provide_automatic_options=False)
    def set_fault() -> Response:
        _require_loopback()
        fault.set(*_parse_fault())
        return show_fault()

    @app.get("/fault", provide_automatic_options=False)
    def show_fault() -> Response:
        _require_loopback()
        return jsonify(
            service_time_factor=fault.service_time_factor, fails=fault.fails, stalls=fault.stalls, struck=fault.struck
        )


def _require_loopback() -> None:
    if not ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104  (no address: not ours)
        raise Forbidden("faults are switched from this machine only")
    if request.headers.get("Origin") is not None:
        raise Forbidden("faults are not switched by web pages")


def _parse_fault() -> tuple[float, bool, bool]:
    """Returns the factor, and whether requests are to fail and to stall. Raises UnsupportedMediaType or BadRequest."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("send Content-Type: application/json")
    try:
        document: Any = json.loads(read_body(MAX_BODY_BYTES))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or set(document) - {"service_time_factor", "fails", "stalls"}:
        raise BadRequest('give a JSON object with "service_time_factor", "fails" or "stalls", or {} to end all faults')
    factor = document.get("service_time_factor", 1.0)
    for name in ("fails", "stalls"):
        if not isinstance(document.get(name, False), bool):
            raise BadRequest(f"{name} is {document[name]!r}: give true or false")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 <= factor <= MAX_FACTOR:
        raise BadRequest(f"service_time_factor is {factor!r}: give a number from 0 to {MAX_FACTOR:g}")
    return float(factor), document.get("fails", False), document.get("stalls", False)
