"""JSON over HTTP with programs of this machine: admin ports, and the rig's own predictors."""

import http.client
import json
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any

from cli import CommandError

HTTP_TIMEOUT_S = 2.0

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Reaches this machine without a proxy."""


def get_json(url: str) -> dict[str, Any] | None:
    """Gets a JSON object from this machine; None when it does not answer with one in HTTP_TIMEOUT_S."""
    try:
        with _direct.open(url, timeout=HTTP_TIMEOUT_S) as answer:
            document = json.load(answer)
            return document if answer.status == HTTPStatus.OK and isinstance(document, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None


def post_json(url: str, document: dict[str, Any]) -> None:
    """Posts a JSON object to this machine. Raises CommandError unless it is answered with 200."""
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})  # noqa: S310
    try:
        _direct.open(request, timeout=HTTP_TIMEOUT_S).close()
    except urllib.error.HTTPError as refused:
        refused.close()  # it is the answer, too, and would keep its connection open for as long as the error is known
        raise CommandError(f"{url}: {refused}") from refused
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"{url}: {error}") from error
