"""The admin app, on loopback only: board, state as JSON, drain and ready, metrics. Other origins get nothing."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import gevent
from flask import Flask, Response, jsonify, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import Forbidden, NotFound, UnsupportedMediaType

from routing.admin.history import History
from routing.admin.metrics import Metrics
from routing.engine import Engine
from serving.request import json_errors

OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)
BOARD = Path(__file__).resolve().parent / "board"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_admin(
    engine: Callable[[], Engine],
    supervisor: int | None = None,
    spawn: Callable[[Callable[[], None]], object] = gevent.spawn,
) -> Flask:
    """Makes the app of the engine that is in service at each request.

    `supervisor` is the process that supervises this one. `spawn` is given what records the board's history, to have it
    run once there is an engine.
    """
    app = Flask("admin", static_folder=None)
    cast(DefaultJSONProvider, app.json).sort_keys = False  # predictors stand in the file's order
    json_errors(app)
    app.before_request(_check_origin)
    app.after_request(_add_security_headers)
    history = History(engine)
    spawn(history.run)
    _add_state(app, engine, supervisor, history)
    _add_actions(app, engine)
    _add_board(app)
    return app


def _add_state(app: Flask, engine: Callable[[], Engine], supervisor: int | None, history: History) -> None:
    metrics = Metrics(engine)

    @app.get("/topology")
    def topology() -> Response:
        """Shows the whole state; `?events=N` leaves all but the latest N events out."""
        state = engine().snapshot()
        latest = request.args.get("events", type=int)
        if latest is not None:
            state["events"] = state["events"][-latest:] if latest > 0 else []
        return jsonify({"pid": os.getpid(), "supervisor": supervisor, **state})

    @app.get("/history")
    def last_minutes() -> Response:
        return jsonify(samples=history.samples())

    @app.get("/metrics")
    def prometheus() -> Response:
        text, content_type = metrics.exposition(request.headers.get("Accept", ""))
        return Response(text, content_type=content_type)


def _add_actions(app: Flask, engine: Callable[[], Engine]) -> None:
    @app.post("/predictors/<name>/<any(drain, ready):action>")
    def act(name: str, action: str) -> Response:
        """Drains the predictor or puts it back, and answers with its state after that."""
        if request.mimetype != "application/json":
            raise UnsupportedMediaType("send Content-Type: application/json")
        current = engine()
        try:
            (current.drain if action == "drain" else current.ready)(name)
        except KeyError:
            known = ", ".join(current.snapshot()["predictors"])
            raise NotFound(f"unknown predictor {name[:64]!r}: one of {known}") from None
        return jsonify({name: current.snapshot()["predictors"][name]})


def _add_board(app: Flask) -> None:
    files = {path.name: path.read_bytes() for path in BOARD.iterdir() if path.suffix in TYPES}

    @app.get("/")
    @app.get("/board/<name>")
    def board(name: str = "index.html") -> Response:
        if name not in files:
            raise NotFound
        return Response(files[name], mimetype=TYPES[Path(name).suffix])


def _check_origin() -> None:
    """Refuses pages of elsewhere that point their own host name at 127.0.0.1, or post here across origins."""
    host = request.headers.get("Host", "")
    if not OWN_HOST.fullmatch(host) or not request.environ["RAW_URI"].startswith("/"):
        raise Forbidden("the admin port answers to 127.0.0.1, localhost, [::1] only")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host.lower()}":
        raise Forbidden("the admin port answers to its own pages only")


def _add_security_headers(response: Response) -> Response:
    """Lets the browser load and run nothing but this app's own files, and cache nothing."""
    response.headers.update(SECURITY_HEADERS)
    return response
