"""The swarm's part of Locust's web page: puts it together, checks the page's port and the form's own fields."""

import contextlib
import ipaddress
import socket
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

from flask import jsonify, request
from locust.argument_parser import ui_extra_args_dict
from locust.env import Environment

from admin_client import admin_address
from first_failure import FirstFailures
from payload import read_payload
from request_records import RecordCollector
from swarm import connect, swarm_options
from topology_tab import TopologyPoller
from web_downloads import add_downloads
from web_tabs import add_tabs, first_failure_tab

FORM_FIELDS = {"user_count", "spawn_rate", "host", "run_time", "profile", "user_classes", "shape_class"}
"""The form's fields beside the custom parameters."""


def extend(environment: Environment, first_failures: FirstFailures, collector: RecordCollector) -> None:
    """Adds tabs, downloads and the checks of the form, before the page is served."""
    web_ui, fired = cast(Any, environment.web_ui), cast(Any, environment.events)
    require_free_port(web_ui.host, web_ui.port)
    # The form's defaults: Locust reads them off a parser made anew for each load of the page.
    fired.init_command_line_parser.add_listener(lambda parser, **_: parser.set_defaults(stop_at_first_failure=True))
    poller = TopologyPoller(swarm_options(environment))
    connect(environment, poller)

    def refresh(polling: bool) -> None:
        poller.refresh(polling)
        first_failures.note_topology(poller.topology())

    add_tabs(web_ui, (poller.tab(), first_failure_tab(first_failures)), refresh)
    add_downloads(web_ui, environment, first_failures, collector)
    start = web_ui.app.view_functions["locust.swarm"]
    web_ui.app.view_functions["locust.swarm"] = web_ui.auth_required_if_enabled(validated(start, environment))


def require_free_port(host: str, port: int) -> None:
    """Exits with status 2 and one line where the page could not be served at this address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except OSError as error:
        remedy = "name a free port, as in --web-port 8090, and an address of this machine"
        sys.stderr.write(f"locust: error: --web-port {port}, --web-host {host or '*'}: {error.strerror}: {remedy}\n")
        sys.exit(2)


def validated(start: Callable[[], Any], environment: Environment) -> Callable[[], Any]:
    """Returns Locust's view of START behind a check of the form's own fields; the form shows what is wrong."""

    def validated_start() -> Any:
        options = swarm_options(environment)
        try:
            require_same_origin()
            require_offered_options(options)
            admin_address(request.form.get("admin", options.admin))
            options.payload_body = payload_of_form(options)
        except ArgumentTypeError as error:
            return jsonify({"success": False, "message": str(error), "host": environment.host})
        return start()

    validated_start.__name__ = "swarm"
    return validated_start


def require_same_origin() -> None:
    """Raises ArgumentTypeError for a form of another site: it could have load, or files of this machine, sent anywhere.

    Browsers name the page's origin; programs name none.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise ArgumentTypeError("a test is started from this page, not from another site")


def require_offered_options(options: Namespace) -> None:
    """Raises ArgumentTypeError for an option that is not on the page: Locust would take any, as the names of files."""
    offered = FORM_FIELDS | ui_extra_args_dict().keys()
    if others := sorted((request.form.keys() & vars(options).keys()) - offered):
        raise ArgumentTypeError(f"{', '.join(others)}: not to be set on this page, but on the command line")


def payload_of_form(options: Namespace) -> bytes | None:
    """Returns the content of the file that the form names; None where it names none. Raises ArgumentTypeError."""
    name = request.form.get("payload", options.payload or "").strip()
    if name and name != options.payload and not is_opened_by_address():
        raise ArgumentTypeError("a payload file can be named on this page only, opened by address or as localhost")
    return read_payload(name) if name else None


def is_opened_by_address() -> bool:
    """Returns whether the page was opened by address or as localhost: a site may point a name of its own here."""
    host = urlsplit(f"//{request.host}").hostname or ""
    with contextlib.suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host) is not None
    return False
