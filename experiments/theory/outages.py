"""Predictors that fail and are repaired, over and over: what is refused meanwhile, by a formula and at random. No I/O.

Each is up for an exponential time, then down for a log-normal one, by itself, and has been so for long when a year
begins (an alternating renewal process in equilibrium: D. R. Cox, "Renewal Theory", 1962). What they cost: yearly.py.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from experiments.theory.simulation import Floats, Ints

YEAR_S = 365.0 * 86_400

REPAIR_SIGMA = math.sqrt(math.log(2))
"""Of the logarithm of a repair's time: its standard deviation is its mean. Log-normal, as MIL-HDBK-338B, 5.6.2.1, has
repairs that consist of several tasks."""

MOST_FAULTS, FULL_YEARS = 1_000_000, 1_000
"""So many faults are simulated at most, and years to share them at least; beyond its share a year is done in part."""

_CHUNK_FAULTS = 60_000  # no more years either: their numbers sort fast as 16 bits
_APART_S = 3 * YEAR_S  # of one year and the next, where the times of all are one axis
_LEAST_ODDS, _LEAST_LOG = 1e-300, -700.0  # as good as none; numbers that underflow take ten times as long


@dataclass(frozen=True)
class Standby:
    """A cold standby; a field may be an array, a value per year.

    While it serves it fails as often as any other, and its repair takes as long, its start included: then it serves
    again, if one is down still, or anew. It does not fail while it is off or starts.
    """

    start_s: Any
    """From a failure while all others are up until it serves."""
    start_fails: Any
    """The share of its starts that come to nothing."""

    def of(self, years: Ints) -> Self:
        """The same in some of the years, which are arrays."""
        return replace(self, start_s=self.start_s[years], start_fails=self.start_fails[years])


@dataclass(frozen=True)
class Failing:
    """So many that fail and are repaired, each by itself; a rate and a time may be arrays, a value per year."""

    count: int
    """How many."""
    rate_per_s: Any
    """Failures of one per second in which it is up."""
    repair_s: Any
    """Mean time of a repair."""
    standby: Standby | None = None
    """What stands in for one of them from its start until all are up; None where nothing does."""

    def of(self, years: Ints) -> Self:
        """The same in some of the years, which are arrays."""
        standby = self.standby and self.standby.of(years)
        return replace(self, rate_per_s=self.rate_per_s[years], repair_s=self.repair_s[years], standby=standby)

    @property
    def odds(self) -> Any:
        """Of one to be down: time down divided by time up, in the mean."""
        return self.rate_per_s * self.repair_s

    @property
    def down_share(self) -> Any:
        """The share of the time that one is down."""
        return self.odds / (1 + self.odds)

    @property
    def faults_per_year(self) -> Any:
        """Failures of all in a year, in the mean."""
        return self.count * self.rate_per_s / (1 + self.odds) * YEAR_S

    def mean_year(self, refused: Floats) -> "Year":
        """Returns the share of the load that is refused in the mean, where `refused[j]` is with j up, and the faults.

        The number down is binomial; what a standby does in that time: `_alone_shares`.
        """
        log_odds, log_all_up = np.log(np.maximum(self.odds, _LEAST_ODDS)), -self.count * np.log1p(self.odds)
        share, serves = np.zeros(()), np.zeros(())
        for down, alone in enumerate(self._alone_shares()):
            log_chance = self._log_ways(down) + down * log_odds + log_all_up
            chance = np.exp(np.maximum(log_chance, _LEAST_LOG))
            fewer, one_more = refused[self.count - down], refused[min(self.count, self.count - down + 1)]
            share = share + chance * (one_more + alone * (fewer - one_more))
            serves = serves + chance * (1 - alone)
        return Year(share, self.faults_per_year + self.rate_per_s * serves * YEAR_S)

    def _log_ways(self, down: int) -> float:
        """The logarithm of the number of ways in which so many are down: there may be a thousand."""
        return math.lgamma(self.count + 1) - math.lgamma(down + 1) - math.lgamma(self.count - down + 1)

    def _most_down(self) -> int:
        """More are down for less than 1e-25 of the time (Chernoff's bound)."""
        mean = self.count * float(np.max(self.down_share))
        return min(self.count, math.ceil(mean + 12 * math.sqrt(mean) + 40))

    def _alone_shares(self) -> list[Any]:
        """By the number down, the share of that time in which no standby serves.

        It has not started while each that is down has been so for less than a start takes; that it may serve already
        for one which is up again is left out: two failures within one start. Or it has failed.
        """
        if self.standby is None:
            return [1.0] * (self._most_down() + 1)
        slow_share = limited_mean_s(self.repair_s, self.standby.start_s) / self.repair_s
        fails, numbers = self.standby.start_fails, range(self._most_down() + 1)
        waited = [1.0, *(fails + (1 - fails) * slow_share**down for down in numbers[1:])]
        failed = self._failed_shares(waited)
        return [np.minimum(1.0, own + also) for own, also in zip(waited, failed, strict=True)]

    def _failed_shares(self, waited: Sequence[Any]) -> list[Any]:
        """By the number down, the share of that time in which the standby has failed, were all repairs exponential.

        Of the birth-death chain of the number down, each state with the standby failed or not, the balance of the
        former, divided by the number's chance: a tridiagonal system, solved by elimination (L. H. Thomas, 1949).
        """
        factors, constants, most = [], [], len(waited) - 1
        factor, constant = 0.0, 0.0
        for down, own in enumerate(waited):
            further = (self.count - down) * self.odds if down < most else 0.0
            own_odds = self.odds if down else 0.0
            pivot = further + down + 1 + own_odds - down * factor
            factor, constant = further / pivot, (own_odds * (1 - own) + down * constant) / pivot
            factors.append(factor)
            constants.append(constant)
        shares = [constants[-1]]
        for factor, constant in zip(factors[-2::-1], constants[-2::-1], strict=True):
            shares.append(constant + factor * shares[-1])
        return shares[::-1]


def limited_mean_s(mean_s: Any, limit_s: Any) -> Floats:
    """Returns the mean of the shorter of a repair, which takes `mean_s` in the mean, and a limit.

    The limited expected value of a log-normal time (S. A. Klugman, H. H. Panjer, G. E. Willmot, "Loss Models",
    appendix A).
    """
    with np.errstate(divide="ignore"):  # a limit of 0
        place = (np.log(limit_s) - np.log(mean_s)) / REPAIR_SIGMA + REPAIR_SIGMA / 2
    return np.asarray(mean_s * _normal_cdf(place - REPAIR_SIGMA) + limit_s * _normal_cdf(-place))


def _normal_cdf(place: Any) -> Floats:
    return np.asarray(np.vectorize(math.erfc, otypes=[float])(-place / math.sqrt(2)) / 2)


class Year(NamedTuple):
    """What became of each of some years."""

    refused_share: Floats
    """Of the load."""
    faults: Floats
    """How often one failed."""


def simulate(failing: Failing, refused: Floats, chance: np.random.Generator, of_standby: np.random.Generator) -> Year:
    """Returns what becomes of each year: the fields of `failing` are arrays.

    What befalls a standby has a stream of its own: the same `chance` has the same failures of the others without it.
    A year of too many faults is simulated in part: it is the formula's mean and how far the part lies from it, divided
    by the root of the number of such parts in a year, as the mean of so many independent ones deviates.
    """
    years = len(failing.rate_per_s)
    parts = np.maximum(1.0, failing.faults_per_year * max(years, FULL_YEARS) / MOST_FAULTS)
    until_s, share, faults = YEAR_S / parts, np.empty(years), np.empty(years)
    for chosen in _chunks(failing.faults_per_year / parts + failing.count):
        some = failing.of(chosen)
        outages = _outages(some, until_s[chosen], chance)
        share[chosen], faults[chosen] = _year(some, outages, refused, until_s[chosen], of_standby)
    of_parts = share, faults * parts
    means = zip(failing.mean_year(refused), of_parts, strict=True)
    return Year(*(mean + (part - mean) / np.sqrt(parts) for mean, part in means))


def _chunks(work: Floats) -> Iterator[Ints]:
    """The years in order, about as many at once as bounds the memory; a year is never divided."""
    chunk = np.cumsum(work) // _CHUNK_FAULTS
    yield from np.split(np.arange(len(work)), np.flatnonzero(np.diff(chunk)) + 1)


class _Outages(NamedTuple):
    """The times of several years in which one is down: as many values in each field."""

    year: Ints
    failed_s: Floats
    """Since the year's beginning; negative where it was down already."""
    back_s: Floats


def _outages(failing: Failing, until_s: Floats, rng: np.random.Generator) -> _Outages:
    """All outages that begin before `until_s`, one after the other for all that have not come so far."""
    year = np.repeat(np.flatnonzero(failing.rate_per_s), failing.count)
    down = rng.random(year.size) < failing.down_share[year]
    found = [_under_way(failing, year[down], rng)]
    up_at_s = np.zeros(year.size)
    up_at_s[down] = found[0].back_s
    while year.size:
        failed_s = up_at_s + rng.standard_exponential(year.size) / failing.rate_per_s[year]
        soon = failed_s < until_s[year]
        year, failed_s = year[soon], failed_s[soon]
        up_at_s = failed_s + _repairs_s(failing.repair_s[year], rng)
        found.append(_Outages(year, failed_s, up_at_s))
    return _Outages(*(np.concatenate(values) for values in zip(*found, strict=True)))


def _under_way(failing: Failing, year: Ints, rng: np.random.Generator) -> _Outages:
    """The outages in which the years begin.

    The longer one is, the likelier a given moment lies in it: such a one is log-normal too, its logarithm's mean more
    by the variance. The moment lies anywhere in it.
    """
    whole_s = _repairs_s(failing.repair_s[year] * math.exp(REPAIR_SIGMA**2), rng)
    since_s = whole_s * rng.random(year.size)
    return _Outages(year, -since_s, whole_s - since_s)


def _repairs_s(mean_s: Floats, rng: np.random.Generator) -> Floats:
    """The times of as many repairs as there are means."""
    return np.asarray(mean_s * rng.lognormal(-(REPAIR_SIGMA**2) / 2, REPAIR_SIGMA, mean_s.size))


def _year(
    failing: Failing, outages: _Outages, refused: Floats, until_s: Floats, of_standby: np.random.Generator
) -> Year:
    """What becomes of each year up to `until_s`.

    All years are swept at once, failures and returns by year and time: after the last of a year none is down.
    """
    year = np.concatenate([outages.year, outages.year])
    at_s = np.concatenate([outages.failed_s, outages.back_s])
    order = _by_year_and_time(year, at_s)
    year, at_s = year[order], at_s[order]
    down = np.cumsum(np.where(order < outages.year.size, 1, -1))
    inside_s = np.clip(at_s, 0.0, until_s[year])
    up = failing.count - down
    lost_s = (np.append(inside_s[1:], 0.0) - inside_s) * (refused[up] - refused[failing.count])
    share = refused[failing.count] + np.bincount(year, lost_s, len(until_s)) / until_s
    faults = _faults(outages, len(until_s))
    if failing.standby is None or not year.size:
        return Year(share, faults)
    saves = refused[up] - refused[np.minimum(up + 1, failing.count)]
    spans = _spans(failing.standby, year, at_s, down, until_s, saves, of_standby)
    outages = _outages_within(failing, spans, until_s, of_standby)
    return Year(share - spans.saved_s(outages, until_s) / until_s, faults + _faults(outages, len(until_s)))


def _faults(outages: _Outages, years: int) -> Floats:
    """How many begin in each year."""
    return np.asarray(np.bincount(outages.year[outages.failed_s >= 0], minlength=years), float)


def _by_year_and_time(year: Ints, at_s: Floats) -> Ints:
    """The order of years, and in them of times."""
    by_time = np.argsort(at_s)
    return np.asarray(by_time[np.argsort(year[by_time].astype(np.uint16), kind="stable")])


class _Spans(NamedTuple):
    """The times of several years in which a standby serves unless it has failed, by year and time."""

    year: Ints
    from_s: Floats
    to_s: Floats
    saves: Floats
    """The share of the load that it serves and that would be refused without it."""
    served_s: Floats
    """The sum of all that came before: a clock that runs while it serves."""

    def at(self, year: Ints, at_s: Floats) -> Ints:
        """The last of each year that begins by a time; there is one."""
        places = self.year * _APART_S + self.from_s
        return np.asarray(np.searchsorted(places, year * _APART_S + at_s, "right") - 1)

    def time_s(self, clock_s: Floats) -> Floats:
        """When the clock shows so much: of the year in which it does."""
        last = np.searchsorted(self.served_s, clock_s, "right") - 1
        return np.asarray(self.from_s[last] + clock_s - self.served_s[last])

    def served_by_s(self, year: Ints, at_s: Floats) -> Floats:
        """The clock at a time of each year."""
        last = self.at(year, at_s)
        return np.asarray(self.served_s[last] + np.minimum(at_s, self.to_s[last]) - self.from_s[last])

    def saved_s(self, outages: _Outages, until_s: Floats) -> Floats:
        """What is saved in each year, but for its outages: time multiplied by share of the load."""
        from_s, to_s = np.maximum(0.0, self.from_s), np.maximum(0.0, self.to_s)
        saved_s = self.saves * (to_s - from_s)
        before_s = np.cumsum(saved_s) - saved_s

        def saved_by_s(at_s: Floats) -> Floats:
            inside_s = np.clip(at_s, 0.0, until_s[outages.year])
            last = self.at(outages.year, inside_s)
            return np.asarray(before_s[last] + self.saves[last] * (np.minimum(inside_s, to_s[last]) - from_s[last]))

        not_saved_s = saved_by_s(outages.back_s) - saved_by_s(outages.failed_s)
        saved = np.bincount(self.year, saved_s, len(until_s))
        return np.asarray(saved - np.bincount(outages.year, not_saved_s, len(until_s)), float)


def _spans(
    standby: Standby, year: Ints, at_s: Floats, down: Ints, until_s: Floats, saves: Floats, rng: np.random.Generator
) -> _Spans:
    """From each start, ordered by a failure that finds all up, until all are up; as far back as a year before."""
    ends_s = np.minimum(np.append(at_s[1:], 0.0), until_s[year])
    from_s = np.maximum(np.maximum(at_s, -YEAR_S), _serves_from_s(standby, year, at_s, down, rng))
    own = (down > 0) & (from_s < ends_s)
    lasts_s = ends_s[own] - from_s[own]
    return _Spans(year[own], from_s[own], ends_s[own], saves[own], np.cumsum(lasts_s) - lasts_s)


def _serves_from_s(standby: Standby, year: Ints, at_s: Floats, down: Ints, rng: np.random.Generator) -> Floats:
    """When the standby serves that was started last: at the failure that found all up; never if its start fails."""
    ordered = (down == 1) & (np.diff(down, prepend=0) == 1)
    of_year = year[ordered]
    starts = rng.random(of_year.size) >= standby.start_fails[of_year]
    return np.asarray(np.where(starts, at_s[ordered] + standby.start_s[of_year], np.inf)[np.cumsum(ordered) - 1])


def _outages_within(failing: Failing, spans: _Spans, until_s: Floats, rng: np.random.Generator) -> _Outages:
    """Those of the standby: it fails while it serves, and serves again after the repair, if it is wanted then."""
    year, first = np.unique(spans.year, return_index=True)
    clock_s = spans.served_s[first]
    over_s = np.append(clock_s[1:], np.sum(spans.to_s - spans.from_s))
    found = [_Outages(year[:0], clock_s[:0], clock_s[:0])]
    while year.size:
        clock_s = clock_s + rng.standard_exponential(year.size) / failing.rate_per_s[year]
        soon = clock_s < over_s
        year, clock_s, over_s = year[soon], clock_s[soon], over_s[soon]
        failed_s = spans.time_s(clock_s)
        back_s = np.minimum(failed_s + _repairs_s(failing.repair_s[year], rng), until_s[year])
        found.append(_Outages(year, failed_s, back_s))
        clock_s = spans.served_by_s(year, back_s)
    return _Outages(*(np.concatenate(values) for values in zip(*found, strict=True)))
