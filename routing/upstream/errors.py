"""Why a predictor gave no usable response: one exception class per kind of failure."""

from http import HTTPStatus

from routing.rotation import Found
from routing.statuses import is_busy


class UpstreamError(Exception):
    """The predictor gave no usable response."""

    found = Found.SILENT
    """What it tells of the predictor's process."""
    may_be_busy = False
    """Whether a predictor that serves well may fail a health check so, for want of time."""


class ConnectionRefused(UpstreamError):  # noqa: N818  # named as the event it is
    """Nothing listens on the predictor's port: never sent."""

    found = Found.NOTHING


class NoConnection(UpstreamError):  # noqa: N818
    """No connection within the connect timeout, or no way there: never sent."""

    found = Found.NOTHING


class OutOfSockets(UpstreamError):  # noqa: N818
    """The router itself has no socket left: never sent, and not the predictor's fault."""


class ConnectionClosed(UpstreamError):  # noqa: N818
    """The connection was reset or closed before a response."""


class ResetBeforeRead(ConnectionClosed):
    """The connection was reset: as far as one can tell, what was sent lay unread when the predictor ended."""


class UnusableResponse(UpstreamError):  # noqa: N818
    """The response is cut short, too large, contradicts itself or is not HTTP."""


class HealthCheckLate(UpstreamError):  # noqa: N818
    """The health check was not answered in time."""

    may_be_busy = True


class ProofFailed(UpstreamError):  # noqa: N818
    """The payload got no good answer, though the health check passed: as far as one can tell, a model loads."""

    found = Found.LOADING


class HealthCheckFailed(UpstreamError):  # noqa: N818
    """The health check was answered with another status than 2xx."""

    def __init__(self, status: int, path: str = "/health") -> None:
        super().__init__(f"health check answered {status} to GET {path}")
        self.found = Found.LOADING if status == HTTPStatus.SERVICE_UNAVAILABLE else Found.WRONG
        self.may_be_busy = is_busy(status)
