"""What the swarm adds to Locust's web page: this puts it together, checks its port and the form's own fields."""

from __future__ import annotations

import argparse
import ipaddress
import socket
import sys
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

from flask import jsonify, request
from locust.argument_parser import LocustArgumentParser, ui_extra_args_dict
from locust.env import Environment

import web_downloads
import web_tabs
from admin_client import admin_address
from first_failure import FirstFailures, swarm_options
from payload import PayloadError, read_payload
from request_records import Collection
from web_downloads import Downloads
from web_tabs import Tabs

LOCUSTS_FIELDS = {"user_count", "spawn_rate", "host", "run_time", "profile", "user_classes", "shape_class"}
"""The form's fields beside the custom parameters."""


def extend(environment: Environment, first_failures: FirstFailures, collection: Collection) -> None:
    """Add tabs, downloads and the checks of the form, before the page is served."""
    web_ui: Any = environment.web_ui
    require_free_port(web_ui.host, web_ui.port)
    web_ui.template_args.update(web_tabs.template_args() | web_downloads.template_args())
    tabs, fired = Tabs(environment, first_failures), cast(Any, environment.events)
    tabs.connect(web_ui.app)
    fired.test_start.add_listener(tabs.on_test_start)
    Downloads(environment, first_failures, collection).connect(web_ui)
    start = web_ui.app.view_functions["locust.swarm"]
    web_ui.app.view_functions["locust.swarm"] = web_ui.auth_required_if_enabled(checked(start, environment))


def tick_by_default(parser: LocustArgumentParser, **_: Any) -> None:
    """The form's default; Locust reads it off a parser made anew for each load of the page."""
    parser.set_defaults(stop_at_first_failure=True)


def require_free_port(host: str, port: int) -> None:
    """Exit with status 2 and one line where the page could not be served at this place."""
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


def checked(start: Callable[[], Any], environment: Environment) -> Callable[[], Any]:
    """Locust's answer to START, given only where the form's own fields can be used; else the form shows why."""

    def start_checked() -> Any:
        options = swarm_options(environment)
        try:
            refuse_other_sites()
            refuse_other_options(options)
            admin_address(request.form.get("admin", options.admin))
            options.payload_body = payload_of_form(options)
        except (PayloadError, argparse.ArgumentTypeError) as error:
            return jsonify({"success": False, "message": str(error), "host": environment.host})
        return start()

    start_checked.__name__ = "swarm"
    return start_checked


def refuse_other_sites() -> None:
    """Raise ArgumentTypeError for a form of another site: it could have load, or files of this machine, sent anywhere.

    Browsers name the page's origin; programs name none.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise argparse.ArgumentTypeError("a test is started from this page, not from another site")


def refuse_other_options(options: argparse.Namespace) -> None:
    """Raise ArgumentTypeError for an option that is not on the page: Locust would take any, as the names of files."""
    offered = LOCUSTS_FIELDS | ui_extra_args_dict().keys()
    if others := sorted((request.form.keys() & vars(options).keys()) - offered):
        raise argparse.ArgumentTypeError(f"{', '.join(others)}: not to be set on this page, but on the command line")


def payload_of_form(options: argparse.Namespace) -> bytes | None:
    """The content of the file that the form names, read now; None where it names none. Raises PayloadError."""
    name = request.form.get("payload", options.payload or "").strip()
    if name and name != options.payload and not is_own_host():
        raise PayloadError("a payload file can be named on this page only, opened by address or as localhost")
    return read_payload(name) if name else None


def is_own_host() -> bool:
    """Whether the page was opened by address: a site may point its own name here, and its pages are of that origin."""
    host = urlsplit(f"//{request.host}").hostname or ""
    return host == "localhost" or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
