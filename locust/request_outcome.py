"""What became of a request: its status, why it failed, who answered."""

import contextlib
from http import HTTPStatus
from typing import NamedTuple

import requests
from locust.exception import CatchResponseError

from sanitize import one_line


class Outcome(NamedTuple):
    """HTTP status (0: no answer), cause of the failure ("": success), name of the predictor ("": none)."""

    status: int
    cause: str
    predictor: str


def request_outcome(exception: Exception | None, response: requests.Response) -> Outcome:
    """Returns the outcome of a request, from the arguments of Locust's `request` event.

    The cause is the router's reason, or the class of the transport error.
    """
    cause = ""
    if exception is not None:
        refused = isinstance(exception, CatchResponseError)
        cause = error_reason(response) if refused else type(exception).__name__
    return Outcome(response.status_code, cause, one_line(response.headers.get("X-Predictor", "")))


def error_reason(response: requests.Response) -> str:
    """Returns the `reason` in an error's JSON body on one line; the status phrase where there is none."""
    try:
        reason = response.json()["reason"]
    except (ValueError, LookupError, TypeError, RecursionError):
        reason = None
    if isinstance(reason, str) and reason.strip():
        return one_line(reason)
    with contextlib.suppress(ValueError):
        return HTTPStatus(response.status_code).phrase
    return "unexpected status"
