"""Flask behind the router's own server, answering by itself: the most that a router in Flask could reach.

`python -m benchmarks.flask_alone PORT`
"""

import serving.patched  # noqa: F401, I001  # first: the imports below are to be cooperative

import sys

from flask import Flask, Response

from cli import run_command

from serving.request import read_body
from serving.server import serve
from serving.sockets import Listener

ANSWER = b'{"label": "benign", "probability": 0.98}'


def create_app() -> Flask:
    """Returns an app that reads the body, as the router does, and answers at once."""
    app = Flask("alone", static_folder=None)

    @app.route("/predict", methods=["GET", "POST"])
    def predict() -> Response:
        read_body(1024 * 1024)
        return Response(ANSWER, 200, {"Content-Type": "application/json", "X-Predictor": "nobody"})

    @app.route("/health")
    def health() -> str:
        return "ok"

    return app


if __name__ == "__main__":
    run_command("alone", lambda: serve("alone", [Listener("127.0.0.1", int(sys.argv[1]), create_app())]))
