"""The router's state as its admin port tells it, and what of it is shown; when to ask is the callers' matter."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlsplit

import gevent
import requests

ADMIN_TIMEOUT_S = 2.0


class RouterSilentError(Exception):
    """The admin address gave no topology; the text says why, in a few words."""


def admin_address(text: str) -> str:
    """Check --admin; argparse.ArgumentTypeError says what is accepted."""
    try:
        parts = urlsplit(text)
        accepted = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        accepted = False
    if not accepted:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as http://127.0.0.1:8001")
    return text


def ask_router(admin: str) -> dict[str, Any]:
    """The JSON of GET /topology, an object with an object "predictors" in it. Raises RouterSilentError."""
    try:
        with gevent.Timeout(ADMIN_TIMEOUT_S, requests.Timeout()), requests.Session() as session:
            session.trust_env = False  # no proxy of the environment between here and the router
            answer = session.get(f"{admin.rstrip('/')}/topology", timeout=ADMIN_TIMEOUT_S)
            answer.raise_for_status()
            return checked_state(answer.json())
    except requests.Timeout:
        raise RouterSilentError(f"no answer within {ADMIN_TIMEOUT_S:g} s") from None
    except requests.HTTPError as error:
        raise RouterSilentError(f"it answers {error.response.status_code}") from None
    except requests.ConnectionError:
        raise RouterSilentError("nothing serves there") from None
    except (requests.RequestException, ValueError, TypeError, RecursionError):
        raise RouterSilentError("its answer is no topology") from None


def checked_state(state: Any) -> dict[str, Any]:
    """`state` where it is an object with an object of predictors; TypeError where it is something else."""
    if not isinstance(state, dict) or not isinstance(state.get("predictors"), dict):
        raise TypeError("not a topology")
    return state


def topology_name(state: dict[str, Any]) -> str | None:
    """The topology's name; None where the state has none."""
    name = state.get("topology")
    return one_line(name) if isinstance(name, str) else None


def predictors_in(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The predictors by name, in the topology's order, without what is no object."""
    return {name: told for name, told in state["predictors"].items() if isinstance(told, dict)}


def loads_in(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is noted of every predictor at a first failure; a missing figure is None."""
    keys = ("load", "peak_load", "capacity", "status")
    return {name: {key: told.get(key) for key in keys} for name, told in predictors_in(state).items()}


def describe_loads(loads: dict[str, dict[str, Any]]) -> str:
    """Every predictor's load and capacity, as in "predict1 10/10, predict2 9/10"."""
    shown = (f"{name} {figures.get('load')}/{figures.get('capacity')}" for name, figures in loads.items())
    return ", ".join(map(one_line, shown))


def one_line(text: str) -> str:
    """`text` from the network, fit for a log line or a cell: no line breaks, at most 80 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:80]
