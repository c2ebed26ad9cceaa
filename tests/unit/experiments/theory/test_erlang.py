"""Refused shares, beside scipy's Poisson distribution and birth-death chains summed in logarithms."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from experiments.theory.erlang import erlang_b, erlangs_at_blocking, refused_share
from tests.unit.experiments.theory.birth_and_death import by_birth_and_death, by_poisson

SLOTS = (1, 2, 10, 31, 300, 5_000)
ERLANGS = (1e-6, 0.3, 1.0, 8.6, 29.9, 300.0, 6_000.0)


@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("erlangs", ERLANGS)
def test_erlang_b_is_a_poisson_variable_at_its_greatest(slots: int, erlangs: float) -> None:
    """To a relative 1e-9, from one refused in 1e300 to nearly all."""
    assert erlang_b(slots, erlangs) == pytest.approx(by_poisson(slots, erlangs), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("most_at_once", [0.4, 1.0, 2.5, 8.6, 8.6 * (1 + 1e-12), 10, 29.3, 299.0])
@pytest.mark.parametrize(("slots", "erlangs"), [(1, 0.5), (10, 8.6), (30, 8.6), (30, 45.0), (300, 299.0), (900, 8.6)])
def test_refused_share_with_waiting_is_that_of_the_chain(slots: int, erlangs: float, most_at_once: float) -> None:
    """Where as much is offered as is served, too, and beside that: there a geometric series is no quotient."""
    expected = by_birth_and_death(slots, erlangs, most_at_once)
    assert refused_share(slots, erlangs, most_at_once) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("most_at_once", [10.0, 11.0, math.inf])
def test_refused_share_of_slots_that_all_serve_is_erlang_b(most_at_once: float) -> None:
    """A bound that is not below the slots binds nothing."""
    assert refused_share(10, 8.6, most_at_once) == erlang_b(10, 8.6)


def test_refused_share_grows_as_fewer_are_served_at_once() -> None:
    """From none to all of the slots, in steps of less than one."""
    shares = [refused_share(20, 8.6, most_at_once) for most_at_once in np.arange(0.1, 20.0, 0.1)]
    assert all(more > less for more, less in pairwise(shares))


def test_refused_share_at_the_ends_is_none_or_all() -> None:
    """Without slots all is refused, without requests none, and next to none where e^700 times as much is served."""
    assert refused_share(0, 8.6) == 1
    assert refused_share(10, 0.0) == refused_share(10, 0.0, 0.5) == 0
    assert refused_share(5_000, 1e-3, 1.0) == 0
    assert refused_share(10, 1e300) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("slots", [1, 10, 30, 500])
@pytest.mark.parametrize("blocking", [1e-9, 0.001, 0.01, 0.9])
def test_erlangs_at_blocking_are_refused_so(slots: int, blocking: float) -> None:
    """By the Poisson distribution."""
    assert by_poisson(slots, erlangs_at_blocking(slots, blocking)) == pytest.approx(blocking, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((-1, 1.0), "slots is -1"),
        ((1.5, 1.0), "slots is 1.5"),
        ((10, -1e-9), "erlangs is -1e-09"),
        ((10, math.inf), "erlangs is inf"),
        ((10, math.nan), "erlangs is nan"),
        ((10, 1.0, 0.0), "most_at_once is 0.0"),
    ],
)
def test_refused_share_out_of_range_names_value_and_range(arguments: tuple[float, ...], names: str) -> None:
    """In one line."""
    with pytest.raises(ValueError, match=f"^{names}; accepted: .*$"):
        refused_share(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("users", "slots", "service_s", "by_erlang", "by_engset"),
    [
        (38, 20, 1.0, 0.0011, 0.0001),
        (49, 20, 1.0, 0.0116, 0.0048),
        (61, 20, 1.0, 0.050, 0.041),
        (71, 20, 1.0, 0.103, 0.105),
        (104, 20, 1.0, 0.30, 0.35),
        (71, 60, 10.0, 0.050, 0.025),
        (93, 60, 10.0, 0.21, 0.48),
    ],
)
def test_users_who_wait_lose_less_than_erlang_b_where_little_is_refused_and_more_in_overload(
    users: int, slots: int, service_s: float, by_erlang: float, by_engset: float
) -> None:
    """The figures in docs/choosing.md, of waits of 3 s: a user finds what the others hold, each for that share."""
    busy = service_s / (service_s + 3.0)
    assert erlang_b(slots, users * busy) == pytest.approx(by_erlang, rel=0.05)
    refused = binom.pmf(slots, users - 1, busy) / binom.cdf(slots, users - 1, busy)
    assert refused == pytest.approx(by_engset, rel=0.05, abs=2e-5)
