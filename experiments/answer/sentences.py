"""The answer in sentences: which deployment to take, why, and what it rests on."""

from collections.abc import Iterator

from experiments.answer.answer import LEAST_SWING, Answer, SizeRow, Swing, with_sentences
from experiments.answer.costs import Yearly, YearRow
from experiments.answer.inputs import DEFAULT, Inputs
from experiments.answer.measured import Measured
from experiments.answer.text import LABELS, dollars_text, figure_text, input_text, share_text, time_text, value_text
from experiments.page.text import join_words
from experiments.theory.outages import YEAR_S


def explain(answer: Answer, inputs: Inputs, measured: Measured | None = None) -> Answer:
    """Returns the answer with its sentences."""
    reasons = [
        *_sizes(answer),
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
    size = next(each for each in answer.sizes if each.deployment == answer.recommended)
    state = "with one down" if size.running > 1 else "while it is up"
    target, rate = input_text("target", inputs.target), input_text("rate", inputs.rate)
    return f"Take {in_prose(answer.recommended)}: the cheapest that holds {target} at {rate} {state}{_cold(answer)}."


def _cold(answer: Answer) -> str:
    """When a cold standby in place of a running predictor would cost less."""
    cold = answer.cold
    if cold is None:
        return ""
    name, takes = in_prose(cold.deployment), time_text(cold.starts_after_s)
    refuses = f"but loses {_loss(cold.refused_share_meanwhile)} until its standby has started"
    if cold.at_any_start:
        return f"; {name} costs less however long its start takes, {refuses}"
    if cold.break_even_s is None:
        up = f"it refuses {share_text(cold.refused_share)} with all up"
        return f"; {name} costs more, however fast its standby starts ({up})"
    limit = time_text(cold.break_even_s)
    if cold.cheaper:
        return f"; {name} costs less with a start of {takes} (up to {limit}), {refuses}"
    return f"; {name} would cost less if it started in under {limit} (here it takes {takes})"


def _sizes(answer: Answer) -> Iterator[str]:
    own = next(each for each in answer.sizes if each.deployment == answer.recommended)
    yield f"{_refuses(own)}."
    fewer = next((each for each in answer.sizes if each.meets_target_up and each.running < own.running), None)
    if fewer is not None:
        enough = f"{in_prose(fewer.deployment)} holds the target while all are up"
        down = _loss(fewer.refused_share_one_down)
        yield f"{enough} ({share_text(fewer.refused_share)} refused), and loses {down} with one down."
    if any(each.meets_target and each.kind == "active" and each.running < own.running for each in answer.sizes):
        yield "The target would be held by fewer: the downtime that one more spares costs more than its server."
    warm = next((each for each in answer.sizes if each.kind == "warm" and each.running == own.running), None)
    if warm is not None:
        yield (
            f"{in_prose(warm.deployment)} is as many servers and as many slots: this router promotes a standby when an "
            "active fails and when all are full."
        )


def _loss(share: float) -> str:
    return "everything" if share == 1 else share_text(share)


def _beside(answer: Answer) -> Iterator[str]:
    """What a cold standby beside the recommended deployment would save, where that is something."""
    share = answer.cold_beside_saves / answer.mean_cost if answer.mean_cost else 0.0
    if share > LEAST_SWING:
        yield (
            f"A cold standby beside it, which costs nothing while it is off, would save another {share_text(share)} of "
            "the yearly cost."
        )


def _refuses(size: SizeRow) -> str:
    up = f"{in_prose(size.deployment)} refuses {share_text(size.refused_share)} of the requests with all up"
    return up if size.running == 1 else f"{up} and {share_text(size.refused_share_one_down)} with one down"


def _year(answer: Answer, inputs: Inputs) -> Iterator[str]:
    row = next(each for each in answer.per_year if each.deployment == answer.recommended)
    lost, offered = figure_text(row.lost.mean), figure_text(inputs.rate.value * YEAR_S)
    cost, servers = dollars_text(row.downtime_cost.mean), dollars_text(row.server_cost.mean)
    yield (
        f"In a year it loses {lost} of {offered} requests (nine years in ten: {_range(row.lost)}), as "
        f"{figure_text(row.downtime_min.mean)} minutes of downtime would: {cost} ({_range(row.downtime_cost)}), beside "
        f"{servers} for servers; {row.nines:.1f} nines."
    )
    if not row.meets_target:
        yield _misses(row, inputs)


def _misses(row: YearRow, inputs: Inputs) -> str:
    share = share_text(row.lost.mean / (inputs.rate.value * YEAR_S))
    allowed = share_text(inputs.most_refused)
    why = "what takes all predictors at once, or the router, is not mended by more of them"
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
        yield "No input changes the answer within its range."
    if answer.decides_nothing:
        yield f"These decide nothing here: {join_words([LABELS[name] for name in answer.decides_nothing])}."


def _swings(swing: Swing, inputs: Inputs) -> str:
    unit = inputs.of(swing.input).unit
    low, high = (value_text(swing.input, unit, value) for value in (swing.low, swing.high))
    costs = f"{dollars_text(swing.total_cost_low)} at {low}, {dollars_text(swing.total_cost_high)} at {high}"
    return f"{LABELS[swing.input]}: a year costs {costs}"


def _checks(answer: Answer) -> Iterator[str]:
    """How often a run bears out the formula, with one predictor down."""
    if answer.checks:
        held = sum(each.formula_holds for each in answer.checks)
        yield (
            f"The run bears the formula out: with one predictor down, what was refused lies within chance of it in "
            f"{held} of {len(answer.checks)} cases."
            if held == len(answer.checks)
            else f"With one predictor down the run refused what the formula says, within chance, in {held} of "
            f"{len(answer.checks)} cases: see the table."
        )


def _assumptions(answer: Answer, inputs: Inputs, measured: Measured | None) -> Iterator[str]:
    yield (
        "Requests come at random (Poisson) at this rate all year: give the rate of your busiest hour. Users who wait "
        "for an answer before they ask again send less when requests are refused, so this is on the safe side."
    )
    yield _of_slots(inputs, measured)
    yield (
        "A predictor fails at random and is repaired by itself, in a log-normal time; the share that takes all at once "
        "has everything down for such a time. Planned work is not in it, for a drained predictor loses no request, nor "
        "what a cold standby costs in the hours that it runs."
    )
    yield (
        "What a failing predictor had in flight is sent to another; what a failing router has in flight is lost. "
        "Clients that try again by themselves lose less than this and offer more."
    )
    own = [name for name, each in answer.inputs.items() if each.source.startswith(DEFAULT)]
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
