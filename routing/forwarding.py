"""One request to one predictor, over `requests`. Which predictor, and what a failure means, is decided elsewhere."""

import errno
import http.client
import io
import json
import re
from contextlib import closing
from typing import Any, NamedTuple, cast

import gevent
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.response import BaseHTTPResponse

from routing.topology import Entry

CONNECT_TIMEOUT_S = 0.5
MAX_ANSWER_BYTES = 16 * 1024 * 1024
PIECE_BYTES = 64 * 1024
MOST_LINES = 20_000
"""An answer's most lines, headers and chunk sizes together."""

LINES_IN_A_TURN = 200
PASSED_ON = ("Content-Type", "Content-Encoding", "Retry-After", "Allow")
"""The headers of a predictor's answer that its client gets; all others end at the router."""
LENGTH = re.compile(r"[0-9]{1,18}")
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
OWN_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)


class Request(NamedTuple):
    """What a predictor is sent: always POST /predict."""

    body: bytes
    headers: dict[str, str]


class Answer(NamedTuple):
    """A predictor's whole answer, and who gave it."""

    status: int
    headers: dict[str, str]
    body: bytes
    predictor: str


class ForwardingError(Exception):
    """The predictor gave no usable answer; `sent` says whether it may have run the request."""

    sent = True


class ConnectionRefused(ForwardingError):  # noqa: N818  # named as the event it is
    """Nothing listens on the predictor's port: never sent."""

    sent = False


class NoConnection(ForwardingError):  # noqa: N818
    """No connection within the connect timeout, or no way there: never sent."""

    sent = False


class NoDescriptor(ForwardingError):  # noqa: N818
    """The router itself has no socket left: never sent, and not the predictor's fault."""

    sent = False


class NoAnswer(ForwardingError):  # noqa: N818
    """The connection was reset or closed before an answer, or the answer did not come in time."""


class NeverRead(NoAnswer):
    """The connection was reset: as far as one can tell, what was sent lay unread when the predictor ended."""


class UnusableAnswer(ForwardingError):  # noqa: N818
    """The answer is cut short, too large, contradicts itself or is not HTTP."""


class _BoundedLines(io.BufferedReader):
    """An answer's bytes: with a bound on its lines, and turns for all others although more has always arrived."""

    lines = 0

    def readline(self, size: int | None = -1) -> bytes:
        self.lines += 1
        if self.lines > MOST_LINES:
            raise http.client.HTTPException(f"the answer has more than {MOST_LINES} lines")
        if self.lines % LINES_IN_A_TURN == 0:
            gevent.sleep(0)
        return super().readline(size)


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp: Any = _BoundedLines(cast(Any, self.fp).detach())


class _Connection(HTTPConnection):
    response_class = _BoundedResponse


