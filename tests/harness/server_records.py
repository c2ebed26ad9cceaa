"""What settings keep of a user's own server: one that serves its slots side by side, and one that queues."""

from dataclasses import replace

from experiments.results.records import PreflightFigures, ServerRecord

SERVER = ServerRecord(
    file="fastapi.json",
    command=["uvicorn", "app:app", "--port", "{port}"],
    path="/score",
    health="/healthz",
    payload_bytes=31,
    payload_sha256="0" * 64,
    headers=["Authorization"],
    capacity=None,
    preflight=PreflightFigures(
        predictor="predict1",
        ready_after_s=2.5,
        service_time_s=0.2,
        fastest_s=0.19,
        slowest_s=0.22,
        asked_alone=15,
        at_once=10,
        latency_at_once_s=0.21,
        asked_at_once=50,
        good_at_once=50,
    ),
)
QUEUEING = replace(SERVER, file="litserve.json", preflight=replace(SERVER.preflight, latency_at_once_s=2.1))
WHY = "10 at once take 2.1 s, one 0.2 s: it queues, so the loss model does not apply"
"""Why theory says nothing about that."""
