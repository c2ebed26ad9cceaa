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
from locust.runners import MasterRunner

from admin_client import AdminError, admin_address, get_topology, host_address
from first_failure import FirstFailures
from first_failure_tab import ExpectedRanges, first_failure_tab
from prediction import prediction_of
from request_records import RecordCollector
from swarm import Prediction, RouterUser, connect, is_running, seconds, swarm_options
from topology_tab import TopologyPoller
from web_downloads import add_downloads
from web_tabs import add_tabs

FORM_FIELDS = {"user_count", "spawn_rate", "host", "run_time", "profile", "user_classes", "shape_class"}
"""The form's fields beside the custom parameters."""

GO_ON_S = 10.0
"""How long a run goes on after its first failure, under the web page: until its charts have shown it."""

CONNECT_TIMEOUT_S = 2.0
START_ROUTER = "start python router.py (in the project's folder) first"


def extend(environment: Environment, first_failures: FirstFailures, collector: RecordCollector) -> None:
    """Adds tabs, downloads and the checks of the form, before the page is served."""
    web_ui, fired = cast(Any, environment.web_ui), cast(Any, environment.events)
    require_free_port(web_ui.host, web_ui.port)
    # The form's defaults: Locust reads them off a parser made anew for each load of the page.
    defaults = {"stop_at_first_failure": True, "go_on": GO_ON_S}
    fired.init_command_line_parser.add_listener(lambda parser, **_: parser.set_defaults(**defaults))
    poller, ranges = TopologyPoller(swarm_options(environment)), ExpectedRanges(first_failures.runs)
    connect(environment, poller)

    def refresh(polling: bool) -> None:
        poller.refresh(polling)
        first_failures.note_topology(poller.topology())
        ranges.refresh(polling)

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
            seconds(request.form.get("go_on", str(options.go_on)))
            require_addresses(environment)
            options.prediction = prediction_of_form(options)
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


def require_addresses(environment: Environment) -> None:
    """Raises ArgumentTypeError for addresses that are none, and, at the start of a run, where nothing answers there."""
    options, runner = swarm_options(environment), environment.runner
    host = host_address(request.form.get("host", environment.host or RouterUser.host))
    admin = admin_address(request.form.get("admin", options.admin))
    if is_running(environment) or (isinstance(runner, MasterRunner) and not options.processes):
        return  # users go on meanwhile, or are elsewhere: where they send may be out of reach from here
    require_listener(host)
    try:
        if admin:
            get_topology(admin)
    except AdminError as error:
        remedy = f"{START_ROUTER}, or correct Admin under Custom parameters (empty: the router has none)"
        raise ArgumentTypeError(f"no loads from {admin}: {error}: {remedy}") from None


def require_listener(host: str) -> None:
    """Raises ArgumentTypeError, with the remedy, where nothing takes connections at this address."""
    parts = urlsplit(host)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=CONNECT_TIMEOUT_S).close()
    except ConnectionRefusedError:
        raise ArgumentTypeError(f"nothing listens on {host}: {START_ROUTER}, or correct Host") from None
    except OSError as error:
        reason = error.strerror or error
        raise ArgumentTypeError(f"no connection to {host}: {reason}: {START_ROUTER}, or correct Host") from None


def require_offered_options(options: Namespace) -> None:
    """Raises ArgumentTypeError for an option that is not on the page: Locust would take any, as the names of files."""
    offered = FORM_FIELDS | ui_extra_args_dict().keys()
    if others := sorted((request.form.keys() & vars(options).keys()) - offered):
        raise ArgumentTypeError(f"{', '.join(others)}: not to be set on this page, but on the command line")


def prediction_of_form(options: Namespace) -> Prediction:
    """Returns the request of the files that the form names, as they are now. Raises ArgumentTypeError."""
    shown = {option: getattr(options, option) or "" for option in ("server", "payload")}
    given = {option: request.form.get(option, name).strip() for option, name in shown.items()}
    for option, name in given.items():
        if name and name != shown[option] and not is_opened_by_address():
            raise ArgumentTypeError(
                f"a {option} file can be named on this page only, opened by address or as localhost"
            )
    return prediction_of(**given)


def is_opened_by_address() -> bool:
    """Returns whether the page was opened by address or as localhost: a site may point a name of its own here."""
    host = urlsplit(f"//{request.host}").hostname or ""
    with contextlib.suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host) is not None
    return False
