"""Erlang B: the share of requests that a loss system refuses, and its inverse; the same for servers that queue."""

import math
from array import array
from functools import lru_cache

from experiments.theory.checks import is_count, require

MOST_EXPONENT = 700.0
"""Of e, before a number of 64 bits overflows; a share below e to the power of minus as much counts as none."""


def erlang_b(slots: int, erlangs: float) -> float:
    """The share of requests that a loss system refuses when they arrive at random (Poisson) at a fixed rate.

    `erlangs` is the offered load: arrival rate times mean service time. Erlang's B formula (A. K. Erlang,
    1917), by its recursion over the slots, B(0) = 1, B(k) = a B(k-1) / (k + a B(k-1)), which neither
    overflows nor cancels (ITU-D, Teletraffic Engineering Handbook).

    Raises:
        ValueError: `slots` is no whole number from 0, or `erlangs` is negative or not finite.
    """
    return refused_share(slots, erlangs)


def refused_share(slots: int, erlangs: float, most_at_once: float = math.inf) -> float:
    """The share that is refused where no more than `most_at_once` of the requests in flight are served at full speed.

    Others wait inside, or all share the speed: what is done per service time never exceeds `most_at_once`, and a
    request that finds all slots held is refused. This is the M/M/c/K queue, a birth-death chain (L. Kleinrock,
    "Queueing Systems", volume 1, 1975, chapter 3): B(k) = a B(k-1) / (min(k, c) + a B(k-1)). Exact for any service
    times where all share the speed, for exponential ones where they wait in turn. Without a bound it is Erlang B.

    Raises:
        ValueError: `slots` is no whole number from 0, `erlangs` is negative or not finite, or `most_at_once` is not
            above 0.
    """
    require(is_count(slots, fewest=0), "slots", slots, "a whole number from 0")
    require(0 <= erlangs < math.inf, "erlangs", erlangs, "0 or more, finite")
    require(most_at_once > 0, "most_at_once", most_at_once, "above 0")
    at_full_speed = slots if most_at_once >= slots else math.floor(most_at_once)
    blocking = _blocking(erlangs, 1 << at_full_speed.bit_length())[at_full_speed]
    if at_full_speed == slots:
        return blocking
    return _with_waiting(blocking, slots - at_full_speed, erlangs, most_at_once)


@lru_cache(maxsize=16)
def _blocking(erlangs: float, most: int) -> "array[float]":
    """B(0) to B(most), kept: who looks for a size asks for many of them."""
    blocking = 1.0
    shares = array("d", [blocking])
    for k in range(1, most + 1):
        blocking = erlangs * blocking / (k + erlangs * blocking)
        shares.append(blocking)
    return shares


def _with_waiting(blocking: float, places: int, erlangs: float, most_at_once: float) -> float:
    """The refused share with so many places to wait behind slots that refuse `blocking` without.

    The recursion's further steps at once: with r = c / a each has 1 / B(k) = 1 + r / B(k-1), a geometric series.
    """
    if erlangs == 0:
        return 0.0
    ratio = most_at_once / erlangs
    growth = places * math.log(ratio)
    if growth > MOST_EXPONENT:
        return 0.0
    series = places if ratio == 1 else math.expm1(growth) / (ratio - 1)
    return blocking / (math.exp(growth) + blocking * series)


def erlangs_at_blocking(slots: int, blocking: float) -> float:
    """The offered load, in erlangs, at which a loss system refuses the share `blocking`: `erlang_b` inverted.

    Raises:
        ValueError: `slots` is no whole number from 1, or `blocking` is not between 0 and 1.
    """
    require(is_count(slots), "slots", slots, "a whole number from 1")
    require(0 < blocking < 1, "blocking", blocking, "above 0 and below 1")
    low, high = 0.0, 1.0
    while erlang_b(slots, high) < blocking:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if erlang_b(slots, middle) < blocking else (low, middle)
    return high
