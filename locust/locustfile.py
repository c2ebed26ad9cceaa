"""The swarm: what one user does, the options, and how the parts are connected; each Locust process loads this.

How a run's first failure is recorded, and may stop the run, is in first_failure.py; what Locust's web page shows
of it in web_page.py.
"""

import argparse
import functools
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from locust import between, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

import web_page
from admin_client import admin_address, host_address
from first_failure import FirstFailures, Observer, sends
from payload import payload_option
from prediction import prediction_of
from request_records import RecordCollector, RequestRecorder
from server_option import server_option
from swarm import Prediction, RouterUser, connect, register, seconds, swarm_options

ANSWER_TIMEOUT_S = 30.0  # well beyond the router's own deadline: only a hung router meets it


class PredictUser(RouterUser):
    """One client: sends a request for a prediction, waits between 1 and 5 s, and sends the next."""

    wait_s = (1.0, 5.0)
    wait_time = between(*wait_s)

    @task
    def predict(self) -> None:
        """Sends GET /predict, or what --server and --payload say."""
        prediction = Prediction(*swarm_options(self.environment).prediction)
        sends.add(time.time())
        self.request_prediction(prediction, ANSWER_TIMEOUT_S, {})


@functools.cache  # once: Locust parses the command line again for each load of its page
def writable_file(text: str) -> str:
    """Returns the name of a file to write, untouched. Raises argparse.ArgumentTypeError where it cannot be written."""
    path, problem = Path(text), ""
    try:
        if path.exists() and not path.is_file():
            problem = "not a regular file: name a file to write"
        elif not path.parent.is_dir():
            problem = f"no directory {str(path.parent)!r}: create it first"
        elif not all(os.access(target, os.W_OK) for target in (path, path.parent) if target.exists()):
            problem = "writing is not permitted: choose another place"
    except OSError as error:
        problem = f"{error.strerror}: choose another place"
    if problem:
        raise argparse.ArgumentTypeError(f"{text!r}: {problem}")
    return text


def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """Adds the swarm's own options; those for programs stay out of the web form. Locust calls this repeatedly."""
    next(action for action in parser._actions if action.dest == "host").type = host_address  # Locust takes any text
    parser.set_defaults(web_host="127.0.0.1")  # from any directory: only this machine reaches the web page
    # No options: the leader sends them to its workers. Locust shows and logs neither: a request may hold secrets.
    parser.set_defaults(prediction=Prediction(), collect_records=False)
    add = parser.add_argument
    # unset: yes under the web UI, else no
    add("--stop-at-first-failure", action=argparse.BooleanOptionalAction, help="End the run once a request has failed")
    # unset: 10 s under the web UI, so that its charts show the failures, else none
    add(
        "--go-on",
        metavar="<s>",
        type=seconds,
        help="Seconds from the first failure to the end of the run, where it ends there",
    )
    add(
        "--server",
        metavar="<file>",
        type=server_option,
        help="A server file, or a name in servers/: users send its payload and headers to its path",
    )
    add(
        "--payload",
        metavar="<file>",
        type=payload_option,
        help="A JSON file whose content users POST; empty: the server file's payload, or they GET",
    )
    add(
        "--admin",
        metavar="<url>",
        type=admin_address,
        default="http://127.0.0.1:8001",
        help="The router's admin address, asked for loads and states; empty: it has none",
    )
    in_a_worker = "Write one CSV row per finished request here (a worker: with its index before the suffix)"
    for option, content in (("--first-failure", "Write the first failure here, as JSON"), ("--records", in_a_worker)):
        add(option, metavar="<file>", type=writable_file, help=content, include_in_web_ui=False)


def on_init(environment: Environment, **_: Any) -> None:
    """Connects the parts that this process has by its role: leader, user process, or both."""
    runner = environment.runner
    collector = None if isinstance(runner, WorkerRunner) else init_leader(environment)
    if not isinstance(runner, MasterRunner):
        connect(environment, Observer(environment))
        connect(environment, RequestRecorder(environment, collector))


def init_leader(environment: Environment) -> RecordCollector | None:
    """Connects what leads the run; returns where its web page collects the records, None without a page."""
    options = swarm_options(environment)
    try:
        options.prediction = prediction_of(options.server, options.payload)
    except argparse.ArgumentTypeError as error:
        refuse(str(error))
    set_ending(options, environment.web_ui is not None)
    first_failures = FirstFailures(environment)
    connect(environment, first_failures)
    if environment.web_ui is None:
        return None
    collector = RecordCollector()
    connect(environment, collector)
    options.collect_records = True
    web_page.extend(environment, first_failures, collector)
    return collector


def set_ending(options: argparse.Namespace, web_ui: bool) -> None:
    """Sets whether and how long after its first failure a run ends, where the command line leaves it open."""
    if options.stop_at_first_failure is None:
        options.stop_at_first_failure = web_ui or options.go_on is not None
    if options.go_on is not None and not options.stop_at_first_failure:
        refuse(f"--go-on {options.go_on:g}: leave out --no-stop-at-first-failure")
    if options.go_on is None:
        options.go_on = web_page.GO_ON_S if web_ui else 0.0


def refuse(problem: str) -> NoReturn:
    """Ends Locust with one line and status 2."""
    sys.stderr.write(f"locust: error: {problem}\n")
    sys.exit(2)


register(add_options, on_init)
