"""What the preflight of a user's own server says about the answer's inputs."""

from experiments.answer.inputs import Input
from experiments.results.records import PreflightFigures


def service_time(figures: PreflightFigures, source: str) -> Input:
    """Returns how long a prediction takes alone: the mean, which Erlang's formula needs; the median of older records.

    `source`: whose figures these are.
    """
    average, value_s = ("median", figures.service_time_s) if figures.mean_s is None else ("mean", figures.mean_s)
    return Input(value_s, "s", f"{source}: the {average} of {figures.asked_alone} predictions, one at a time")


def saturation(figures: PreflightFigures, source: str) -> Input | None:
    """Returns what it answers per second with its capacity at once, or None where it answered nothing.

    Older records have the latency alone: of bursts that begin empty, and so too short for a slow server.
    """
    if figures.answers_per_s:
        return Input(figures.answers_per_s, "answers/s", f"{source}: counted with {figures.at_once} at once")
    if not figures.latency_at_once_s:
        return None
    told = f"{source}: {figures.at_once} at once, answered in {figures.latency_at_once_s:.3g} s"
    return Input(round(figures.at_once / figures.latency_at_once_s, 4), "answers/s", told)
