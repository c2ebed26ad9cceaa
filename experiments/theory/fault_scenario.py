"""A fault in theory: the topology, the load, the fault and the operator that are simulated. No I/O."""

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from statistics import fmean
from typing import NamedTuple

from experiments.theory.checks import require
from experiments.theory.router_model import Role

SETTLED_S, LOADED_S = 1.5, 6.0
"""The time simulated before the fault, a random moment beside: where all is as planned then, and where the load may
have promoted a standby."""

SLOW_FACTOR = 10.0
"""A slow predictor takes so many times its service time, unless that is too short."""


class Effect(StrEnum):
    """What a fault does to the predictors that it hits, or to the router."""

    NONE = "none"
    KILL = "kill"
    """The process is gone: its connections break, new ones are refused, until it is started again."""
    CLOSE = "close"
    """It answers what it has, new connections are refused, until it is started again."""
    VANISH = "vanish"
    """Its host is gone: connections stay silent, new ones are not made, until it is started again."""
    FREEZE = "freeze"
    """It takes connections and answers nothing; what waits is answered afterwards."""
    SLOW = "slow"
    """It takes `slow_factor` times its service time."""
    FAIL = "fail"
    """It answers 500 at once; its health checks pass."""
    STALL = "stall"
    """It answers no prediction, and 500 to those that wait once it is repaired; its health checks pass."""
    UPGRADE = "upgrade"
    """Each in turn is drained, stopped, started and put back."""
    ROUTER_KILL = "router kill"
    """The router is gone with what it has in flight; a moment later another goes on where it was."""


class Cost(NamedTuple):
    """Requests lost (no good answer) and delayed (a late one), of those sent in a window or in flight as it began."""

    lost: int
    delayed: int


@dataclass(frozen=True)
class FaultScenario:
    """A topology, its load, a fault and the settings of router and operator; times in seconds, rates per second.

    Raises:
        ValueError: a value is out of its range; the text names the value and the range.
    """

    predictors: tuple[tuple[str, int, Role], ...]
    """Name, slots and role of each, in file order."""
    rate_per_s: float
    pacing_s: float
    """Each user sends once in this time, at a moment of its own."""
    service_time_s: float
    """How long a request holds its slot."""
    late_after_s: float
    """A good answer that takes longer is delayed."""
    effect: Effect
    targets: tuple[tuple[str, ...], ...]
    """Whom the fault hits: each entry is as likely; empty where only the load changes."""
    rate_factor: float
    """The offered rate is so many times as high for `repair_after_s`: from the fault on, or once a KILL is noticed."""
    repair_after_s: float
    """The operator's delay."""
    window_s: float
    """Requests sent this long after the fault are counted, or until all has recovered."""
    until_planned: bool
    """Recovered is: as planned; else whole (`RouterModel`)."""
    hold_down_s: float
    deadline_s: float
    """The longest that the router lets a client wait."""
    start_s: tuple[float, ...]
    """How long starts of a predictor took, its loading included: each is as likely."""
    resend: bool = True
    """Whether a request that may have run is sent again."""
    slow_factor: float = SLOW_FACTOR
    """A slow predictor takes so many times the service time."""

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        starts = self.effect in (Effect.KILL, Effect.CLOSE, Effect.VANISH, Effect.UPGRADE) or self.has_cold_standby
        require(0 < self.rate_per_s < inf, "rate_per_s", self.rate_per_s, "above 0, finite")
        require(0 < self.service_time_s < inf, "service_time_s", self.service_time_s, "above 0, finite")
        require(1 <= self.slow_factor < inf, "slow_factor", self.slow_factor, "from 1, finite")
        require(1 <= self.rate_factor < inf, "rate_factor", self.rate_factor, "from 1, finite")
        require(bool(self.start_s) or not starts, "start_s", self.start_s, "one at least where predictors are started")

    @property
    def has_cold_standby(self) -> bool:
        """Whether a standby is started only when it is wanted."""
        return any(role is Role.COLD for _, _, role in self.predictors)

    @property
    def settled_s(self) -> float:
        """The time simulated before the fault; under a greater load a cold standby may have started in it."""
        if self.until_planned:
            return SETTLED_S
        return LOADED_S + (fmean(self.start_s) if self.has_cold_standby else 0.0)
