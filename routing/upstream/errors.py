"""Why a predictor gave no usable response: one exception class per kind of failure."""

from http import HTTPStatus
from typing import ClassVar


class UpstreamError(Exception):
    """The predictor gave no usable response."""

    gone: ClassVar[bool] = False
    """Whether, as far as one can tell, no process is there."""
    loading = False
    """Whether it runs and says that it cannot serve yet."""


class ConnectionRefused(UpstreamError):  # noqa: N818  # named as the event it is
    """Nothing listens on the predictor's port: never sent."""

    gone = True


class NoConnection(UpstreamError):  # noqa: N818
    """No connection within the connect timeout, or no way there: never sent."""

    gone = True


class OutOfSockets(UpstreamError):  # noqa: N818
    """The router itself has no socket left: never sent, and not the predictor's fault."""


class ConnectionClosed(UpstreamError):  # noqa: N818
    """The connection was reset or closed before a response."""


class ResetBeforeRead(ConnectionClosed):
    """The connection was reset: as far as one can tell, what was sent lay unread when the predictor ended."""


class UnusableResponse(UpstreamError):  # noqa: N818
    """The response is cut short, too large, contradicts itself or is not HTTP."""


class HealthCheckFailed(UpstreamError):  # noqa: N818
    """The health check was answered with another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"health check answered {status} to GET /health")
        self.loading = status == HTTPStatus.SERVICE_UNAVAILABLE
