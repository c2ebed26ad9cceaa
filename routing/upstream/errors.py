"""A request to a predictor, and what can come of it: an answer, or one exception class per kind of failure."""

from typing import NamedTuple


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
