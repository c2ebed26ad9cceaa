"""The naive way, for comparison: a requests session, a random choice, Flask's own development server.

`python -m benchmarks.naive_router SAMPLE_FILE PORT PREDICTORS_PORT...`
"""

import logging
import random
import sys
from pathlib import Path

import requests
from flask import Flask, Response, request


def create_app(ports: list[int], sample: bytes) -> Flask:
    """Returns an app that forwards each request to one of these ports."""
    app = Flask("naive")
    session = requests.Session()

    @app.route("/predict", methods=["GET", "POST"])
    def predict() -> Response:
        url = f"http://127.0.0.1:{random.choice(ports)}/predict"
        body = request.get_data() if request.method == "POST" else sample
        answer = session.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=10)
        return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])

    @app.route("/health")
    def health() -> str:
        return "ok"

    return app


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request would be measured too
    own, *others = map(int, sys.argv[2:])
    create_app(others, Path(sys.argv[1]).read_bytes()).run(port=own, threaded=True)
