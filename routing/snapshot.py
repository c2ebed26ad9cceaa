"""The state of a topology as JSON objects: the body of GET /topology. Reading it changes nothing."""

import time
from collections.abc import Mapping
from typing import Any

from routing.balancer import Balancer
from routing.counters import REASONS
from routing.topology import Topology


def snapshot(topology: Topology, balancer: Balancer, refused: Mapping[str, int], since_s: float) -> dict[str, Any]:
    """Returns the whole state; `since_s` is when the topology came into service, in epoch seconds.

    `topology`, `file`, `since` (epoch seconds), `predictors` (by name, in file order), `refused` (by reason) and
    `events` (oldest first: time in epoch seconds, event, predictor, reason).
    """
    offset_s = time.time() - time.monotonic()
    return {
        "topology": topology.name,
        "file": str(topology.path),
        "since": round(since_s, 3),
        "predictors": {name: _predictor(topology, balancer, name) for name in balancer.predictors},
        "refused": {reason: refused.get(reason, 0) for reason in REASONS},
        "events": [
            {"time": round(time_s + offset_s, 6), "event": event, "predictor": predictor, "reason": reason}
            for time_s, event, predictor, reason in balancer.events
        ],
    }


def _predictor(topology: Topology, balancer: Balancer, name: str) -> dict[str, Any]:
    predictor = balancer.predictors[name]
    entry = predictor.entry
    return {
        "status": predictor.in_rotation,
        "load": predictor.load,
        "port": topology.document[name]["port"],
        "host": entry.host,
        "region": entry.region,
        "capacity": entry.capacity,
        "role": entry.role.value,
        "state": predictor.state,
        "up": predictor.up,
        "served": predictor.served,
        "failed": predictor.failed,
        "peak_load": predictor.peak_load,
    }
