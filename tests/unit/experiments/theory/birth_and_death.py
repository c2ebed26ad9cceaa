"""Refused shares a second way: scipy's Poisson distribution, and a chain's states one by one, in logarithms."""

import math

import numpy as np
from scipy.special import logsumexp
from scipy.stats import poisson


def by_poisson(slots: int, erlangs: float) -> float:
    """Erlang B as the chance of so many in flight, given that there are no more."""
    logs = poisson.logpmf(np.arange(slots + 1), erlangs)
    return math.exp(logs[-1] - logsumexp(logs))


def by_birth_and_death(slots: int, erlangs: float, most_at_once: float) -> float:
    """The chance that all slots are held, of the M/M/c/K queue."""
    steps = [math.log(erlangs) - math.log(min(k, most_at_once)) for k in range(1, slots + 1)]
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    return math.exp(logs[-1] - logsumexp(logs))
