"""What all parts of the swarm share: the user, the outcome of its requests, its options, the wiring to Locust."""

import argparse
import contextlib
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import gevent
import requests
from locust import HttpUser, events
from locust.env import Environment
from locust.exception import CatchResponseError
from locust.runners import STATE_RUNNING, STATE_SPAWNING, STATE_STOPPED

DAY_S = 86_400.0
BUSY = (429, 503)
FORMULA_STARTS = ("=", "+", "-", "@")


class Prediction(NamedTuple):
    """The request for a prediction: where it goes, and what it holds. Workers get it from their master, as a list."""

    path: str = "/predict"
    body: Any = None
    """What requests accepts as `data`: bytes, say; sent as it is. None: the request is a GET."""
    content_type: str = "application/json"
    headers: Sequence[tuple[str, str]] = ()
    """Names and values."""

    def arguments(self) -> dict[str, Any]:
        """Returns what requests is given beside the address."""
        headers = dict(self.headers)
        if self.body is None:
            return {"method": "GET", "headers": headers}
        return {"method": "POST", "headers": headers | {"Content-Type": self.content_type}, "data": self.body}


class RouterUser(HttpUser):
    """One client of the router; a locustfile's own user decides what it sends, and when."""

    abstract = True
    host = "http://127.0.0.1:8000"

    def request_prediction(self, prediction: Prediction, timeout_s: float, context: dict[str, Any]) -> None:
        """Sends one request; an answer that is none of success is a failure with its reason, such as "503 saturated".

        A redirect is none: it would have the request sent twice, and the body dropped.
        """
        how: dict[str, Any] = {"timeout": timeout_s, "allow_redirects": False, "catch_response": True}
        path = prediction.path
        request = self.client.request(url=path, name=path, context=context, **how, **prediction.arguments())
        with request as response:
            if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
                response.failure(f"{response.status_code} {error_reason(response)}")


class Outcome(NamedTuple):
    """HTTP status (0: no answer), cause of the failure ("": success), name of the predictor ("": none)."""

    status: int
    cause: str
    predictor: str


def request_outcome(exception: Exception | None, response: requests.Response) -> Outcome:
    """Returns the outcome of a request, from the arguments of Locust's `request` event.

    The cause is the router's reason, or the class of the transport error.
    """
    cause = "" if exception is None else type(exception).__name__
    if isinstance(exception, CatchResponseError):
        cause = error_reason(response)
    return Outcome(response.status_code, cause, one_line(response.headers.get("X-Predictor", "")))


def error_reason(response: requests.Response) -> str:
    """Returns the `reason` in an error's JSON body on one line; the status phrase where there is none.

    A predictor's own 429 or 503, which the router passes on where all are full, is "busy", as the router counts it.
    """
    with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError):
        reason = response.json()["reason"]
        if isinstance(reason, str) and reason.strip():
            return one_line(reason)
    if response.status_code in BUSY and "X-Predictor" in response.headers:
        return "busy"
    with contextlib.suppress(ValueError):
        return HTTPStatus(response.status_code).phrase
    return "unexpected status"


def one_line(text: str) -> str:
    """Returns text from the network without line breaks and control characters, cut to 80 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:80]


def csv_cell(text: str) -> str:
    """Returns `text` with a quote mark before what a spreadsheet program would take for a formula."""
    return f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) else text


def seconds(text: str) -> float:
    """Returns a duration from 0 to a day. Raises argparse.ArgumentTypeError."""
    with contextlib.suppress(ValueError):
        if 0.0 <= (value := float(text)) <= DAY_S:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to {DAY_S:g}, such as 10")


def swarm_options(environment: Environment) -> argparse.Namespace:
    """Returns the options of this process; a worker's are the master's once a run starts."""
    return environment.parsed_options or argparse.Namespace()


def register(add_options: Callable[..., None], on_init: Callable[..., None]) -> None:
    """Has Locust call these for each parser of a command line, and once for its environment."""
    hooks: Any = events  # without annotations in Locust
    hooks.init_command_line_parser.add_listener(add_options)
    hooks.init.add_listener(on_init)


def connect(environment: Environment, listener: object) -> None:
    """Connects a listener's methods: `on_<event>` to Locust's events, `receive_<kind>` to messages of the swarm."""
    for method in dir(listener):
        prefix, _, name = method.partition("_")
        if prefix == "on":
            getattr(environment.events, name).add_listener(getattr(listener, method))
        elif prefix == "receive" and environment.runner is not None:
            environment.runner.register_message(name, getattr(listener, method))


def is_running(environment: Environment) -> bool:
    """Returns whether users are being added or all are there."""
    return environment.runner is not None and environment.runner.state in (STATE_SPAWNING, STATE_RUNNING)


def stop_swarm(environment: Environment, ramp_up: Any) -> None:
    """Ends a headless run, and the process with it; under the web page, stops the run only.

    Args:
        environment: of the process that leads the run.
        ramp_up: the greenlet that adds the users.
    """
    runner, web_ui = environment.runner, environment.web_ui
    if runner is not None and runner.state == STATE_STOPPED and runner.user_count:
        runner.update_state(STATE_SPAWNING)  # by a late word of the run before, on which `stop` would do nothing
    if runner is None or not is_running(environment):
        return
    # As the page's own Stop button does: a master still adding users would start its workers again.
    for greenlet in (ramp_up, getattr(web_ui, "_swarm_greenlet", None)):
        if isinstance(greenlet, gevent.Greenlet):
            greenlet.kill()
    if web_ui is None:
        runner.quit()
    else:
        runner.stop()
