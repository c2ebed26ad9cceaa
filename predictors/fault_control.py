"""Faults that an experiment injects into a real predictor: slower answers, or errors. Off unless enabled.

POST /fault from this machine, as JSON: `{"service_time_factor": 10}`, `{"fails": true}`, `{}` to end both.
"""

import ipaddress
import json
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import BadRequest, Forbidden, InternalServerError, UnsupportedMediaType

from serving import read_body

MAX_BODY_BYTES = 1024
MAX_FACTOR = 1000.0


@dataclass
class Fault:
    """The predictor's fault just now; by default none."""

    service_time_factor: float = 1.0
    fails: bool = False

    def raise_if_failing(self) -> None:
        """Raises InternalServerError if requests are to fail."""
        if self.fails:
            raise InternalServerError("a fault that was switched on for an experiment")


def add_fault_control(app: Flask, fault: Fault) -> None:
    """Adds POST /fault, by which clients on this machine set `fault`."""

    @app.post("/fault", provide_automatic_options=False)
    def set_fault() -> Response:
        _require_loopback()
        fault.service_time_factor, fault.fails = _parse_fault()
        return jsonify(service_time_factor=fault.service_time_factor, fails=fault.fails)


def _require_loopback() -> None:
    if not ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104  (no address: not ours)
        raise Forbidden("faults are switched from this machine only")
    if request.headers.get("Origin") is not None:
        raise Forbidden("faults are not switched by web pages")


def _parse_fault() -> tuple[float, bool]:
    """Returns the factor and whether requests are to fail. Raises UnsupportedMediaType or BadRequest."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("send Content-Type: application/json")
    try:
        document: Any = json.loads(read_body(MAX_BODY_BYTES))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or set(document) - {"service_time_factor", "fails"}:
        raise BadRequest('give a JSON object with "service_time_factor" or "fails", or {} to end all faults')
    factor, fails = document.get("service_time_factor", 1.0), document.get("fails", False)
    if not isinstance(fails, bool):
        raise BadRequest(f"fails is {fails!r}: give true or false")
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 <= factor <= MAX_FACTOR:
        raise BadRequest(f"service_time_factor is {factor!r}: give a number from 0 to {MAX_FACTOR:g}")
    return float(factor), fails
