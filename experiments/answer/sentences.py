"""The answer in sentences: which deployment to take, why, and what it rests on."""

import math
from collections.abc import Iterator

from experiments.answer.answer import LEAST_SWING, Answer, Swing, with_sentences
from experiments.answer.costs import CAUSES, Yearly, YearRow
from experiments.answer.inputs import DEFAULT, GIVEN, Inputs
from experiments.answer.measured import Measured
from experiments.answer.text import LABELS, dollars_text, figure_text, input_text, share_text, time_text, value_text
from experiments.page.text import join_words
from experiments.theory.outages import YEAR_S

OF_COLD = ("start_time", "load_time", "start_fails")
"""The inputs that matter to a cold standby alone."""

FEW = 3
"""So many requests refused, by the formula, are the fewest that a run's count can tell something by."""


def explain(answer: Answer, inputs: Inputs, measured: Measured | None = None) -> Answer:
    """Returns the answer with its sentences."""
    reasons = [
        *_not_yours(answer, measured),
        *_sizes(answer, inputs),
        *_beside(answer),
        *_year(answer, inputs),
        *_matters(answer, inputs),
        *_checks(answer),
    ]
    return with_sentences(answer, _sentence(answer, inputs), reasons, list(_assumptions(answer, inputs, measured)))


def in_prose(deployment: str) -> str:
    """A deployment's name within a sentence: 2active with a cold standby."""
    name, _, standby = deployment.partition(", ")
    if not standby:
        return name
    return f"{name} without a standby" if standby == "no standby" else f"{name} with a {standby}"


def _sentence(answer: Answer, inputs: Inputs) -> str:
    target, rate = input_text("target", inputs.target), input_text("rate", inputs.rate)
    aside = ", cold standbys aside" if _saved_beside(answer) > LEAST_SWING else ""
    what = f"the cheapest that holds {target} at {rate} with one down{aside}"
    return f"Take {in_prose(answer.recommended)}: {what}{_fewer(answer)}{_cold(answer)}."


def _fewer(answer: Answer) -> str:
    """That fewer would hold the target, where downtime is so dear that more cost less."""
    fewest = next(each for each in answer.sizes if each.meets_target and each.kind == "active")
    if fewest.deployment == answer.recommended:
        return ""
    return f" ({in_prose(fewest.deployment)} would hold it, but the downtime that more spare costs more than they do)"


def _cold(answer: Answer) -> str:
    """When a cold standby in place of a running predictor would cost less."""
    cold = answer.cold
    name, takes = in_prose(cold.deployment), time_text(cold.starts_after_s)
    loses = f"but loses {_loss(cold.refused_share_meanwhile)} until its standby has started"
    if cold.at_any_start:
        return f"; {name} costs less however long its start takes, {loses}"
    if cold.break_even_s is None:
        up = f" (with all up it refuses {share_text(cold.refused_share)})" if cold.refuses_too_much else ""
        return f"; {name} costs more, however fast its standby starts{up}"
    limit = time_text(cold.break_even_s)
    if cold.cheaper:
        return f"; {name} costs less with a start of {takes} (up to {limit}), {loses}"
    return f"; {name} would cost less if it started in under {limit} (here it takes {takes})"


def _not_yours(answer: Answer, measured: Measured | None) -> Iterator[str]:
    """That the load is the experiment's, where the user gave none; a server of the user's own takes its own time."""
    whose = {"rate": "your clients send", "service_time": "your model takes"}
    names = [name for name in whose if " run " in answer.inputs[name].source]
    if measured is not None and measured.server != "":
        names = [name for name in names if name != "service_time"]
    if names:
        own = join_words([LABELS[name] for name in names]).capitalize()
        yours = join_words([whose[name] for name in names])
        yield f"{own} {'are' if len(names) > 1 else 'is'} what the experiment had, not what {yours}: give yours."


