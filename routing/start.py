"""How a router's process begins: its options are read and its sockets listen before it loads its libraries.

Whoever connects meanwhile waits in the kernel's queue. Imports what that needs, and nothing that is not the standard
library's: each import keeps those who connect from being heard.
"""

import argparse
import os
import socket
import sys
from typing import NamedTuple

from routing.options import listeners, parse_arguments
from routing.supervision import Supervision
from serving.sockets import Listener, bind, inherited, require_address, require_loopback

LAST_STREAM = 2
"""The descriptor of stderr."""


class Start(NamedTuple):
    """What a router has begun with."""

    options: argparse.Namespace
    public: Listener
    admin: Listener
    public_socket: socket.socket
    """That of `public`."""
    supervision: Supervision | None
    """None: this router runs alone."""


def begin() -> Start:
    """Reads the command line, and listens on both ports or inherits them; raises UsageError.

    With --supervise this process becomes the supervisor, whose children begin here again; SystemExit at its end.
    """
    _open_closed_streams()
    supervision = Supervision.from_environment()
    options = parse_arguments(sys.argv[1:])
    public_socket, admin_socket = open_sockets(options, supervision)  # before anything is logged or changed
    if options.supervise and supervision is None:
        from routing import supervisor

        sys.exit(supervisor.run([public_socket, admin_socket], options.log_format))
    public, admin = (listener for _, listener in listeners(options))
    return Start(options, public, admin._replace(bound=admin_socket), public_socket, supervision)


def _open_closed_streams() -> None:
    """Has stdin, stdout or stderr lead nowhere where it was closed: else a socket would come to stand in its place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= LAST_STREAM:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def open_sockets(options: argparse.Namespace, supervision: Supervision | None) -> list[socket.socket]:
    """Returns the public and the admin socket, both listening; raises UsageError."""
    named = listeners(options)
    sockets = inherited(named)
    if not sockets:
        return [bind(listener) for _, listener in named]
    if supervision is not None:  # a host name that has another address now, or none, is no reason not to take over
        return sockets
    public, admin = sockets
    require_address(public, options.host, options.port, "--port")
    require_address(admin, None, options.admin_port, "--admin-port")
    require_loopback(admin, "board and admin port")
    return sockets
