"""The router: sends each request to the least loaded predictor of the selected topology."""

# The two variables of the rig. Save this file with other values, and the running router goes over to them.
topology = 0  # 0: single, 1: 2active, 2: 3active
node_threshold = 10  # the most requests in flight at one predictor

if __name__ == "__main__":
    import serving.patched  # noqa: F401  # first: the imports below are to be cooperative

import argparse
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Generic, cast

import gevent
from flask import Flask, Response, jsonify, request
from gevent.lock import BoundedSemaphore

from cli import Parser, UsageError, port_number, positive_count, positive_seconds, run_command, seconds
from routing import logs, variables
from routing import topology as topology_file
from routing.admin import create_admin
from routing.balancer import RefusedError
from routing.forwarding import Request
from routing.haproxy.engine import Door, HAProxyEngine
from routing.haproxy.program import find as find_haproxy
from routing.in_service import AnyEngine, EngineError, Opener, Settings
from routing.relay import BadAnswerError, TimedOutError
from routing.rig import Rig
from routing.state_file import StateFileError
from serving import Listener, bind, json_errors, read_body, serve
from serving.requests_in import BODY_TIMEOUT_S

HERE = Path(__file__).resolve().parent
SAMPLE = (HERE / "predictors" / "sample.json").read_bytes()
PASSED_ON = ("Content-Type", "Content-Encoding")  # of the client's headers, all that a predictor needs
BODY_LIMIT_BYTES = 1024 * 1024
RETRY_AFTER_S = 1
REFUSAL_STATUS = {TimedOutError: 504, BadAnswerError: 502}  # saturated and down: 503


def create_app(router: "Router[Rig]") -> Flask:
    """Make the public app of the Flask engine: /predict and /health, and nothing else."""
    app = Flask("router", static_folder=None)
    json_errors(app)
    app.register_error_handler(RefusedError, refusal)

    @app.route("/predict", methods=["GET", "POST"], provide_automatic_options=False)
    def predict() -> Response:
        incoming = incoming_request()  # may wait for its body; only then ask which topology is in service
        answer = router.engine.send(incoming)
        typed = {"Content-Type": "application/octet-stream", **answer.headers}  # Flask would say it is HTML
        return Response(answer.body, answer.status, {**typed, "X-Predictor": answer.predictor})

    for rule in app.url_map.iter_rules("predict"):
        cast(set[str], rule.methods).discard("HEAD")  # Flask adds it to GET; a prediction for no answer is none

    @app.route("/health", methods=["GET"], provide_automatic_options=False)
    def health() -> tuple[Response, int]:
        if router.engine.can_take_a_request():
            return jsonify(status="ok"), 200
        return jsonify(status="no predictor can take a request"), 503

    return app


def incoming_request() -> Request:
    """Return what the predictor is to get: the client's body unchanged, or for GET the built-in sample."""
    body = read_body(BODY_LIMIT_BYTES)  # whole before any slot is taken
    if request.method == "GET":
        return Request(SAMPLE, {"Content-Type": "application/json"})
    return Request(body, {name: request.headers[name] for name in PASSED_ON if name in request.headers})


def refusal(error: RefusedError) -> Response:
    """Tell the client why no predictor's answer comes."""
    response = jsonify(error=str(error), reason=error.reason)
    response.status_code = REFUSAL_STATUS.get(type(error), 503)
    if response.status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


