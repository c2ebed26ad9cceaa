"""The router's command line. Imports little, so that a mistake is told, and a port bound, at once."""

import argparse

from cli import Parser, UsageError, port_number, positive_count, positive_seconds, seconds
from serving.sockets import Listener

ENGINES = ("flask", "haproxy")
"""The engines' names; what they are: engines.py."""

LOG_FORMATS = ("text", "json")
HOST, PORT, ADMIN_PORT = "127.0.0.1", 8000, 8001


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line; raises UsageError."""
    parser = Parser(
        prog="router.py",
        allow_abbrev=True,
        description="The router: sends each request to the least loaded predictor of the selected topology.",
        epilog="example: python router.py --topology 2active --port 8000",
    )
    add = parser.add_argument
    add("--engine", choices=ENGINES, default="flask", help="what carries the requests (default: %(default)s)")
    add("--topology", metavar="NAME|PATH", help="overrides the variable topology in router.py")
    add("--server", metavar="NAME|FILE", help="what the predictors are, where they are not the rig's own")
    add("--host", help=f"address to serve on (default: {HOST})")
    add("--port", type=port_number, help=f"public port; 0: any free one, which is told (default: {PORT})")
    add(
        "--admin-port",
        type=port_number,
        help=f"port of the admin app, loopback only; 0: any free one, which is told (default: {ADMIN_PORT})",
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
    add("--log-format", choices=LOG_FORMATS, default="text", help="json: each line a JSON object (default: text)")
    add("--supervise", action="store_true", help="keep a spare that takes over after a crash; SIGHUP upgrades")
    options = parser.parse_args(arguments)
    public, admin = (listener.port for _, listener in listeners(options))
    if public == admin != 0:
        raise UsageError(f"--port and --admin-port are both {public}: give each a port of its own")
    return options


def listeners(options: argparse.Namespace) -> list[tuple[str, Listener]]:
    """Returns the public and the admin address, each with the name by which a socket for it may be inherited."""
    public, admin = (PORT if options.port is None else options.port), options.admin_port
    return [
        ("public", Listener(options.host or HOST, public, None, "public port")),
        (
            "admin",
            Listener("127.0.0.1", ADMIN_PORT if admin is None else admin, None, "board and admin port", "--admin-port"),
        ),
    ]
