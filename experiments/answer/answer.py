"""What the answer comes to: sizes, a year of each deployment, break-even and what matters. Its sentences: sentences.py.

Computed from the inputs, and from what a run measured where there is one; the classes are the JSON of `choose --json`.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from experiments.answer.costs import HOURS_PER_YEAR, YearRow, lost_by_cause, total_cost, year_of
from experiments.answer.inputs import SHARES, Input, Inputs
from experiments.answer.measured import EdgeLosses, Measured, OneDown
from experiments.theory.outages import YEAR_S
from experiments.theory.sizing import Deployment, Kind, fewest, size_of, sizes

SCHEMA_NAME = "choose/1"

NEVER_MEASURED: Mapping[str, EdgeLosses] = {}
SIZING = ("rate", "target", "service_time", "threshold", "saturation", "users", "wait")
"""The inputs that size a deployment; of the others it is said how much each matters."""

HALF_TO_DOUBLE = 2.0
"""A point may be so many times less or more, to see whether it matters."""

LEAST_SWING = 0.01
"""A difference of less than this share of the yearly cost decides nothing."""

LEAST_GAIN = 1e-4
"""No further predictor is tried once one saves less than this share of the yearly cost."""

LONGEST_START_S = 30 * 86_400.0
"""No break-even beyond this is looked for."""


@dataclass(frozen=True)
class SizeRow:
    """A deployment that holds the target with all up, or with one down, in the steady state."""

    kind: str
    """One of single, active, warm, cold."""
    deployment: str
    """Its name."""
    predictors: int
    """All of them, a standby included."""
    running: int
    """Those that run while nothing is wrong."""
    slots: int
    """Of those that run."""
    utilisation: float
    """The offered load divided by what these carry."""
    refused_share: float
    """With all up."""
    refused_share_one_down: float
    """With one of those that run down; of a cold standby until it has started."""
    meets_target_up: bool
    """Whether the target is held with all up."""
    meets_target: bool
    """Whether it is held with one down, too."""


@dataclass(frozen=True)
class Swing:
    """What the range of an input does to the yearly cost of the recommended deployment, over the others' ranges."""

    input: str
    """The input's name."""
    low: float
    """The lower end of its range; of a point half of it."""
    high: float
    """The upper end; of a point twice as much."""
    total_cost_low: float
    """The yearly cost at the lower end."""
    total_cost_high: float
    """The yearly cost at the upper end."""
    changes_answer_to: list[str]
    """Which other deployments are the cheapest at an end of the range."""
    turns_cold: bool
    """Whether at one end the cold alternative costs less than the recommended one, and at the other more."""

    @property
    def decides(self) -> bool:
        """Whether within the range something else is the cheapest."""
        return bool(self.changes_answer_to) or self.turns_cold

    @property
    def width(self) -> float:
        """How far the cost swings."""
        return abs(self.total_cost_high - self.total_cost_low)


@dataclass(frozen=True)
class ColdAlternative:
    """The deployment with one predictor less running, and a cold standby."""

    deployment: str
    """Its name."""
    break_even_s: float | None
    """It costs less while its standby starts within this; null where it costs more however fast, 0 s included, and
    where it costs less however slow."""
    starts_after_s: float
    """What a start takes, by the inputs."""
    refused_share: float
    """What it refuses with all up."""
    refuses_too_much: bool
    """Whether that alone, over a year, costs more than the server that it saves."""
    refused_share_meanwhile: float
    """What it refuses until its standby has started."""
    cheaper: bool
    """Whether it costs less with such a start."""
    at_any_start: bool
    """Whether it costs less however long its start takes."""


