"""What predictors are sent where no client says what: for its GET, and to see whether they answer."""

from pathlib import Path

from routing.upstream.client import Request
from server_file import Server

SAMPLE = Path(__file__).resolve().parents[1] / "predictors" / "sample.json"


def sample_request(server: Server) -> Request:
    """Returns the server file's payload, or where it names none a GET; for the rig's own predictors their sample."""
    if server.file is None and server.payload is None:
        return Request(SAMPLE.read_bytes(), {"Content-Type": "application/json"})
    if server.payload is None:
        return Request(b"", {}, "GET")
    return Request(server.payload, {"Content-Type": server.content_type})
