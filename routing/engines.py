"""The engines that there are, by their names on the command line."""

import socket
from functools import partial
from typing import Any

from routing.engine import Opener
from routing.flask_engine import FlaskEngine
from routing.haproxy.engine import FrontendConfig, HAProxyEngine
from routing.haproxy.process import find_haproxy
from serving.request import BODY_TIMEOUT_S


def opener(name: str, public: socket.socket, body_limit_bytes: int, life: int | None = None) -> Opener[Any]:
    """Returns what opens the engine of this name; raises UsageError where its program is missing.

    HAProxy accepts on `public` itself, one child after the other; for Flask this process does. It ends at the end of
    file of the pipe `life`: with the supervisor (None: with this process), whichever router follows this one.
    """
    if name == FlaskEngine.name:
        return FlaskEngine.open
    program = find_haproxy()
    common = FrontendConfig(program.path, program.version, public, body_limit_bytes, BODY_TIMEOUT_S, life)
    return partial(HAProxyEngine.open, common)
