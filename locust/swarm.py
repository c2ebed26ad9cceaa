"""What both locustfiles share: the user that sends requests to the router, its options, the wiring to Locust."""

import argparse
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import gevent
from locust import HttpUser, events
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING

from request_outcome import error_reason


class RouterUser(HttpUser):
    """One client of the router; a locustfile's own user decides what it sends, and when."""

    abstract = True
    host = "http://127.0.0.1:8000"

    def request_prediction(self, timeout_s: float, **arguments: Any) -> None:
        """Sends one request to /predict; an error answer is a failure with its reason, such as "503 saturated"."""
        request = self.client.request(url="/predict", timeout=timeout_s, catch_response=True, **arguments)
        with request as response:
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                response.failure(f"{response.status_code} {error_reason(response)}")


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
    fired, runner = environment.events, environment.runner
    adders: dict[str, Callable[[str, Any], None]] = {
        "on": lambda name, method: getattr(fired, name).add_listener(method),
        "receive": lambda name, method: runner.register_message(name, method) if runner else None,
    }
    for method in dir(listener):
        prefix, _, name = method.partition("_")
        if prefix in adders:
            adders[prefix](name, getattr(listener, method))


def is_running(environment: Environment) -> bool:
    """Returns whether users are being added or all are there."""
    return environment.runner is not None and environment.runner.state in (STATE_SPAWNING, STATE_RUNNING)


def stop_swarm(environment: Environment, ramp_up: Any) -> None:
    """Ends a headless run, with exit status 0: it found what it looked for; under the web page, stops it only.

    Args:
        environment: of the process that leads the run.
        ramp_up: the greenlet that adds the users.
    """
    runner, web_ui = environment.runner, environment.web_ui
    if runner is None or not is_running(environment):
        return
    # As the page's own Stop button does: a master still adding users would start its workers again.
    for greenlet in (ramp_up, getattr(web_ui, "_swarm_greenlet", None)):
        if isinstance(greenlet, gevent.Greenlet):
            greenlet.kill()
    if web_ui is None:
        environment.process_exit_code = 0
        runner.quit()
    else:
        runner.stop()