@dataclass(frozen=True)
class Answer:
    """Which deployment to take, and why."""

    schema: str
    """Name and version of this layout."""
    sentence: str
    """The answer."""
    reasons: list[str]
    """What stands beside it, in sentences."""
    assumptions: list[str]
    """What it rests on, in sentences."""
    recommended: str
    """The deployment's name."""
    sizes: list[SizeRow]
    """The fewest predictors of each kind that hold the target with all up, and with one down."""
    per_year: list[YearRow]
    """What deployments cost in a year."""
    inputs: dict[str, Input]
    """Everything that it depends on."""
    matters_most: str
    """The input whose range changes the yearly cost most; empty where none does."""
    decides_nothing: list[str]
    """Inputs whose range changes neither the answer, nor whether the cold alternative costs less, nor the yearly cost
    by 1 %."""
    lost_by_cause: dict[str, float]
    """What loses the recommended deployment's requests -> how many a year in the mean."""
    mean_cost: float
    """A year's cost of the recommended deployment by the closed formula, over the inputs' ranges: what the swings are
    about; the mean in `per_year`, of simulated years, differs from it by chance."""
    tornado: list[Swing]
    """How much each matters, most first."""
    cold: ColdAlternative
    """In place of one predictor of the recommended one."""
    cold_beside_saves: float
    """What a cold standby beside the recommended one would save a year: it costs nothing while it is off."""
    by_capacity: dict[int, str]
    """Slots of a predictor, half and twice those of the inputs -> which deployment would be the cheapest then."""
    checks: list[OneDown]
    """What a run measured with one predictor down, beside the formula."""


def recommend(inputs: Inputs, edges: Mapping[str, EdgeLosses]) -> Deployment:
    """Returns the cheapest deployment that holds the target with all up and with one down.

    All of its predictors are active: a warm standby is a server like any other, and a cold one stands beside
    (`cold_alternative`, `cold_beside_saves`). More than the target needs are cheaper where downtime is dearer than
    servers; of those that cost the same within 1 % the fewest are taken. Raises ValueError where no size holds the
    target.
    """
    enough = fewest(inputs.demand, inputs.most_refused) + 1

    def cost(running: int) -> float:
        return total_cost(Deployment(Kind.ACTIVE, running), inputs, edges)

    cheapest = _first(lambda running: cost(running + 1) >= (1 - LEAST_GAIN) * cost(running), enough)
    within = (1 + LEAST_SWING) * cost(cheapest)
    return Deployment(Kind.ACTIVE, _first(lambda running: cost(running) <= within, enough, cheapest))


def _first(holds: Callable[[int], bool], least: int, most: int | None = None) -> int:
    """The least number from `least` on for which it holds, as for all above; `most` where it does for none below."""
    if most is None:
        step = 1
        while not holds(least + step):
            step *= 2
        most = least + step
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if holds(middle) else (middle + 1, most)
    return least


def listed(recommended: Deployment, inputs: Inputs) -> list[Deployment]:
    """Returns the deployments of which a year is given: the post's, their like, and those about the recommended one."""
    usual = [
        Deployment(Kind.SINGLE, 1),
        Deployment(Kind.ACTIVE, 2),
        Deployment(Kind.COLD, 3),
        Deployment(Kind.WARM, 3),
        Deployment(Kind.ACTIVE, 3),
    ]
    holding = [each.deployment for each in sizes(inputs.demand, inputs.most_refused) if each.meets_up]
    fewest_up = [each for each in holding if each.kind is Kind.ACTIVE][:2]  # with all up, and with one down
    return sorted(
        dict.fromkeys([*usual, *fewest_up, cold_instead(recommended), recommended]),
        key=lambda each: (each.running, each.predictors),
    )


def cold_instead(recommended: Deployment) -> Deployment:
    """Returns the deployment with one predictor less running, and a cold standby; of two at least, for one may fail."""
    return Deployment(Kind.COLD, recommended.running)


def cold_alternative(recommended: Deployment, inputs: Inputs, edges: Mapping[str, EdgeLosses]) -> ColdAlternative:
    """Returns how fast a cold standby would have to start to cost less than one more running predictor."""
    cold = cold_instead(recommended)

    def saved(start_s: float) -> float:
        own = inputs.with_values(start_time=start_s, load_time=0.0)
        return total_cost(recommended, inputs, edges) - total_cost(cold, own, edges)

    at_any_start, never = saved(LONGEST_START_S) > 0, saved(0.0) <= 0
    break_even_s = None if never or at_any_start else _root(saved, LONGEST_START_S)
    return ColdAlternative(
        cold.name,
        break_even_s,
        inputs.starts_after_s,
        inputs.demand.refused_share(cold.running),
        _up_cost(cold, inputs) > HOURS_PER_YEAR * inputs.server_hour.value,
        inputs.demand.refused_share(cold.running - 1),
        total_cost(recommended, inputs, edges) > total_cost(cold, inputs, edges),
        at_any_start,
    )


def _up_cost(deployment: Deployment, inputs: Inputs) -> float:
    """What a year of refusals with all up costs, by the inputs' values."""
    return inputs.demand.refused_share(deployment.running) * YEAR_S / 60 * inputs.per_minute.value


