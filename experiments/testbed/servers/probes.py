"""Asks a server directly, not by way of the router: is it well, does it predict, does its port refuse, is it silent."""

import errno
import http.client
import socket
import time
from collections.abc import Mapping
from typing import NamedTuple

from server_file import Server

BODY_BYTES = 400
"""So much of an answer is kept, to be shown."""

POLL_EVERY_S = 0.02
CONNECT_WITHIN_S = 0.25


class Outcome(NamedTuple):
    """What came of one request."""

    status: int | None
    """HTTP status; None: no answer came, or where a connection was asked for, there was none."""
    said: str
    """The same in words, as "answers 404 Not Found"."""
    body: bytes = b""
    """The first BODY_BYTES of its body."""
    predictor: str = ""
    """Who answered, by its X-Predictor; empty: it does not say."""

    @property
    def is_good(self) -> bool:
        """Whether it is 2xx, by which the router goes too."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_refused(self) -> bool:
        """Whether nobody listens there."""
        return self.said == REFUSED


REFUSED = "is refused"
CONNECTED = Outcome(200, "is accepted")


def check_health(server: Server, host: str, port: int, timeout_s: float) -> Outcome:
    """Asks for health as the router does: GET of its path, or a connection. Raises JsonFileError for its headers."""
    if server.health is not None:
        return ask(host, port, "GET", server.health, None, server.header_values(), timeout_s)
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError as error:
        return Outcome(None, _in_words(error, timeout_s))
    return CONNECTED


def predict(server: Server, host: str, port: int, timeout_s: float) -> Outcome:
    """Asks for a prediction as every load does: POST of the payload, or GET. Raises JsonFileError for its headers."""
    method, headers = method_of(server), server.header_values()
    if server.payload is not None:
        headers = {"Content-Type": server.content_type, **headers}
    return ask(host, port, method, server.path, server.payload, headers, timeout_s)


def method_of(server: Server) -> str:
    """Returns how predictions are asked for."""
    return "GET" if server.payload is None else "POST"


def ask(
    host: str, port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout_s: float
) -> Outcome:
    """Sends one request on a connection of its own, and reads the whole answer; a redirect is not followed."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return Outcome(None, _in_words(error, timeout_s))
    finally:
        connection.close()
    reason = http.client.responses.get(response.status, "")
    said, predictor = f"answers {response.status} {reason}".rstrip(), response.headers.get("X-Predictor", "")
    return Outcome(response.status, said, body[:BODY_BYTES], predictor)


def on_one_line(body: bytes, most: int) -> str:
    """Returns the first characters of an answer, without line breaks; what is no text is `?`."""
    text = " ".join(body.decode("utf-8", "replace").split())
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= most else f"{printable[:most]}..."


def port_refuses(host: str, port: int, within_s: float) -> bool:
    """Returns whether the port refuses connections, `within_s` from now at the latest: nobody listens there."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection((host, port), CONNECT_WITHIN_S).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            pass  # it is just being closed, or silent, or there is no way to its host
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_EVERY_S)


def connects_to_nobody(host: str, port: int, for_s: float) -> bool:
    """Returns whether a connection is neither taken nor refused for that long: the host is not there."""
    try:
        socket.create_connection((host, port), for_s).close()
    except TimeoutError:
        return True
    except OSError as error:
        return error.errno == errno.EHOSTUNREACH  # nobody has said so: it has not answered who it is
    return False


def health_is_silent(server: Server, host: str, port: int, for_s: float) -> bool:
    """Returns whether a health check gets no answer for that long, though a connection may be taken.

    Without a path for health a prediction is asked for. A port that refuses is not silent.
    """
    asked = check_health if server.health is not None else predict
    outcome = asked(server, host, port, for_s)
    return outcome.status is None and not outcome.is_refused


def _in_words(error: Exception, timeout_s: float) -> str:
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, TimeoutError):
        return f"gets no answer within {timeout_s:g} s"
    return f"gets no answer ({str(error) or type(error).__name__})"
