"""GET /metrics: an engine's state and counters in Prometheus' exposition format, made when it is asked for.

Names follow Prometheus' conventions (https://prometheus.io/docs/practices/naming/).
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from routing import __version__
from routing.counters import BOUNDS_S, REASONS, Counters, Histogram
from routing.engine import Engine

GAUGES: dict[str, tuple[str, Callable[[Mapping[str, Any]], float]]] = {
    "load": ("Requests in flight.", lambda predictor: predictor["load"]),
    "peak_load": ("The most requests in flight since its topology came in.", lambda predictor: predictor["peak_load"]),
    "capacity": ("The most requests in flight that it is given.", lambda predictor: predictor["capacity"]),
    "up": ("1 while it is healthy.", lambda predictor: predictor["up"]),
    "in_rotation": ("1 while it takes new requests.", lambda predictor: predictor["status"]),
    "wanted": ("1 while it is a cold standby that is to be started, until it serves.", lambda p: p["wanted"]),
    "loading": ("1 while it is a cold standby that runs and cannot serve yet.", lambda p: p["state"] == "loading"),
    "drained": ("1 while an operator keeps it out.", lambda predictor: predictor["state"] in ("draining", "drained")),
}
CHANGES = {
    "promoted": ("promotions", "Times that a standby started to take requests."),
    "demoted": ("demotions", "Times that a standby stepped back."),
    "ejected": ("ejections", "Times that it left the rotation because it failed."),
    "readmitted": ("readmissions", "Times that it came back into the rotation."),
}


class Metrics(Collector):
    """What Prometheus scrapes; the engine is read at every scrape: counting costs a request nothing but an addition."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Returns the metrics and their content type, in the format that the Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def describe(self) -> list[Metric]:
        """Returns nothing: the registry would ask the engine before it serves."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yields the router's own metrics as they stand."""
        engine = self._engine()
        state, counters = engine.snapshot(), engine.counters
        versions = {"version": __version__, "python_version": platform.python_version()}
        yield InfoMetricFamily("ha_router_build", "The router's and Python's version.", versions)
        yield InfoMetricFamily("ha_router_topology", "The topology in service.", {"topology": state["topology"]})
        yield from _predictors(state["predictors"])
        yield from _requests(counters, list(state["predictors"]))
        yield from _changes(counters, list(state["predictors"]))
        if counters.latency is not None:
            yield _latency(counters.latency)


def _predictors(predictors: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    labels = ("predictor", "role", "region", "address")
    info = GaugeMetricFamily("ha_router_predictor_info", "The topology's predictors: role by plan.", labels=labels)
    for name, predictor in predictors.items():
        address = f"{predictor['host']}:{predictor['port']}"
        info.add_metric([name, predictor["role"], predictor["region"] or "", address], 1)
    yield info
    for suffix, (meaning, value) in GAUGES.items():
        gauge = GaugeMetricFamily(f"ha_router_predictor_{suffix}", meaning, labels=["predictor"])
        for name, predictor in predictors.items():
            gauge.add_metric([name], value(predictor))
        yield gauge


def _requests(counters: Counters, names: list[str]) -> Iterator[Metric]:
    """Counters start at 0 for what is known beforehand, so that the first increase is seen as one."""
    answers = CounterMetricFamily(
        "ha_router_requests", "Requests that a predictor answered, by its status code.", labels=["predictor", "code"]
    )
    for predictor, code in sorted({*counters.answers, *((name, counters.success_code) for name in names)}):
        answers.add_metric([predictor, code], counters.answers[predictor, code])
    yield answers
    refusals = dict.fromkeys(REASONS, 0) | counters.refused
    yield _counter("refusals", "Requests that got no predictor's answer, by reason.", refusals, "reason")
    resends = dict.fromkeys(names, 0) | counters.resends
    yield _counter(
        "resends", "Requests that went on to another predictor, by the one that failed or was busy.", resends
    )


def _changes(counters: Counters, names: list[str]) -> Iterator[Metric]:
    known = {*names, *(predictor for predictor, _ in counters.events)}
    for event, (noun, meaning) in CHANGES.items():
        yield _counter(noun, meaning, {name: counters.events[name, event] for name in known})


def _counter(noun: str, meaning: str, values: Mapping[str, int], label: str = "predictor") -> Metric:
    family = CounterMetricFamily(f"ha_router_{noun}", meaning, labels=[label])
    for key in sorted(values):
        family.add_metric([key], values[key])
    return family


def _latency(latency: Histogram) -> Metric:
    bounds = [*map(str, map(float, BOUNDS_S)), "+Inf"]
    buckets = list(zip(bounds, accumulate(latency.counts), strict=True))
    meaning = "From a request's arrival to its predictor's answer; refused requests are left out."
    return HistogramMetricFamily("ha_router_request_duration_seconds", meaning, buckets, latency.sum_s)
