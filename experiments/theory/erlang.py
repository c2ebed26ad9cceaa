"""Erlang B: the share of requests that a loss system refuses, and its inverse; the same for servers that queue."""

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
    return refused_share(slots, erlangs)


def refused_share(slots: int, erlangs: float, most_at_once: float = math.inf) -> float:
    """The share that is refused where no more than `most_at_once` of the requests in flight are served at full speed.

    Others wait inside: what is done per service time never exceeds `most_at_once`, and a request that finds all slots
    held is refused. It is the birth-death chain of the M/M/c/K queue (L. Kleinrock, "Queueing Systems", 1975, section
    3.6), here by `erlang_b`'s recursion with min(k, most_at_once) in place of k; without a bound it is Erlang B.

    Raises:
        ValueError: `slots` is no whole number from 0, `erlangs` is negative or not finite, or `most_at_once` is not
            above 0.
    """
    require(is_count(slots, fewest=0), "slots", slots, "a whole number from 0")
    require(0 <= erlangs < math.inf, "erlangs", erlangs, "0 or more, finite")
    require(most_at_once > 0, "most_at_once", most_at_once, "above 0")
    blocking = 1.0
    for k in range(1, slots + 1):
        blocking = erlangs * blocking / (min(k, most_at_once) + erlangs * blocking)
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
