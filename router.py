"""The router: sends each request to the least loaded predictor of the selected topology."""

# The two variables of the rig. Save this file with other values, and the running router goes over to them.
topology = 0  # 0: single, 1: 2active, 2: 3active
node_threshold = 10  # the most requests in flight at one predictor

# The life of one request:
#  1. `serving` parses it: what HTTP does not allow is refused with 400, another path with 404, another method with 405.
#  2. Its body is read whole, up to a limit (413) and a time (408), before anything is reserved; a GET's means
#     nothing, and is left out.
#  3. The balancer reserves a slot at the predictor in rotation with the lowest load; ties go round robin.
#  4. Where all are at capacity, the next standby is promoted and takes it; else it is refused at once: 503, no queue.
#  5. The dispatcher sends it there, with half of the time to the deadline where another predictor could still be asked.
#  6. An answer goes to the client unchanged, with X-Predictor; the slot is released on this and every path.
#  7. A connection that was refused or not made in time: it was never sent, and goes to each other predictor in turn.
#  8. A 5xx, 404, 405 or 410, a reset, no answer or an unusable one: it goes to one other predictor, unless --no-resend.
#     405 and 501 to a GET are an answer: there only POST is known, and it was the client who chose the method.
#     Likewise, at once, when health checks take its predictor out while it waits, or that answers nothing.
#     429 and 503 are no failure: the predictor is busy, the request has not run, and goes to each other one in turn.
#  9. Failed at one only: that one is to blame, and three in a row eject it. Failed at two: the request is to blame.
# 10. Nobody left to ask: the last failure's answer, or "busy", else 502 (unusable answers) or 504 (the deadline).

if __name__ == "__main__":  # what needs no library: a mistake is told at once, and who connects from now on waits
    from cli import run_command
    from routing.start import begin

    START = run_command("router", begin)
    import serving.patched  # noqa: F401  # before the other imports, which are to be cooperative

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from flask import Flask, Response, jsonify, request
from werkzeug.datastructures import Headers

from cli import UsageError
from routing import engines, logs
from routing.admin.app import create_admin
from routing.engine import OPEN_ERRORS
from routing.flask_engine import FlaskEngine
from routing.refusals import BadAnswerError, RefusedError, TimedOutError
from routing.start import Start
from routing.succession import Succession
from routing.switchover import Switchover
from routing.upstream.client import Request
from routing.upstream.response import NO_BODY
from routing.upstream.response import Response as UpstreamResponse
from routing.variables import VariablesError
from server_file import OWN, Server, selected
from serving.request import BODY_TIMEOUT_S, json_errors, read_body, refuse_head
from serving.server import serve

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROOT = Path(__file__).resolve().parent
CLIENT_HEADERS = {"CONTENT_TYPE": "Content-Type", "HTTP_CONTENT_ENCODING": "Content-Encoding"}
"""Of the client's headers, as WSGI names them, all that a predictor needs."""
BODY_LIMIT_BYTES = 1024 * 1024
RETRY_AFTER_S = 1
REFUSAL_STATUS = {TimedOutError: 504, BadAnswerError: 502}  # saturated and down: 503


def create_app(router: Switchover[FlaskEngine], server: Server = OWN) -> Flask:
    """Makes the public app of the Flask engine: /predict, the predictors' own path and /health, and nothing else."""
    app = Flask("router", static_folder=None)
    app.wsgi_app = answering_also(server.path, app.wsgi_app)  # type: ignore[assignment,method-assign]
    json_errors(app)
    app.register_error_handler(RefusedError, refusal)

    @app.route("/predict", methods=["GET", "POST"], provide_automatic_options=False)
    def predict() -> Response:
        incoming = incoming_request()  # may wait for its body; only then ask which topology is in service
        answer = router.engine.send(incoming)
        return PassedOn(answer)

    refuse_head(app, "predict")  # a prediction for no answer is none

    @app.route("/health", methods=["GET"], provide_automatic_options=False)
    def health() -> tuple[Response, int]:
        if router.engine.has_free_slot():
            return jsonify(status="ok"), 200
        return jsonify(status="no predictor can take a request"), 503

    return app


def answering_also(path: str, wsgi: "WSGIApplication") -> "WSGIApplication":
    """Has the predictors' own path answered as /predict is, so that their clients can be pointed at the router."""
    own = unquote(path.partition("?")[0], "latin-1")  # as WSGI gives it; no routing rule, where < and > would mean more

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        routers = own == "/health" and environ["REQUEST_METHOD"] == "GET"
        if environ["PATH_INFO"] == own and not routers:
            environ["PATH_INFO"] = "/predict"
        return wsgi(environ, start_response)

    return answer


def incoming_request() -> Request:
    """Returns what the predictor is to get: the client's method and body, unchanged; a GET's body means nothing."""
    body = read_body(BODY_LIMIT_BYTES)  # whole before any slot is taken
    environ = request.environ
    if environ["REQUEST_METHOD"] == "GET":
        return Request(b"", {}, "GET")
    headers = {name: environ[key] for key, name in CLIENT_HEADERS.items() if key in environ}
    return Request(body, headers, environ["REQUEST_METHOD"])


class PassedOn(Response):
    """A predictor's answer on its way to the client: whole, so that Flask need not look for what it could correct."""

    def __init__(self, answer: UpstreamResponse) -> None:
        headers = {"Content-Type": "application/octet-stream", **answer.headers}  # Flask would say it is HTML
        own = {"X-Predictor": answer.predictor, "Content-Length": str(len(answer.body))}
        super().__init__([answer.body], answer.status, {**headers, **own}, direct_passthrough=True)

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """Returns the headers as they are, unless the status allows no body."""
        return super().get_wsgi_headers(environ) if self.status_code in NO_BODY else self.headers


def refusal(error: RefusedError) -> Response:
    """Returns why no predictor's answer comes."""
    response = jsonify(error=str(error), reason=error.reason)
    response.status_code = REFUSAL_STATUS.get(type(error), 503)
    if response.status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def main(start: Start) -> None:
    """Serves until stopped; a supervised router (--supervise) makes all ready, and waits for its turn."""
    options, public, admin, public_socket, supervision = start
    server = selected(options.server, ROOT / "servers")
    logs.set_up(options.log_format)
    supervisor, life = (None, None) if supervision is None else (supervision.supervisor, supervision.life)
    succession = Succession(supervision)
    try:
        open_engine = engines.opener(options.engine, public_socket, BODY_LIMIT_BYTES, life)
        router = Switchover(Path(__file__), options, server, open_engine, supervisor)
        router.spawn(router.follow_variables)
        app = create_app(router, server) if options.engine == FlaskEngine.name else None  # HAProxy accepts by itself
        board = create_admin(lambda: router.engine, supervisor, router.spawn)
        serve(
            "router",
            [public._replace(app=app, bound=public_socket), admin._replace(app=board)],
            before_start=partial(succession.open, router),
            on_start=partial(succession.start, router),
            before_stop=router.announce_stop,
            on_stop=partial(succession.close, router),
            grace_s=options.deadline + BODY_TIMEOUT_S,
            log=logs.log_serving,
        )
    except (VariablesError, *OPEN_ERRORS) as error:
        raise UsageError(str(error)) from error


if __name__ == "__main__":
    run_command("router", lambda: main(START))
    os._exit(0)  # all is done; for Python to take itself apart would take fifty times as long as the stop
