"""How a router's process begins: its options are read and its sockets listen before it loads its libraries.

Whoever connects meanwhile waits in the kernel's queue. Imports the standard library alone.
"""

import argparse
import socket
import sys
from pathlib import Path
from typing import NamedTuple

from routing import logs
from routing.options import listeners, parse_arguments, selected_server
from server_file import Server
from serving.sockets import Listener, bind, inherited, require_address, require_loopback

ROOT = Path(__file__).resolve().parents[1]


class Start(NamedTuple):
    """What a router has begun with."""

    options: argparse.Namespace
    server: Server
    public: Listener
    admin: Listener
    public_socket: socket.socket
    """That of `public`."""


def begin() -> Start:
    """Reads the command line, and listens on both ports or inherits them; raises UsageError."""
    options = parse_arguments(sys.argv[1:])
    server = selected_server(options.server, ROOT / "servers")
    logs.set_up(options.log_format)
    public_socket, admin_socket = open_sockets(options)  # before anything is logged or changed
    public, admin = (listener for _, listener in listeners(options))
    return Start(options, server, public, admin._replace(bound=admin_socket), public_socket)


def open_sockets(options: argparse.Namespace) -> list[socket.socket]:
    """Returns the public and the admin socket, both listening; raises UsageError."""
    named = listeners(options)
    sockets = inherited(named)
    if not sockets:
        return [bind(listener) for _, listener in named]
    public, admin = sockets
    require_address(public, options.host, options.port, "--port")
    require_address(admin, None, options.admin_port, "--admin-port")
    require_loopback(admin, "board and admin port")
    return sockets
