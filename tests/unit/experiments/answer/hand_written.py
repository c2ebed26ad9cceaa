"""An answer written by hand: the post's case, with round figures."""

from dataclasses import replace

from experiments.answer.answer import SCHEMA_NAME, Answer, ColdAlternative, SizeRow, Swing
from experiments.answer.costs import Yearly, YearRow
from experiments.answer.inputs import DEFAULTS
from experiments.answer.measured import OneDown
from experiments.theory.first_failure import Spread


def size(kind: str, deployment: str, predictors: int, running: int, up: float, down: float, *holds: bool) -> SizeRow:
    """A row of 10 slots a predictor; `holds`: the target with all up, and with one down."""
    meets_up, meets = holds
    return SizeRow(kind, deployment, predictors, running, 10 * running, 0.86 / running, up, down, meets_up, meets)


def yearly(mean: float, p5: float, p95: float) -> Yearly:
    """A figure whose median is its mean."""
    return Yearly(mean, mean, p5, p95)


def year(deployment: str, predictors: int, running: int, downtime_cost: Yearly, server_cost: float = 8_760) -> YearRow:
    """A row whose servers have one price."""
    servers = running * server_cost
    total = yearly(*(servers + value for value in (downtime_cost.mean, downtime_cost.p5, downtime_cost.p95)))
    minutes = yearly(*(value / 5_600 for value in (downtime_cost.mean, downtime_cost.p5, downtime_cost.p95)))
    lost = yearly(*(value * 60 * 8.6 for value in (minutes.mean, minutes.p5, minutes.p95)))
    server = yearly(servers, servers, servers)
    shares = (REFUSED[up] if up < len(REFUSED) else 0.0 for up in (running, running - 1))
    return YearRow(
        deployment, predictors, running, *shares, lost, None, minutes, downtime_cost, server, total, 4.9, True
    )


REFUSED = UP_0, UP_1, UP_2, UP_3 = 1.0, 0.149, 0.000371, 7.5e-9
"""By the number of predictors that are up."""

SIZES = [
    size("single", "single", 1, 1, 0.149, 1.0, False, False),
    size("active", "2active, no standby", 2, 2, UP_2, 0.149, True, False),
    size("active", "3active", 3, 3, UP_3, UP_2, True, True),
    size("warm", "2active, warm standby", 3, 3, UP_3, UP_2, True, True),
    size("cold", "3active, cold standby", 4, 3, UP_3, UP_2, True, True),
]
YEARS = [
    year("single", 1, 1, yearly(428e6, 184e6, 704e6)),
    year("2active, no standby", 2, 2, yearly(1.39e6, 546e3, 2.51e6)),
    year("2active, cold standby", 3, 2, yearly(1.10e6, 472e3, 1.83e6)),
    year("2active, warm standby", 3, 3, yearly(34_900, 284, 184_000)),
    year("3active", 3, 3, yearly(34_900, 284, 184_000)),
]
SWINGS = [
    Swing("common_cause", 0.01, 0.1, 46_700, 139_500, [], turns_cold=False),
    Swing("mtbf", 864_000, 7_776_000, 120_400, 44_200, ["4active"], turns_cold=False),
    Swing("start_time", 1.25, 5, 71_000, 71_000, [], turns_cold=False),
]
SENTENCE = "Take 3active: the cheapest that holds 99.9 % at 8.6 requests/s with one down; a cold one isn't cheaper."
ANSWER = Answer(
    schema=SCHEMA_NAME,
    sentence=SENTENCE,
    reasons=["3active refuses <0.0001 % with all up."],
    assumptions=["Requests come at random."],
    recommended="3active",
    sizes=SIZES,
    per_year=YEARS,
    inputs=dict(DEFAULTS),
    matters_most="common_cause",
    decides_nothing=["start_time"],
    lost_by_cause={"too few slots": 2.0, "common causes": 3_400.0},
    mean_cost=71_000,
    tornado=SWINGS,
    cold=ColdAlternative(
        "2active, cold standby",
        None,
        2.5,
        UP_2,
        refuses_too_much=True,
        refused_share_meanwhile=UP_1,
        cheaper=False,
        at_any_start=False,
    ),
    cold_beside_saves=1_800,
    by_capacity={5: "5active", 20: "2active, no standby"},
    checks=[],
)
CHECK = OneDown(
    "2active, warm standby", "2active", "n+1", faults=12, slots=20, sent=1_000, refused=100, low=0.08, high=0.12,
    erlang_b=0.11, fault="crash", struck=9, lost_per_fault=38.2, predicted=Spread(330, 280, 1_390), measured=344,
)  # fmt: skip
CHECKED = replace(ANSWER, checks=[CHECK])
