"""The admin app, on loopback only: the topology's state as JSON, drain and ready. Other origins get nothing."""

import re
from collections.abc import Callable
from typing import cast

from flask import Flask, Response, jsonify, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import Forbidden, NotFound, UnsupportedMediaType

from routing.engine import Engine
from serving import json_errors

OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)
OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")


def create_admin(engine: Callable[[], Engine]) -> Flask:
    """Make the app; `engine` gives what carries the requests now."""
    app = Flask("admin", static_folder=None)
    cast(DefaultJSONProvider, app.json).sort_keys = False  # predictors stand in the file's order
    json_errors(app)
    app.before_request(_refuse_other_origins)

    @app.get("/topology")
    def topology() -> Response:
        return jsonify(engine().picture())

    @app.post("/predictors/<name>/drain")
    def drain(name: str) -> Response:
        return _order(engine(), engine().drain, name)

    @app.post("/predictors/<name>/ready")
    def ready(name: str) -> Response:
        return _order(engine(), engine().ready, name)

    return app


def _order(engine: Engine, order: Callable[[str], None], name: str) -> Response:
    """Carry out what the operator wants and answer with the predictor's state after it."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("send Content-Type: application/json")
    try:
        order(name)
    except KeyError:
        known = ", ".join(engine.picture()["predictors"])
        raise NotFound(f"unknown predictor {name[:64]!r}: one of {known}") from None
    return jsonify({name: engine.picture()["predictors"][name]})


def _refuse_other_origins() -> None:
    """A web page elsewhere may point its own host name at 127.0.0.1, or post here across origins: refuse both."""
    host = request.headers.get("Host", "")
    if not OWN_HOST.fullmatch(host) or not request.environ["RAW_URI"].startswith("/"):
        raise Forbidden(f"the admin port answers to {', '.join(OWN_NAMES)} only")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host.lower()}":
        raise Forbidden("the admin port answers to its own pages only")