class Router(Generic[AnyEngine]):
    """The topology in service, and the way from one to another without losing a request."""

    def __init__(self, options: argparse.Namespace, open_engine: Opener[AnyEngine]) -> None:
        self._options = options
        self._open_engine = open_engine
        self._retiring: list[gevent.Greenlet[..., None]] = []
        self._turn = BoundedSemaphore()  # one going over at a time
        self._closing = False  # and then none
        self._variables = variables.read(Path(__file__))
        self.engine = open_engine(*self._wanted(self._variables), None)

    def follow_variables(self) -> None:
        """Go over to other values of the two variables whenever this file is saved with them."""
        variables.watch(Path(__file__), self._variables, self._go_over, logs.warn)

    def close(self) -> None:
        """Stop, with the topology files back in their initial state, and say so."""
        self._closing = True
        self._turn.acquire()
        gevent.joinall(self._retiring)
        file = self.engine.topology.path
        became = "is back in its initial state" if self.engine.close() else "is not back: the next start puts it back"
        logs.say(f"stopped; {file} {became}", "stopped", file=str(file))

    def _wanted(self, values: variables.Variables) -> tuple[Path, Settings]:
        """Return the topology file and the settings; the command line goes before the variables."""
        options = self._options
        name = options.topology or variables.NAMES[values.topology]
        settings = Settings(
            options.threshold or values.node_threshold, options.deadline, options.hold_down, not options.no_resend
        )
        return topology_file.find(name, HERE / "topology"), settings

    def _go_over(self, values: variables.Variables) -> bool:
        """Start the other topology beside this one, send new requests to it, and let the old ones end.

        The return says whether it is in service.
        """
        with self._turn:
            gevent.joinall(self._retiring)  # one of them may still hold the file that is wanted
            if self._closing:
                return False
            old = self.engine
            try:
                path, settings = self._wanted(values)
                if (path, settings) == (old.topology.path, old.settings):
                    logs.say("router.py was saved with other values, which the command line's options overrule")
                    return True
                self.engine = self._open_engine(path, settings, old)
            except (topology_file.TopologyError, StateFileError, EngineError) as error:
                logs.warn(f"{error}; the router goes on with {old.topology.name}")
                return False
            self._retiring = [gevent.spawn(old.retire, keep_file=path == old.topology.path)]
            return True


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; raises UsageError."""
    parser = Parser(
        prog="router.py",
        allow_abbrev=True,
        description=__doc__,
        epilog="example: python router.py --topology 2active --port 8000",
    )
    parser.add_argument(
        "--engine", choices=tuple(ENGINES), default="flask", help="what carries the requests (default: %(default)s)"
    )
    parser.add_argument("--topology", metavar="NAME|PATH", help="overrides the variable topology in router.py")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    parser.add_argument(
        "--port", type=port_number, default=8000, help="public port; 0: any free one, which is told (default: 8000)"
    )
    parser.add_argument(
        "--admin-port",
        type=port_number,
        default=8001,
        help="port of the admin app, loopback only; 0: any free one, which is told (default: %(default)s)",
    )
    parser.add_argument("--threshold", type=positive_count, metavar="N", help="overrides node_threshold in router.py")
    parser.add_argument(
        "--deadline",
        type=positive_seconds,
        default=10.0,
        metavar="S",
        help="the longest a client waits; give twice the service time, with haproxy thrice (default: %(default)g)",
    )
    parser.add_argument(
        "--hold-down", type=seconds, default=5.0, metavar="S", help="calm before a standby steps back (default: 5)"
    )
    parser.add_argument("--no-resend", action="store_true", help="never send a request again that may have run")
    parser.add_argument(
        "--log-format", choices=logs.FORMATS, default="text", help="json: each line a JSON object (default: text)"
    )
    options = parser.parse_args(arguments)
    if options.port == options.admin_port != 0:
        raise UsageError(f"--port and --admin-port are both {options.port}: give each a port of its own")
    return options


def main() -> None:
    """Serve until stopped."""
    options = parse_arguments(sys.argv[1:])
    logs.set_up(options.log_format)
    admin = Listener("127.0.0.1", options.admin_port, None, "board and admin port", "--admin-port")
    public = Listener(options.host, options.port, None, "public port")
    public, admin = (each._replace(bound=bind(each)) for each in (public, admin))  # before anything is said or changed
    try:
        router, public = ENGINES[options.engine](options, public)
    except (topology_file.TopologyError, StateFileError, variables.VariablesError, EngineError) as error:
        raise UsageError(str(error)) from error
    gevent.spawn(router.follow_variables)
    listeners = [public, admin._replace(app=create_admin(lambda: router.engine))]
    grace_s = options.deadline + BODY_TIMEOUT_S
    serve("router", listeners, on_stop=router.close, grace_s=grace_s, say=logs.say_serving)


def flask_engine(options: argparse.Namespace, public: Listener) -> tuple[Router[Rig], Listener]:
    """This process carries the requests."""
    router = Router(options, Rig.open)
    return router, public._replace(app=create_app(router))


def haproxy_engine(options: argparse.Namespace, public: Listener) -> tuple[Router[HAProxyEngine], Listener]:
    """HAProxy carries the requests, by the same rules: one child after the other accepts on this process's socket."""
    sample = HERE / "predictors" / "sample.json"
    door = Door(find_haproxy(), cast(socket.socket, public.bound), sample, BODY_LIMIT_BYTES, BODY_TIMEOUT_S)
    return Router(options, partial(HAProxyEngine.open, door)), public


Start = Callable[[argparse.Namespace, Listener], tuple[Router[Any], Listener]]
ENGINES: dict[str, Start] = {"flask": flask_engine, "haproxy": haproxy_engine}


if __name__ == "__main__":
    run_command("router", main)