def _sizes(answer: Answer, inputs: Inputs) -> Iterator[str]:
    own = next(each for each in answer.sizes if each.deployment == answer.recommended)
    yield (
        f"{in_prose(own.deployment)} refuses {share_text(own.refused_share)} of the requests with all up and "
        f"{share_text(own.refused_share_one_down)} with one down."
    )
    fewer = next((each for each in answer.sizes if each.meets_target_up and not each.meets_target), None)
    if fewer is not None:
        enough = f"{in_prose(fewer.deployment)} holds the target while all are up"
        down = _loss(fewer.refused_share_one_down)
        over = _over_a_year(answer, fewer.deployment)
        yield f"{enough} ({share_text(fewer.refused_share)} refused), and loses {down} with one down{over}."
    warm = next((each for each in answer.sizes if each.kind == "warm" and each.running == own.running), None)
    if warm is not None:
        yield (
            f"{in_prose(warm.deployment)} is as many servers and as many slots: this router promotes a standby when an "
            "active fails and when all are full."
        )
    if answer.by_capacity:
        others = join_words([f"with {slots} {in_prose(name)}" for slots, name in answer.by_capacity.items()])
        slots = round(inputs.threshold.value)
        measure = "" if inputs.threshold.source == GIVEN else ": measure yours"
        yield f"A predictor is taken to hold {slots} at once; {others} would be the answer{measure}."


def _over_a_year(answer: Answer, deployment: str) -> str:
    """What a deployment answers over a year, its faults included, where that is within the target."""
    row = next((each for each in answer.per_year if each.deployment == deployment), None)
    if row is None or not row.meets_target_in_a_year:
        return ""
    return f"; over a year, in which that is rare, it answers {_answered(row, answer)} and so holds the target too"


def _answered(row: YearRow, answer: Answer) -> str:
    share = row.lost.mean / (answer.inputs["rate"].value * YEAR_S)
    digits = max(0, math.ceil(-math.log10(share)) - 1) if share > 0 else 0
    return f"{100 * (1 - share):.{min(digits, 7)}f} %"


def _loss(share: float) -> str:
    return "everything" if share == 1 else share_text(share)


def _saved_beside(answer: Answer) -> float:
    """Which share of the yearly cost a cold standby beside the recommended deployment would save."""
    return answer.cold_beside_saves / answer.mean_cost if answer.mean_cost else 0.0


def _beside(answer: Answer) -> Iterator[str]:
    if (share := _saved_beside(answer)) > LEAST_SWING:
        yield (
            f"A cold standby beside it, which costs nothing while it is off, would save another {share_text(share)} of "
            "the yearly cost."
        )


def _year(answer: Answer, inputs: Inputs) -> Iterator[str]:
    row = next(each for each in answer.per_year if each.deployment == answer.recommended)
    lost, offered = figure_text(row.lost.mean), figure_text(inputs.rate.value * YEAR_S)
    cost, servers = dollars_text(row.downtime_cost.mean), dollars_text(row.server_cost.mean)
    yield (
        f"In a year it loses {lost} of {offered} requests in the mean; half of the years lose at most "
        f"{figure_text(row.lost.median)}, nine in ten {_range(row.lost)}. That is {figure_text(row.downtime_min.mean)} "
        f"minutes of downtime, {cost} ({_range(row.downtime_cost)}), beside {servers} for servers; {row.nines:.1f} "
        f"nines. A lost request is reckoned at {dollars_text(inputs.per_minute.value / inputs.rate.value / 60)}."
    )
    if not row.meets_target_in_a_year:
        yield _misses(row, answer, inputs)


def _misses(row: YearRow, answer: Answer, inputs: Inputs) -> str:
    share = share_text(row.lost.mean / (inputs.rate.value * YEAR_S))
    allowed = share_text(inputs.most_refused)
    most = max(answer.lost_by_cause, key=lambda cause: answer.lost_by_cause[cause])
    mended = most in CAUSES[:2]
    why = f"most of it by {most}, which more predictors {'would' if mended else 'would not'} mend"
    return f"Over a year it loses {share}, more than the target's {allowed}: {why}."


def _range(figure: Yearly) -> str:
    return f"{figure_text(figure.p5)} to {figure_text(figure.p95)}"


