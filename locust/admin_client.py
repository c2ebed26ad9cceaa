"""The client of the router's admin port: GET /topology, and what is read from its answer."""

import argparse
from typing import Any
from urllib.parse import urlsplit

import gevent
import requests

from swarm import one_line

ADMIN_TIMEOUT_S = 2.0

SLOT_EVENTS = {"ejected", "failed", "readmitted", "recovered", "drained", "ready", "started", "ended", "topology"}
"""The router's events after which there are more or fewer slots than before; a promotion is none of them."""


class AdminError(Exception):
    """The admin address gave no topology; its message is the reason, in a few words."""


def admin_address(text: str) -> str:
    """Returns the value of --admin; "" is a router without one. Raises argparse.ArgumentTypeError."""
    return http_address(text, "http://127.0.0.1:8001") if text else text


def host_address(text: str) -> str:
    """Returns the value of --host. Raises argparse.ArgumentTypeError."""
    return http_address(text, "http://127.0.0.1:8000")


def http_address(text: str, example: str) -> str:
    """Returns `text`. Raises argparse.ArgumentTypeError for what is no HTTP address."""
    try:
        parts = urlsplit(text)
        accepted = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        accepted = False
    if not accepted:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as {example}")
    return text


def get_topology(admin: str) -> dict[str, Any]:
    """Returns the JSON of GET /topology, an object with an object "predictors" in it. Raises AdminError."""
    if not admin:
        raise AdminError("no address is given")
    try:
        with gevent.Timeout(ADMIN_TIMEOUT_S, requests.Timeout()), requests.Session() as session:
            session.trust_env = False  # no proxy of the environment between here and the router
            response = session.get(f"{admin.rstrip('/')}/topology", timeout=ADMIN_TIMEOUT_S)
            response.raise_for_status()
            return validate_state(response.json())
    except requests.Timeout:
        raise AdminError(f"no answer within {ADMIN_TIMEOUT_S:g} s") from None
    except requests.HTTPError as error:
        raise AdminError(f"it answers {error.response.status_code}") from None
    except requests.ConnectionError:
        raise AdminError("nothing serves there") from None
    except (requests.RequestException, ValueError, TypeError, RecursionError):
        raise AdminError("its answer is no topology") from None


def validate_state(state: Any) -> dict[str, Any]:
    """Returns `state`. Raises TypeError where it is no object with an object of predictors."""
    if not isinstance(state, dict) or not isinstance(state.get("predictors"), dict):
        raise TypeError("not a topology")
    return state


def topology_name(state: dict[str, Any]) -> str | None:
    """Returns the topology's name; None where the state has none."""
    name = state.get("topology")
    return one_line(name) if isinstance(name, str) else None


def predictors_in(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the predictors by name, in the topology's order, without what is no object."""
    return {name: entry for name, entry in state["predictors"].items() if isinstance(entry, dict)}


def loads_in(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns what a first failure records of every predictor; a missing figure is None."""
    keys = ("load", "peak_load", "capacity", "status", "state")
    return {name: {key: entry.get(key) for key in keys} for name, entry in predictors_in(state).items()}


def describe_loads(loads: dict[str, dict[str, Any]]) -> str:
    """Returns every predictor's load, capacity and state, as in "predict1 10/10 serving, predict3 0/10 down"."""
    texts = (
        f"{name} {figures.get('load')}/{figures.get('capacity')} {figures.get('state') or ''}"
        for name, figures in loads.items()
    )
    return ", ".join(map(one_line, texts))


def slots_in(loads: dict[str, dict[str, Any]]) -> int:
    """Returns the slots that the topology had: the capacities of those that serve, or could be promoted at once."""
    usable = (figures for figures in loads.values() if figures["status"] is True or figures["state"] == "standby")
    return sum(figures["capacity"] for figures in usable if isinstance(figures["capacity"], int))


def changes_since(state: dict[str, Any], started_s: float) -> str:
    """Returns what changed the slots since (epoch seconds), as in "predict1 ejected, topology"; "" where nothing did."""
    events = state.get("events")
    own = [event for event in (events if isinstance(events, list) else ()) if isinstance(event, dict)]
    recent = [event for event in own if isinstance(event.get("time"), (int, float)) and event["time"] >= started_s]
    changes = [event for event in recent if str(event.get("event")) in SLOT_EVENTS]
    return one_line(", ".join(f"{event.get('predictor')} {event['event']}".strip() for event in changes))
