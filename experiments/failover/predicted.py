"""Theory beside every cell of the scorecard: what the valid windows of a fault lost and delayed together."""

from collections.abc import Sequence
from dataclasses import replace

from experiments.failover.faults import FAULTS
from experiments.failover.impacts import Impact, Predicted
from experiments.failover.predictions import CellPrediction, predict_cell, undisturbed_answer_s
from experiments.failover.records import FailoverSettings, FaultRun, OfferedLoad
from experiments.failover.summary import LoadScorecard, TopologyUnderLoad
from experiments.failover.window_metrics import measure_window
from experiments.failover.windows import WindowRecords, windows_of
from experiments.theory.fault_scenario import Effect
from experiments.theory.first_failure import Spread

STARTS = (Effect.KILL, Effect.CLOSE, Effect.VANISH)
"""After these the operator starts the predictor again: its repair is a start."""


def with_predictions(
    settings: FailoverSettings, runs: Sequence[FaultRun], loads: Sequence[LoadScorecard]
) -> list[LoadScorecard]:
    """The loads with theory's range beside what each fault of each topology lost and delayed."""
    records = [records for run in runs for records in windows_of(run, settings)]
    valid = [each for each in records if measure_window(each).valid]
    by_name = {load.name: load for load in settings.offered_loads}
    return [
        replace(
            load,
            topologies=[_topology(settings, by_name[load.load], topology, valid) for topology in load.topologies],
        )
        for load in loads
    ]


def _topology(
    settings: FailoverSettings, load: OfferedLoad, topology: TopologyUnderLoad, valid: Sequence[WindowRecords]
) -> TopologyUnderLoad:
    own = [each for each in valid if each.plan.name == topology.topology]
    faults, router = (
        [_impact(settings, load, impact, own) for impact in impacts] for impacts in (topology.faults, topology.router)
    )
    return replace(topology, faults=faults, router=router)


def _impact(settings: FailoverSettings, load: OfferedLoad, impact: Impact, own: Sequence[WindowRecords]) -> Impact:
    windows = [each for each in own if (each.window.fault, each.window.load) == (impact.fault, load.name)]
    if not windows:
        return impact
    found = predict_windows(settings, windows, own)
    if found is None:
        return impact
    figures = [measure_window(each) for each in windows]
    return replace(
        impact,
        predicted_lost=_beside(found.lost, sum(each.lost for each in figures)),
        predicted_delayed=_beside(found.delayed, sum(each.delayed for each in figures)),
    )


def predict_windows(
    settings: FailoverSettings, windows: Sequence[WindowRecords], own: Sequence[WindowRecords]
) -> CellPrediction | None:
    """Returns what so many windows of one fault, load and topology, one at least, cost together in theory.

    `own` are all valid windows of the topology: they say how long starts and undisturbed answers take. None where
    theory has no figure.
    """
    plan, load, fault = windows[0].plan, windows[0].load, windows[0].window.fault
    controls = [each for each in own if FAULTS[each.window.fault].is_control and each.load == load]
    # The fault's own starts where it has some, for two at once take longer; a cold standby starts alone.
    started_s = starts_s(own) if plan.cold else starts_s(windows) or starts_s(own)
    answer_s = undisturbed_answer_s(controls)
    return predict_cell(settings, plan, load, fault, len(windows), started_s, answer_s)


def starts_s(records: Sequence[WindowRecords]) -> list[float]:
    """How long the starts of predictors after a fault took in these windows, in seconds."""
    started = [each.window for each in records if FAULTS[each.window.fault].effect in STARTS]
    return [window.repaired_s - window.repair_s for window in started]


def _beside(expected: Spread, measured: int) -> Predicted:
    return Predicted(expected, measured, expected.contains(measured))
