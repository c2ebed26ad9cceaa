"""The figures of the blog post whose rig this is, to stand beside those measured here.

Anubhav Singh, "High Availability ML Deployments", 9 October 2022.
"""

from dataclasses import dataclass

from experiments.compare.records import CompareSettings

PACE = {"spawn_rate_per_s": 1.0, "service_time_s": 1.0, "threshold": 10}
"""The settings of the post's runs."""

RPS_AT_FAILURE_PER_S = {"single": 5.2, "2active": 8.6, "3active": 7.4}
"""Topology -> the post's "RPS at failure"."""

LOAD_AFTER_TEST = {
    "2active": {"predict1": 10, "predict2": 10, "predict3": 9},
    "3active": {"predict1": 5, "predict2": 7, "predict3": 8},
}
"""Topology -> predictor -> the post's load "after the load test"."""

WHY_THEY_DIFFER = (
    "The post's rig rewrote the topology file in place for each request, so that another request could read it half "
    "written. Run again from its public code, six runs of six ended by that race, at 2 to 6 users, and none by "
    "saturation. Requests that failed never gave their place back, so its loads after a test are a leak: they stood "
    "there with no request in flight. Here the file is replaced atomically, a place is given back however a request "
    "ends, and the first failure is the first request that no predictor had a place for."
)
"""Why the post's figures and these are not measurements of the same thing."""


@dataclass(frozen=True)
class PostFigures:
    """What the blog post gives for a topology."""

    rate_at_failure_per_s: float | None
    """The post's RPS at failure."""
    loads: dict[str, int]
    """Predictor -> the post's load after its test."""


def has_same_pace(settings: CompareSettings) -> bool:
    """Whether the post's figures can stand beside these: the same pace, service time and capacity, no other input."""
    return settings.is_like_the_post and all(getattr(settings, name) == value for name, value in PACE.items())


def post_figures(topology: str, settings: CompareSettings) -> PostFigures:
    """The post's figures of a topology, where they can stand beside those of a comparison; else none."""
    if not has_same_pace(settings):
        return PostFigures(None, {})
    return PostFigures(RPS_AT_FAILURE_PER_S.get(topology), LOAD_AFTER_TEST.get(topology, {}))
