"""A model server: Flask app and command line of every predictor. Records and predictions: model.py."""

import os
import sys
from pathlib import Path

# `python predictors/predict1.py` puts predictors/ on the path, not the repository root, where `serving` is.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
# Read when numpy loads. A row is too little work to share: threads of several predictors would only fight.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import serving.patched  # noqa: F401  (before every module that opens sockets or waits)

# isort: split
import argparse
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gevent
import gevent.lock
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import UnsupportedMediaType

from cli import Parser, port_number, positive_count, run_command, seconds
from predictors.fault_control import Fault, add_fault_control, reset_connection, truncate
from predictors.service_time import ServiceTime
from serving.request import json_errors, read_body, refuse_head
from serving.server import serve
from serving.sockets import Listener

if TYPE_CHECKING:  # elsewhere it is imported once the command line is known to be right: scikit-learn takes a second
    from predictors.model import InputError, Model, Records

SAMPLE = Path(__file__).with_name("sample.json")
"""The record that a GET is answered for."""

MAX_BODY_BYTES = 1024 * 1024
MAX_DURATION_S = 3_600.0
MAX_CAPACITY = 1_000


def main(name: str, port: int) -> None:
    """Runs the predictor `name` as a command, on `port` unless the command line has another."""
    run_command(name, lambda: _run(name, port))


def create_app(
    name: str,
    model: "Model",
    service_time: ServiceTime,
    capacity: int,
    fault_control: bool = False,
    load_time_s: float = 0.0,
) -> Flask:
    """Returns the predictor's web application.

    A request to predict holds one of `capacity` slots for its `service_time` and the real inference; further
    ones wait for a slot. The service time is waited, not computed: it stands for a heavy model on hardware
    of its own. With `fault_control`, an experiment on this machine can break its predictions. For `load_time_s`
    (seconds) from now on it answers 503, as a server does whose model takes that long to load.
    """
    from predictors.model import InputError, parse_records

    sample = parse_records(SAMPLE.read_bytes(), model.features)
    app = Flask(name, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    slots = gevent.lock.BoundedSemaphore(capacity)
    fault = Fault()
    loaded_s = time.monotonic() + load_time_s

    def loading_left_s() -> float:
        return loaded_s - time.monotonic()

    @app.get("/health", provide_automatic_options=False)
    def health() -> tuple[dict[str, str], int]:
        loading = loading_left_s() > 0
        return {"status": "loading" if loading else "ok", "predictor": name}, 503 if loading else 200

    def given_records() -> tuple["Records", int]:
        if request.method == "GET":
            read_body(MAX_BODY_BYTES)
            return sample, 0
        _require_json()
        body = read_body(MAX_BODY_BYTES)
        return parse_records(body, model.features), len(body)

    @app.route("/predict", methods=["GET", "POST"], provide_automatic_options=False)
    def predict() -> Response:
        if (left_s := loading_left_s()) > 0:
            return _loading(name, left_s)
        struck_by = fault.strike()
        records, body_bytes = given_records()
        if struck_by == "reset":
            return reset_connection()
        with slots:
            gevent.sleep(service_time.of(body_bytes) * fault.on.service_time_factor)
            predictions = [{"predictor": name, **prediction} for prediction in model.predict(records.rows)]
        answer = jsonify(predictions if records.is_list else predictions[0])
        return truncate(answer) if struck_by == "truncated" else answer

    _say_who_answers(app, name)
    refuse_head(app, "predict")
    if fault_control:
        add_fault_control(app, fault)
    json_errors(app)
    app.register_error_handler(InputError, _input_error)
    return app


def _say_who_answers(app: Flask, name: str) -> None:
    """As this project's router does, for clients behind one that adds nothing to an answer."""

    @app.after_request
    def name_predictor(response: Response) -> Response:
        response.headers["X-Predictor"] = name
        return response


def _loading(name: str, left_s: float) -> Response:
    response = jsonify(error=f"{name} is loading its model", reason="loading")
    response.status_code = 503
    response.headers["Retry-After"] = str(math.ceil(left_s))
    return response


def _require_json() -> None:
    if request.mimetype != "application/json":
        given = repr(request.mimetype[:40]) if request.mimetype else "missing"
        raise UnsupportedMediaType(f"Content-Type is {given}; accepted: application/json")
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.lower() != "identity":
        raise UnsupportedMediaType(f"Content-Encoding is {coding[:40]!r}; accepted: none (identity)")


def _input_error(error: "InputError") -> tuple[dict[str, Any], int]:
    """Returns the error's text and, where there is one, the field and the row (its index in the list, from 0)."""
    location = {"field": error.field, "row": error.row}
    return {"error": str(error), **{key: value for key, value in location.items() if value is not None}}, 400


def _run(name: str, port: int) -> None:
    options = _parser(name, port).parse_args()
    from predictors.model import train

    service_time = ServiceTime(options.service_time, options.service_time_per_mb)
    app = create_app(
        name, train(), service_time, options.capacity, options.fault_control, load_time_s=options.load_time
    )
    serve(name, [Listener(options.host, options.port, app)], grace_s=2 * service_time.of(MAX_BODY_BYTES))
    with suppress(OSError):  # whoever read it may be gone
        print(f"{name}: stopped", flush=True)


def _parser(name: str, port: int) -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"{name}.py",
        description=f"{name}: a model server that answers POST /predict, GET /predict with a sample, and GET /health.",
        epilog=f"example: python predictors/{name}.py --port {port} --service-time 0.5",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to serve on")
    add("--port", type=port_number, default=port, help="port to serve on; 0: any free one, which is told")
    add(
        "--service-time",
        type=_duration,
        default=1.0,
        metavar="SECONDS",
        help="time that each request takes, waiting, before the real inference",
    )
    add(
        "--service-time-per-mb",
        type=_duration,
        default=0.0,
        metavar="SECONDS",
        help="time that it takes on top of that for each megabyte (1,000,000 bytes) of its body",
    )
    add(
        "--load-time",
        type=_duration,
        default=0.0,
        metavar="SECONDS",
        help="time that it answers 503 once it listens, as while a heavy model is loaded",
    )
    add("--capacity", type=_capacity, default=10, metavar="N", help="requests served at once; others wait")
    add(
        "--fault-control",
        action="store_true",
        help="let experiments on this machine break its predictions, by POST /fault",
    )
    return parser


def _duration(text: str) -> float:
    value = seconds(text)
    if value > MAX_DURATION_S:
        raise argparse.ArgumentTypeError(f"{text!r} is too long: give at most {MAX_DURATION_S:g} seconds")
    return value


def _capacity(text: str) -> int:
    value = positive_count(text)
    if value > MAX_CAPACITY:
        raise argparse.ArgumentTypeError(f"{text!r} is too many: give at most {MAX_CAPACITY}")
    return value
