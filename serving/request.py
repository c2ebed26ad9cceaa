"""A request's way in: its body, read within a size and a time, and JSON for every error."""

from typing import cast

import gevent
from flask import Flask, Response, jsonify, request
from gunicorn.http.errors import NoMoreData, ParseException
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    NotFound,
    RequestEntityTooLarge,
    RequestTimeout,
)

BODY_TIMEOUT_S = 10.0
"""The longest that a client may take to send its body once the headers are in."""

CHUNK_BYTES = 64 * 1024


def read_body(limit_bytes: int, timeout_s: float = BODY_TIMEOUT_S) -> bytes:
    """Returns the current request's whole body.

    Raises werkzeug's RequestEntityTooLarge (413, without reading on), RequestTimeout (408), BadRequest (400,
    bad chunks) or ClientDisconnected (400, the body ended early); the connection is then closed.
    """
    declared = request.content_length or 0
    body = request.environ["wsgi.input"]
    if declared > limit_bytes:
        body.failed = True
        raise RequestEntityTooLarge(_too_large(limit_bytes))
    whole = b""
    try:
        with gevent.Timeout(timeout_s, RequestTimeout(f"the body was not complete within {timeout_s:g} s")):
            while chunk := body.read(CHUNK_BYTES):
                whole += chunk
                if len(whole) > limit_bytes:
                    raise RequestEntityTooLarge(_too_large(limit_bytes))
    except (HTTPException, OSError, ParseException) as error:
        body.failed = True  # where the next request would start is unknown: serving closes the connection
        raise _as_http(error) from error
    if len(whole) < declared:
        body.failed = True
        raise ClientDisconnected(f"the body ended after {len(whole)} of {declared} bytes")
    return whole


def _too_large(limit_bytes: int) -> str:
    return f"the body is larger than {limit_bytes} bytes"


def _as_http(error: Exception) -> HTTPException:
    if isinstance(error, HTTPException):
        return error
    if isinstance(error, (OSError, NoMoreData)):
        return ClientDisconnected("the connection ended before the body did")
    return BadRequest(f"bad framing of the body: {error}")


def refuse_head(app: Flask, endpoint: str) -> None:
    """Takes HEAD from the methods of this endpoint, to which Flask adds it beside GET."""
    for rule in app.url_map.iter_rules(endpoint):
        cast(set[str], rule.methods).discard("HEAD")


def json_errors(app: Flask) -> None:
    """Makes every error that `app` answers a JSON object `{"error": ...}`: no HTML, no traceback."""

    def answer(error: HTTPException) -> Response:
        status = error.code or 500
        response = jsonify(error=_text(status, error))
        response.status_code = status
        if allow := error.get_response().headers.get("Allow"):
            response.headers["Allow"] = allow
        return response

    app.url_map.merge_slashes = False  # it would redirect, in HTML
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # likewise
    app.register_error_handler(HTTPException, answer)  # an unexpected exception arrives here as a 500


def _text(status: int, error: HTTPException) -> str:
    match status:
        case 404 if error.description == NotFound.description:
            return "unknown path"
        case 405:
            return f"{request.method} is not allowed here"
        case 500:
            return "internal error"
        case _:
            return error.description or error.name
