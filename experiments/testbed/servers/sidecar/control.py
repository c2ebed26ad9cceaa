"""The sidecar's fault just now, and the port by which an experiment on this machine sets it.

POST /fault, as JSON: `{"added_s": 9}`, `{"fails": true}`, `{"stalls": true}`, `{"truncates": true}`,
`{"resets": true}`, `{}` to end all; GET /fault: with what it struck. The rig's own predictors take the same
(predictors/fault_control.py), slower by a factor.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 1024
MAX_ADDED_S = 3600.0


@dataclass(frozen=True)
class Fault:
    """What happens to predictions; by default nothing."""

    added_s: float = 0.0
    """Their answers come so much later."""
    fails: bool = False
    """They are answered 500, and the server does not see them."""
    stalls: bool = False
    """They wait, and the server does not see them; once the fault ends, they are answered 500."""
    truncates: bool = False
    """About half of the body of each good answer is passed on, then the connection ends."""
    resets: bool = False
    """They are read, the server does not see them, and the connection is reset."""

    @property
    def name(self) -> str:
        """By which it is counted; of several the first that a prediction meets; empty for none."""
        names = {"stall": self.stalls, "reset": self.resets, "error": self.fails, "truncated": self.truncates}
        return next((name for name, is_on in names.items() if is_on), "slow" if self.added_s else "")


NO_FAULT = Fault()
FLAGS = tuple(each.name for each in fields(Fault) if each.type is bool)
NAMES = ("slow", "error", "stall", "truncated", "reset")


class FaultSwitch:
    """The fault just now, and how many predictions each has struck."""

    def __init__(self) -> None:
        self.fault = NO_FAULT
        self.struck = dict.fromkeys(NAMES, 0)
        self.on_change: Callable[[], object] = lambda: None
        """Called, in the thread that sets it, after each change."""

    def set(self, fault: Fault) -> None:
        """Sets the fault: requests that begin from now on meet it."""
        self.fault = fault
        self.on_change()

    def strike(self) -> Fault:
        """Counts one prediction, and returns what happens to it."""
        if self.fault.name:
            self.struck[self.fault.name] += 1
        return self.fault

    def state(self) -> dict[str, Any]:
        """Returns it as GET /fault shows it."""
        return {**asdict(self.fault), "struck": dict(self.struck)}


def parse_fault(text: bytes) -> Fault:
    """Returns the fault that a document stands for. Raises ValueError, in one line."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or set(document) - {"added_s", *FLAGS}:
        known = ", ".join(f'"{name}"' for name in ("added_s", *FLAGS[:-1]))
        raise ValueError(f'give a JSON object with {known} or "{FLAGS[-1]}", or {{}} to end all faults')
    added_s = document.get("added_s", 0.0)
    for name in FLAGS:
        if not isinstance(document.get(name, False), bool):
            raise ValueError(f"{name} is {document[name]!r}: give true or false")  # noqa: TRY004  (it is a document's)
    if isinstance(added_s, bool) or not isinstance(added_s, (int, float)) or not 0 <= added_s <= MAX_ADDED_S:
        raise ValueError(f"added_s is {added_s!r}: give seconds from 0 to {MAX_ADDED_S:g}")
    return Fault(**{**document, "added_s": float(added_s)})


def serve_control(port: int, switch: FaultSwitch) -> None:
    """Serves /fault on this port of 127.0.0.1, in threads, as long as the process lives. Raises OSError."""

    class Handler(_Handler):
        faults = switch

    server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    Thread(target=server.serve_forever, name="control", daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    faults: FaultSwitch
    timeout = 5.0

    def do_GET(self) -> None:
        """Shows the fault."""
        if self.path == "/fault":
            self._answer(200, self.faults.state())
        else:
            self._answer(404, {"error": "ask for /fault"})

    def do_POST(self) -> None:
        """Sets the fault."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/fault":
            self._answer(404, {"error": "post to /fault"})
        elif self.headers.get("Origin") is not None:
            self._answer(403, {"error": "faults are not switched by web pages"})
        elif self.headers.get_content_type() != "application/json" or not length.isdecimal():
            self._answer(415, {"error": "send Content-Type: application/json, and Content-Length"})
        elif int(length) > MAX_BODY_BYTES:
            self._answer(413, {"error": f"at most {MAX_BODY_BYTES} bytes"})
        else:
            self._set(self.rfile.read(int(length)))

    def log_message(self, *_: object) -> None:
        """Nothing: the server's own log is what users look for."""

    def _set(self, body: bytes) -> None:
        try:
            self.faults.set(parse_fault(body))
        except ValueError as error:
            self._answer(400, {"error": str(error)})
        else:
            self._answer(200, self.faults.state())

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
