"""The swarm: what one user does, the records of the requests, the options; each Locust process loads this.

How a run's first failure is noted, and may stop the run, is in first_failure.py.
"""

from __future__ import annotations

import argparse
import os
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from locust import HttpUser, between, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from first_failure import (
    FirstFailures,
    Observer,
    failure_cause,
    one_line,
    refusal_reason,
    sends,
    swarm_options,
)
from row_file import RowFile

ANSWER_TIMEOUT_S = 30.0  # well beyond the router's own deadline: only a hung router meets it


class PredictUser(HttpUser):
    """One client: asks the router for a prediction, waits between 1 and 5 s, and asks again."""

    host = "http://127.0.0.1:8000"
    wait_time = between(1, 5)

    @task
    def predict(self) -> None:
        """GET /predict; a refusal is a failure that names its reason, such as "503 saturated"."""
        sends.note(time.time())
        with self.client.get("/predict", timeout=ANSWER_TIMEOUT_S, catch_response=True) as answer:
            if answer.status_code >= HTTPStatus.BAD_REQUEST:
                answer.failure(f"{answer.status_code} {refusal_reason(answer)}")


class Records:
    """One CSV row per request that finished in this process."""

    COLUMNS = ("sent_at_s", "latency_s", "method", "status", "reason", "predictor", "users")

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._rows: RowFile | None = None

    def on_test_start(self, **_: Any) -> None:
        """Open the file at the first run; later runs of this process add to it."""
        name = swarm_options(self._environment).records
        if self._rows is None and name:
            self._rows = RowFile(self._path(name), self.COLUMNS)

    def _path(self, name: str) -> Path:
        path, runner = Path(name), self._environment.runner
        if isinstance(runner, WorkerRunner):
            return path.with_suffix(f".{runner.worker_index}{path.suffix}")
        return path

    def on_request(
        self,
        request_type: str,
        response_time: float,
        response: requests.Response,
        exception: Exception | None,
        start_time: float,
        **_: Any,
    ) -> None:
        """A request ended: add its row."""
        runner = self._environment.runner
        if self._rows is None or runner is None:
            return
        cause = failure_cause(exception, response) if exception else ""
        predictor = one_line(response.headers.get("X-Predictor", ""))
        times = (f"{start_time:.6f}", f"{response_time / 1000:.6f}")
        self._rows.add((*times, request_type, response.status_code, cause, predictor, runner.user_count))


def admin_address(text: str) -> str:
    """Check --admin; argparse.ArgumentTypeError says what is accepted."""
    try:
        parts = urlsplit(text)
        accepted = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        accepted = False
    if not accepted:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as http://127.0.0.1:8001")
    return text


def writable_file(text: str) -> str:
    """Check a file to write without touching it; argparse.ArgumentTypeError says what is wrong with it."""
    try:
        fault = write_fault(Path(text))
    except OSError as error:
        fault = f"{error.strerror}: choose another place"
    if fault:
        raise argparse.ArgumentTypeError(f"{text!r}: {fault}")
    return text


def write_fault(path: Path) -> str:
    """Why a file could not be written, with the remedy; "" where it could."""
    if path.exists() and not path.is_file():
        return "not a regular file: name a file to write"
    if not path.parent.is_dir():
        return f"no directory {str(path.parent)!r}: create it first"
    if not all(os.access(place, os.W_OK) for place in (path, path.parent) if place.exists()):
        return "writing is not permitted: choose another place"
    return ""


def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """The swarm's own options; those for programs stay out of the web form. Locust calls this repeatedly."""
    parser.set_defaults(web_host="127.0.0.1")  # from any directory: only this machine reaches the web page
    parser.add_argument("--stop-at-first-failure", action="store_true", help="End the run at the first failed request")
    parser.add_argument(
        "--admin",
        metavar="<url>",
        type=admin_address,
        default="http://127.0.0.1:8001",
        help="The router's admin address, asked for the loads at the first failure",
    )
    in_a_worker = "Write one CSV row per finished request here (a worker: with its index before the suffix)"
    for option, content in (
        ("--first-failure", "Write the first failure here, as JSON"),
        ("--records", in_a_worker),
    ):
        parser.add_argument(option, metavar="<file>", type=writable_file, help=content, include_in_web_ui=False)


def watch(environment: Environment, **_: Any) -> None:
    """Connect the parts of this process to Locust's events and messages, by its place in the swarm."""
    runner: Any = environment.runner
    fired: Any = environment.events
    if not isinstance(runner, WorkerRunner):
        first_failures = FirstFailures(environment)
        runner.register_message("first_failure", first_failures.on_first_failure)
        runner.register_message("sends", first_failures.on_sends)
        fired.test_start.add_listener(first_failures.on_test_start)
        fired.quitting.add_listener(first_failures.on_quitting)
    if not isinstance(runner, MasterRunner):
        observer, records = Observer(environment), Records(environment)
        runner.register_message("sends_wanted", observer.on_sends_wanted)
        for listener in (observer, records):
            fired.test_start.add_listener(listener.on_test_start)
            fired.request.add_listener(listener.on_request)


hooks: Any = events  # without annotations in Locust
hooks.init_command_line_parser.add_listener(add_options)
hooks.init.add_listener(watch)
