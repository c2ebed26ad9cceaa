"""JSON over HTTP with the rig's own programs: what is refused is told, and no connection stays open."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import pytest

from cli import CommandError
from experiments.testbed.json_http import get_json, post_json


class Refusing(BaseHTTPRequestHandler):
    """Answers 404 to all."""

    def do_POST(self) -> None:
        """Refuses what it has read: else it would reset the connection."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_error(404)

    do_GET = do_POST  # noqa: N815  # the name that http.server calls

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """A server that refuses everything."""
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def open_to(url: str) -> int:
    """How many connections to this server the process has open."""
    port = int(url.rpartition(":")[2])
    return sum(each.raddr[1:] == (port,) for each in psutil.Process().net_connections("tcp"))


def test_post_that_is_refused_is_told_and_keeps_no_connection(url: str) -> None:
    """Though the error is still known: a socket that nobody closes is told of in whatever runs when it is found."""
    with pytest.raises(CommandError, match=f"{url}: HTTP Error 404") as raised:
        post_json(url, {})
    assert open_to(url) == 0
    assert raised.value.__cause__ is not None


def test_get_that_is_refused_is_nothing(url: str) -> None:
    """None stands for every answer that is no JSON object."""
    assert get_json(url) is None
    assert open_to(url) == 0
