"""The swarm: what one user does, the options, and how the parts are connected; each Locust process loads this.

How a run's first failure is noted, and may stop the run, is in first_failure.py; what Locust's web page shows
of it in web_page.py.
"""

from __future__ import annotations

import argparse
import functools
import os
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

from locust import HttpUser, between, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

import web_page
from admin_client import admin_address
from first_failure import FirstFailures, Observer, refusal_reason, sends, swarm_options
from payload import payload_option, read_once, request_for
from request_records import Collection, Records

ANSWER_TIMEOUT_S = 30.0  # well beyond the router's own deadline: only a hung router meets it


class PredictUser(HttpUser):
    """One client: asks the router for a prediction, waits between 1 and 5 s, and asks again."""

    host = "http://127.0.0.1:8000"
    wait_time = between(1, 5)

    @task
    def predict(self) -> None:
        """GET /predict, or POST the payload; a refusal is a failure that names its reason, such as "503 saturated"."""
        what = request_for(swarm_options(self.environment).payload_body)
        sends.note(time.time())
        with self.client.request(url="/predict", timeout=ANSWER_TIMEOUT_S, catch_response=True, **what) as answer:
            if answer.status_code >= HTTPStatus.BAD_REQUEST:
                answer.failure(f"{answer.status_code} {refusal_reason(answer)}")


@functools.cache  # once: Locust parses the command line again for each load of its page
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
    parser.set_defaults(payload_body=None, collect_records=False)  # no options: the leader tells its workers
    parser.add_argument(
        "--stop-at-first-failure",
        action=argparse.BooleanOptionalAction,
        help="End the run at the first failed request",  # unset: yes under the web UI, else no
    )
    parser.add_argument(
        "--payload",
        metavar="<file>",
        type=payload_option,
        help="A JSON file whose content users POST; without one they GET",
    )
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
    collection = lead(environment) if not isinstance(runner, WorkerRunner) else None
    fired: Any = environment.events
    if not isinstance(runner, MasterRunner):
        observer, records = Observer(environment), Records(environment, collection)
        runner.register_message("sends_wanted", observer.on_sends_wanted)
        fired.report_to_master.add_listener(records.on_report_to_master)
        for listener in (observer, records):
            fired.test_start.add_listener(listener.on_test_start)
            fired.request.add_listener(listener.on_request)


def lead(environment: Environment) -> Collection | None:
    """What the process does that leads the run; returns where its web page collects the records."""
    runner: Any = environment.runner
    fired: Any = environment.events
    options = swarm_options(environment)
    options.payload_body = read_once(options.payload) if options.payload else None
    if options.stop_at_first_failure is None:
        options.stop_at_first_failure = environment.web_ui is not None
    first_failures = FirstFailures(environment)
    runner.register_message("first_failure", first_failures.on_first_failure)
    runner.register_message("sends", first_failures.on_sends)
    for event, listener in (
        (fired.test_start, first_failures.on_test_start),
        (fired.test_stop, first_failures.on_test_stop),
        (fired.quitting, first_failures.on_quitting),
    ):
        event.add_listener(listener)
    return show(environment, first_failures) if environment.web_ui else None


def show(environment: Environment, first_failures: FirstFailures) -> Collection:
    """Extend the web page; its records come from all processes."""
    fired: Any = environment.events
    collection = Collection()
    swarm_options(environment).collect_records = True
    fired.worker_report.add_listener(collection.on_worker_report)
    hooks.init_command_line_parser.add_listener(web_page.tick_by_default)
    web_page.extend(environment, first_failures, collection)
    return collection


hooks: Any = events  # without annotations in Locust
hooks.init_command_line_parser.add_listener(add_options)
hooks.init.add_listener(watch)