def _matters(answer: Answer, inputs: Inputs) -> Iterator[str]:
    if answer.matters_most:
        yield f"What matters most: {_swings(answer.tornado[0], inputs)}."
    changing = [each for each in answer.tornado if each.changes_answer_to]
    for each in changing:
        names = " or ".join(in_prose(name) for name in each.changes_answer_to)
        yield f"The answer hangs on the {LABELS[each.input]}: within its range {names} is the cheapest."
    if not changing and answer.tornado:
        yield "No input changes within its range which of those that always run is the cheapest."
    turning = [LABELS[each.input] for each in answer.tornado if each.turns_cold]
    if turning:
        yield f"Whether a cold standby costs less hangs on: {join_words(turning)}."
    yield from _nothing(answer)


def _nothing(answer: Answer) -> Iterator[str]:
    """What decides nothing; of a cold standby's own inputs, why."""
    others = [LABELS[name] for name in answer.decides_nothing if name not in OF_COLD]
    of_cold = [LABELS[name] for name in answer.decides_nothing if name in OF_COLD]
    if others:
        yield f"These decide nothing here: {join_words(others)}."
    if of_cold:
        yield f"These matter to a cold standby alone, and change nothing said of it here: {join_words(of_cold)}."


def _swings(swing: Swing, inputs: Inputs) -> str:
    unit = inputs.of(swing.input).unit
    low, high = (value_text(swing.input, unit, value) for value in (swing.low, swing.high))
    costs = f"{dollars_text(swing.total_cost_low)} at {low}, {dollars_text(swing.total_cost_high)} at {high}"
    return f"{LABELS[swing.input]}: a year costs {costs}"


def _checks(answer: Answer) -> Iterator[str]:
    """How often a run bears out the formula with one predictor down, of the cases that could show otherwise."""
    if not answer.checks:
        return
    telling = [each for each in answer.checks if 0 < each.erlang_b < 1 and each.erlang_b * each.sent >= FEW]
    if not telling:
        yield "With one predictor down the run had too few requests refused, by the formula, to tell whether it holds."
        return
    held = sum(each.formula_holds for each in telling)
    yield (
        f"With one predictor down the run refused what the formula says, within chance, in {held} of {len(telling)} "
        f"cases in which that is {FEW} requests or more."
    )
    predicted = [each for each in answer.checks if each.predicted is not None]
    inside = sum(each.predicted is not None and each.predicted.contains(each.measured) for each in predicted)
    if predicted:
        yield f"What its faults lost lies within theory's 5 to 95 % in {inside} of {len(predicted)} (9 in 10 expected)."


def _assumptions(answer: Answer, inputs: Inputs, measured: Measured | None) -> Iterator[str]:
    yield (
        "Requests come at random (Poisson) at this rate all year: with your busiest hour's the size is right, and a "
        "year's loss too high. Users who wait for each answer lose less than this where few are refused."
    )
    yield _of_slots(inputs, measured)
    yield (
        "A predictor fails at random and is gone for the time to repair, its start and loading included (log-normal), "
        "each by itself; common causes take all. Planned work is not in it: a drained predictor loses no request, but "
        "while it is away what is refused with one down is refused. Nor is what a cold standby costs while it runs."
    )
    yield (
        "What a failing predictor had in flight is sent to another; what a failing router has in flight is lost. "
        "Clients that try again by themselves lose less than this and offer more."
    )
    own = [LABELS[name] for name, each in answer.inputs.items() if each.source.startswith(DEFAULT)]
    if own:
        yield f"Not given and not measured, so defaults, which are nobody's figures of yours: {join_words(own)}."


def _of_slots(inputs: Inputs, measured: Measured | None) -> str:
    slots, held = round(inputs.threshold.value), time_text(inputs.service_time.value)
    if inputs.saturation is None:
        return (
            f"A request holds one of {slots} slots of a predictor for {held} in the mean, however much that varies "
            "(Erlang B); nobody queues: who finds no free slot is refused at once."
        )
    why = f" ({measured.queues})" if measured and measured.queues else ""
    return (
        f"The server queues{why}, so Erlang B does not apply: a predictor is taken to give at most "
        f"{inputs.saturation.value:.3g} answers/s, its measured saturation. Requests beyond that wait inside it, up to "
        f"{slots} in flight, and come late; who finds all of them held is refused (an M/M/c/K queue)."
    )