def _root(falling: Callable[[float], float], high: float) -> float:
    """Where a function that falls from above 0 crosses it, between 0 and `high`."""
    low = 0.0
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return high


def swings(recommended: Deployment, inputs: Inputs, edges: Mapping[str, EdgeLosses]) -> list[Swing]:
    """Returns how much each input matters, most first; those that size the deployment are left out."""
    names = [name for name, own in inputs.as_mapping().items() if name not in SIZING and not _is_known(name, own)]
    return sorted((_swing(name, recommended, inputs, edges) for name in names), key=lambda each: -each.width)


def _is_known(name: str, own: Input) -> bool:
    """Whether an input is a price that the user has read off a bill."""
    return name == "server_hour" and not own.is_range


def _swing(name: str, recommended: Deployment, inputs: Inputs, edges: Mapping[str, EdgeLosses]) -> Swing:
    own = inputs.of(name)
    low = own.value / HALF_TO_DOUBLE if own.low is None else own.low
    high = own.value * HALF_TO_DOUBLE if own.high is None else own.high
    high = min(1.0, high) if name in SHARES else high
    ends = [inputs.with_values(**{name: end}) for end in (low, high)]
    costs = (total_cost(recommended, ends[0], edges), total_cost(recommended, ends[1], edges))
    others = dict.fromkeys(best.name for each in ends if (best := recommend(each, edges)) != recommended)
    cold = cold_instead(recommended)
    cheaper = [total_cost(cold, each, edges) < cost for each, cost in zip(ends, costs, strict=True)]
    return Swing(name, low, high, *costs, list(others), turns_cold=cheaper[0] != cheaper[1])


def answer(inputs: Inputs, measured: Measured | None = None) -> Answer:
    """Returns the answer without its sentences (sentences.py). Raises ValueError where no size holds the target."""
    edges = measured.edges if measured else NEVER_MEASURED
    recommended = recommend(inputs, edges)
    tornado = swings(recommended, inputs, edges)
    years = [year_of(each, inputs, edges) for each in listed(recommended, inputs)]
    cost = total_cost(recommended, inputs, edges)
    nothing = [each.input for each in tornado if each.width <= LEAST_SWING * cost and not each.decides]
    return Answer(
        SCHEMA_NAME,
        "",
        [],
        [],
        recommended.name,
        [_size_row(each, inputs) for each in _sized(recommended, inputs)],
        years,
        inputs.as_mapping(),
        tornado[0].input if tornado and tornado[0].input not in nothing else "",
        nothing,
        lost_by_cause(recommended, inputs, edges),
        cost,
        tornado,
        cold_alternative(recommended, inputs, edges),
        cost - total_cost(Deployment(Kind.COLD, recommended.running + 1), inputs, edges),
        _by_capacity(inputs, edges),
        list(measured.one_down) if measured else [],
    )


def _by_capacity(inputs: Inputs, edges: Mapping[str, EdgeLosses]) -> dict[int, str]:
    """What the answer would be with other slots, as far as any size would do: of all inputs the least known."""
    found = {}
    slots = round(inputs.threshold.value)
    for other in dict.fromkeys((max(1, slots // 2), 2 * slots)):
        if other != slots:
            with suppress(ValueError):  # no size holds the target
                found[other] = recommend(inputs.with_values(threshold=other), edges).name
    return found


def _sized(recommended: Deployment, inputs: Inputs) -> list[Deployment]:
    """The deployments of which the size is given, by kind."""
    found = [each.deployment for each in sizes(inputs.demand, inputs.most_refused)]
    order = list(Kind)
    return sorted(dict.fromkeys([*found, recommended]), key=lambda each: (order.index(each.kind), each.predictors))


def _size_row(deployment: Deployment, inputs: Inputs) -> SizeRow:
    size = size_of(deployment, inputs.demand, inputs.most_refused)
    return SizeRow(
        str(deployment.kind),
        deployment.name,
        deployment.predictors,
        deployment.running,
        size.slots,
        size.utilisation,
        size.refused_share,
        size.refused_share_one_down,
        size.meets_up,
        size.meets_target,
    )


def with_sentences(answer: Answer, sentence: str, reasons: list[str], assumptions: list[str]) -> Answer:
    """Returns the answer with its sentences."""
    return replace(answer, sentence=sentence, reasons=reasons, assumptions=assumptions)
