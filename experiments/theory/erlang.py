"""Erlang B: the share of requests that a loss system refuses, and its inverse."""

import math

from experiments.theory.checks import is_count, require


def erlang_b(slots: int, erlangs: float) -> float:
    """The share of requests that a loss system refuses when they arrive at random (Poisson) at a fixed rate.

    `erlangs` is the offered load: arrival rate times mean service time. Erlang's B formula (A. K. Erlang,
    1917), by its recursion over the slots, B(0) = 1, B(k) = a B(k-1) / (k + a B(k-1)), which neither
    overflows nor cancels (ITU-D, Teletraffic Engineering Handbook).

    Raises:
        ValueError: `slots` is no whole number from 0, or `erlangs` is negative or not finite.
    """
    require(is_count(slots, fewest=0), "slots", slots, "a whole number from 0")
    require(0 <= erlangs < math.inf, "erlangs", erlangs, "0 or more, finite")
    blocking = 1.0
    for k in range(1, slots + 1):
        blocking = erlangs * blocking / (k + erlangs * blocking)
    return blocking


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
