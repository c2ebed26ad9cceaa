"""The router's command line."""

import argparse
from pathlib import Path

from cli import Parser, UsageError, port_number, positive_count, positive_seconds, seconds
from routing import engines, logs
from server_file import OWN, Server, find, read


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line; raises UsageError."""
    parser = Parser(
        prog="router.py",
        allow_abbrev=True,
        description="The router: sends each request to the least loaded predictor of the selected topology.",
        epilog="example: python router.py --topology 2active --port 8000",
    )
    add = parser.add_argument
    add("--engine", choices=engines.NAMES, default="flask", help="what carries the requests (default: %(default)s)")
    add("--topology", metavar="NAME|PATH", help="overrides the variable topology in router.py")
    add("--server", metavar="NAME|FILE", help="what the predictors are, where they are not the rig's own")
    add("--host", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    add("--port", type=port_number, default=8000, help="public port; 0: any free one, which is told (default: 8000)")
    add(
        "--admin-port",
        type=port_number,
        default=8001,
        help="port of the admin app, loopback only; 0: any free one, which is told (default: %(default)s)",
    )
    add("--threshold", type=positive_count, metavar="N", help="overrides node_threshold in router.py")
    add(
        "--deadline",
        type=positive_seconds,
        default=10.0,
        metavar="S",
        help="the longest a client waits; give twice the service time, with haproxy thrice (default: %(default)g)",
    )
    add("--hold-down", type=seconds, default=5.0, metavar="S", help="calm before a standby steps back (default: 5)")
    add("--no-resend", action="store_true", help="never send a request again that may have run")
    add("--log-format", choices=logs.FORMATS, default="text", help="json: each line a JSON object (default: text)")
    options = parser.parse_args(arguments)
    if options.port == options.admin_port != 0:
        raise UsageError(f"--port and --admin-port are both {options.port}: give each a port of its own")
    return options


def selected_server(name: str | None, folder: Path) -> Server:
    """Returns what the option --server stands for, a name in `folder` or a file; raises UsageError."""
    if name is None:
        return OWN
    server = read(find(name, folder))
    server.header_values()  # a variable that is not set is found now
    return server
