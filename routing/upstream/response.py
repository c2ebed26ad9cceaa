"""A predictor's response as it arrives: parsed by llhttp (geventhttpclient's), bounded, validated. No sockets here."""

import json
import re
from typing import NamedTuple

from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from routing.upstream.errors import UnusableResponse

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_FRAMING_BYTES = 128 * 1024
"""A response's most bytes beside its body: status lines, headers, chunk sizes (about 18,000 chunks) and trailers."""

PASSED_ON = ("Content-Type", "Content-Encoding", "Retry-After", "Allow")
"""The headers of a predictor's response that its client gets; all others end at the router."""

FRAMING = frozenset({"Content-Length", "Transfer-Encoding"})
KEPT = {name.lower(): name for name in (*PASSED_ON, *FRAMING)}
LENGTH = re.compile(r"[0-9]{1,18}")
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
FIRST_FINAL = 200
INTERIM = (100, 102, 103)
NO_BODY = (204, 304)


class Response(NamedTuple):
    """A predictor's whole response, and who gave it."""

    status: int
    headers: dict[str, str]
    body: bytes
    predictor: str


class _SurplusError(Exception):
    """More bytes follow the whole response: they are nobody's."""


class ResponseParser(HTTPResponseParser):
    """Takes a response's bytes, in any pieces; interim responses (1xx) before it are passed over."""

    begun = False
    """Whether any byte has come."""
    complete = False
    """Whether the response is whole."""
    keep_alive = False
    """Whether the connection, after this response, can carry another request."""
    _status = 0  # stays 0 until the final response's headers are in
    _interim = INTERIM[0]  # until another one comes
    _name = _value = ""
    _in_value = False
    _received = 0

    def __init__(self) -> None:
        super().__init__()
        self._headers: dict[str, list[str]] = {}
        self._body = bytearray()

    def parse(self, data: bytes) -> None:
        """Parses what has arrived; b"" says that the connection has ended. Raises UnusableResponse."""
        if not self.begun and data[:1] not in (b"H", b""):
            raise UnusableResponse("the answer is not HTTP")  # llhttp knows other protocols too
        self.begun = True
        self._received += len(data)
        try:
            self.feed(data)
        except (HTTPParseError, _SurplusError) as error:
            self.keep_alive = False
            if not self.complete:
                fault = "is not valid HTTP" if data else "was cut short"
                raise UnusableResponse(f"the answer {fault}: {error.args[0]}") from error
        if not self.complete:
            self._check_bounds(ended=not data)

    def response(self, predictor: str) -> Response:
        """Returns the whole response of this predictor; raises UnusableResponse where it cannot be passed on."""
        body = bytes(self._body)
        if len(body) > MAX_RESPONSE_BYTES:
            raise UnusableResponse(f"the answer is larger than {MAX_RESPONSE_BYTES} bytes")
        if not self._is_framed() and not _is_json(body):
            raise UnusableResponse("the answer has no length and does not end as JSON does")
        headers = {name: ", ".join(values) for name, values in self._headers.items() if name not in FRAMING}
        if UNSENDABLE.search("".join(headers.values())):
            raise UnusableResponse("the answer's headers hold control characters")
        return Response(self._status, headers, body, predictor)

    def _check_bounds(self, ended: bool) -> None:
        if not self._status and (ended or self._interim not in INTERIM):
            raise UnusableResponse(f"the answer is only {self._interim}")
        if len(self._body) > MAX_RESPONSE_BYTES:
            self._body = bytearray()  # the error's traceback would keep it
            raise UnusableResponse(f"the answer is larger than {MAX_RESPONSE_BYTES} bytes")
        if self._received - len(self._body) > MAX_FRAMING_BYTES:
            raise UnusableResponse(f"the answer has more than {MAX_FRAMING_BYTES} bytes beside its body")

    def _is_framed(self) -> bool:
        """Whether the response says its own length; raises UnusableResponse where it says two (RFC 9112, 6.3)."""
        lengths = self._headers.get("Content-Length", ())
        codings = [value.strip().lower() for value in self._headers.get("Transfer-Encoding", ())]
        if len(lengths) > 1 or (lengths and (codings or not LENGTH.fullmatch(lengths[0].strip()))):
            raise UnusableResponse("the answer gives contradictory lengths")
        if codings and codings != ["chunked"]:
            raise UnusableResponse(f"the answer has an unknown transfer coding {codings[0][:40]!r}")
        return bool(lengths or codings) or self._status in NO_BODY

    # What llhttp calls as it goes through the bytes

    def _on_message_begin(self) -> None:
        if self.complete:
            raise _SurplusError

    def _on_status(self, _: str) -> None:
        pass

    def _on_header_field(self, text: str) -> None:
        if self._in_value:
            self._store_header()
            self._in_value, self._name = False, text
        else:
            self._name += text

    def _on_header_value(self, text: str) -> None:
        self._value = self._value + text if self._in_value else text
        self._in_value = True

    def _on_headers_complete(self) -> None:
        self._store_header()
        self._in_value, self._name = False, ""
        status = self.get_code()
        if status >= FIRST_FINAL:
            self._status = status
        else:
            self._interim = status
            self._headers.clear()

    def _on_body(self, data: bytearray) -> None:
        if self._status:
            self._body += data

    def _on_message_complete(self) -> None:
        if self._status:
            self.complete = True
            self.keep_alive = self.should_keep_alive()

    def _store_header(self) -> None:
        name = KEPT.get(self._name.lower())
        if name is not None and not self._status:  # once the status stands, what comes are trailers
            self._headers.setdefault(name, []).append(self._value)
        self._value = ""


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
