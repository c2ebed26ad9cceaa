"""A predictor's answer as it arrives: parsed by llhttp (geventhttpclient's), bounded, judged. No sockets here."""

import json
import re

from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from routing.upstream.errors import Answer, UnusableAnswer

MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_FRAMING_BYTES = 128 * 1024
"""An answer's most bytes beside its body: status lines, headers, chunk sizes (about 18,000 chunks) and trailers."""

PASSED_ON = ("Content-Type", "Content-Encoding", "Retry-After", "Allow")
"""The headers of a predictor's answer that its client gets; all others end at the router."""

KEPT = frozenset(name.lower() for name in (*PASSED_ON, "Content-Length", "Transfer-Encoding"))
LENGTH = re.compile(r"[0-9]{1,18}")
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
FIRST_FINAL = 200
INTERIM = (100, 102, 103)
NO_BODY = (204, 304)


class _SurplusError(Exception):
    """More bytes follow the whole answer: they are nobody's."""


class AnswerParser(HTTPResponseParser):
    """Takes an answer's bytes, in any pieces; interim answers (1xx) before it are passed over."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = False
        """Whether any byte has come."""
        self.complete = False
        """Whether the answer is whole."""
        self.connection_lasts = False
        """Whether the connection, after this answer, can carry another request."""
        self._status = 0  # stays 0 until the final answer's headers are in
        self._interim = INTERIM[0]  # until another one comes
        self._headers: dict[str, list[str]] = {}
        self._name = self._value = ""
        self._in_value = False
        self._body = bytearray()
        self._received = 0

    def take(self, data: bytes) -> None:
        """Parse what has arrived; b"" says that the connection has ended. Raises UnusableAnswer."""
        if not self.begun and data[:1] not in (b"H", b""):
            raise UnusableAnswer("the answer is not HTTP")  # llhttp knows other protocols too
        self.begun = True
        self._received += len(data)
        try:
            self.feed(data)
        except (HTTPParseError, _SurplusError) as error:
            self.connection_lasts = False
            if not self.complete:
                raise UnusableAnswer(self._complaint(data, error)) from error
        if not self.complete:
            self._check_bounds(ended=not data)

    def answer(self, predictor: str) -> Answer:
        """Return the whole answer of this predictor; raises UnusableAnswer where it cannot be passed on."""
        body = bytes(self._body)
        if len(body) > MAX_ANSWER_BYTES:
            raise UnusableAnswer(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        if not self._is_framed() and not _is_json(body):
            raise UnusableAnswer("the answer has no length and does not end as JSON does")
        headers = {name: ", ".join(self._headers[name.lower()]) for name in PASSED_ON if name.lower() in self._headers}
        if any(UNSENDABLE.search(value) for value in headers.values()):
            raise UnusableAnswer("the answer's headers hold control characters")
        return Answer(self._status, headers, body, predictor)

    def _complaint(self, data: bytes, error: Exception) -> str:
        if not data:
            return f"the answer was cut short: {error.args[0]}"
        return f"the answer is not valid HTTP: {error.args[0]}"

    def _check_bounds(self, ended: bool) -> None:
        if not self._status and (ended or self._interim not in INTERIM):
            raise UnusableAnswer(f"the answer is only {self._interim}")
        if len(self._body) > MAX_ANSWER_BYTES:
            self._body = bytearray()  # the error's traceback would keep it
            raise UnusableAnswer(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        if self._received - len(self._body) > MAX_FRAMING_BYTES:
            raise UnusableAnswer(f"the answer has more than {MAX_FRAMING_BYTES} bytes beside its body")

    def _is_framed(self) -> bool:
        """Say whether the answer tells its own length; raises UnusableAnswer where it tells two (RFC 9112, 6.3)."""
        lengths = [value.strip() for value in self._headers.get("content-length", [])]
        codings = [value.strip().lower() for value in self._headers.get("transfer-encoding", [])]
        if len(lengths) > 1 or (lengths and codings) or any(not LENGTH.fullmatch(value) for value in lengths):
            raise UnusableAnswer("the answer gives contradictory lengths")
        if codings and codings != ["chunked"]:
            raise UnusableAnswer(f"the answer has an unknown transfer coding {codings[0][:40]!r}")
        return bool(lengths or codings) or self._status in NO_BODY

    # What llhttp calls as it goes through the bytes

    def _on_message_begin(self) -> None:
        if self.complete:
            raise _SurplusError

    def _on_status(self, _: str) -> None:
        pass

    def _on_header_field(self, text: str) -> None:
        if self._in_value:
            self._keep_header()
            self._in_value, self._name = False, text
        else:
            self._name += text

    def _on_header_value(self, text: str) -> None:
        self._value = self._value + text if self._in_value else text
        self._in_value = True

    def _on_headers_complete(self) -> None:
        self._keep_header()
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
            self.connection_lasts = self.should_keep_alive()

    def _keep_header(self) -> None:
        name = self._name.lower()
        if name in KEPT and not self._status:  # once the status stands, what comes are trailers
            self._headers.setdefault(name, []).append(self._value)
        self._value = ""


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