class _ConnectionPool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    """The adapter of `requests`, over connections whose answers are bounded."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _ConnectionPool}


class Upstream:
    """The way to one predictor: a pool of connections that are kept open."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._pool = _Adapter(pool_connections=1, pool_maxsize=entry.capacity)

    def send(self, request: Request, fresh: bool = False) -> Answer:
        """Send the request and read the whole answer; `fresh` opens a connection for it alone.

        Never follows redirects, asks a proxy or reads .netrc. The caller bounds the time. Raises ForwardingError.
        """
        if not fresh:
            return self._exchange(self._pool, "POST", "/predict", request)
        with closing(_Adapter(pool_connections=1, pool_maxsize=1)) as adapter:
            return self._exchange(adapter, "POST", "/predict", request)

    def check_health(self) -> None:
        """Ask GET /health over a connection of its own; raises ForwardingError unless it answers 200.

        The caller bounds the time.
        """
        with closing(_Adapter(pool_connections=1, pool_maxsize=1)) as adapter:
            answer = self._exchange(adapter, "GET", "/health", Request(b"", {"Connection": "close"}))
        if answer.status != 200:
            raise UnusableAnswer(f"health check answered {answer.status}")

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _exchange(self, adapter: HTTPAdapter, method: str, path: str, request: Request) -> Answer:
        prepared = requests.PreparedRequest()
        prepared.method = method
        prepared.url = self.entry.url + path
        prepared.body = request.body
        prepared.headers = requests.structures.CaseInsensitiveDict(request.headers)
        prepared.headers["Content-Length"] = str(len(request.body))
        try:
            response = adapter.send(prepared, stream=True, timeout=(CONNECT_TIMEOUT_S, None))
        except requests.RequestException as error:
            raise _translated(error) from error
        except HTTPError as error:
            raise UnusableAnswer(str(error)) from error
        with response:
            return self._read(response)

    def _read(self, response: requests.Response) -> Answer:
        raw: BaseHTTPResponse = response.raw
        if response.status_code < 200:
            raise UnusableAnswer(f"the answer is only {response.status_code}")
        framed = _framing(raw)
        try:
            body = _whole(raw)
        except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            raise UnusableAnswer(f"the answer was cut short: {error}") from error
        if len(body) > MAX_ANSWER_BYTES:
            raw.close()
            del body  # the error's traceback would keep it
            raise UnusableAnswer(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        if raw.length_remaining:
            raise UnusableAnswer(f"the answer was cut short: {raw.length_remaining} bytes are missing")
        if not framed and not _is_json(body):
            raise UnusableAnswer("the answer has no length and does not end as JSON does")
        headers = {name: raw.headers[name] for name in PASSED_ON if name in raw.headers}
        if any(UNSENDABLE.search(value) for value in headers.values()):
            raise UnusableAnswer("the answer's headers hold control characters")
        return Answer(response.status_code, headers, body, self.entry.name)


def _whole(raw: BaseHTTPResponse) -> bytes:
    """Read piece by piece: one large read would keep every small chunk of its own until the end."""
    body = bytearray()
    while len(body) <= MAX_ANSWER_BYTES and (piece := raw.read(PIECE_BYTES, decode_content=False)):
        body += piece
    return bytes(body)


def _framing(raw: BaseHTTPResponse) -> bool:
    """Say whether the answer tells its own length; raises UnusableAnswer where it tells two (RFC 9112, 6.3)."""
    lengths = {value.strip() for value in ",".join(raw.headers.getlist("Content-Length")).split(",")} - {""}
    codings = raw.headers.getlist("Transfer-Encoding")
    if len(lengths) > 1 or (lengths and codings) or any(not LENGTH.fullmatch(value) for value in lengths):
        raise UnusableAnswer("the answer gives contradictory lengths")
    if codings and [coding.strip().lower() for coding in codings] != ["chunked"]:
        raise UnusableAnswer(f"the answer has an unknown transfer coding {codings[0][:40]!r}")
    return bool(lengths or codings) or raw.status in (204, 304)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _translated(error: requests.RequestException) -> ForwardingError:
    """Name the failure mode once, so that nobody else looks into another library's exceptions."""
    if isinstance(error, requests.ConnectTimeout):
        return NoConnection(f"no connection within {CONNECT_TIMEOUT_S:g} s")
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, NewConnectionError):
        cause = reason.__cause__ or reason.__context__
        number = cause.errno if isinstance(cause, OSError) else None
        if number == errno.ECONNREFUSED:
            return ConnectionRefused("connection refused")
        if number in OWN_LIMITS:
            return NoDescriptor(f"the router cannot open a connection: {cause}")
        return NoConnection(f"no connection: {cause or reason}")
    if _was_reset(error):
        return NeverRead("connection reset without an answer")
    return NoAnswer(f"connection ended without an answer ({type(error).__name__})")


def _was_reset(error: BaseException) -> bool:
    """Whether the system says reset, as it does where bytes lay unread; had they been read, the end is orderly."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ECONNRESET, errno.EPIPE):
            return True
        seen = next((part for part in seen.args if isinstance(part, BaseException)), None)
    return False
