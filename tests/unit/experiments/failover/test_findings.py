"""What the findings tell so that nobody reads more out of a run than it proves."""

import dataclasses
from pathlib import Path

import pytest

from experiments.failover.metrics import DEFINITIONS, definitions_of
from experiments.failover.records import CALM, N_PLUS_1, FailoverSettings, FaultRun, OfferedLoad, read_fault_runs
from experiments.failover.report import cards, summarize
from experiments.failover.summary import FailoverSummary
from experiments.failover.tables import page_heads
from experiments.results.store import as_json
from tests.unit.experiments.failover.hand_written import (
    SETTINGS_HERE,
    SINGLE,
    TWO,
    fault_steps,
    request,
    summary_of,
    write_folder,
)
from tests.unit.experiments.failover.test_other_routers import runs_of, settings_with

pytestmark = pytest.mark.usefixtures("no_answer")

SILENT = "In 2active predict2 never answered, though others did: faults that strike it prove nothing."


def two_answered_by(folder: Path, *names: str, fault: str = "crash", target: str = "predict2") -> FailoverSummary:
    """A fault of that target in 2active, of which none is lost and these answer in turn."""
    settings = dataclasses.replace(SETTINGS_HERE, topologies=[TWO])
    [run] = read_fault_runs(write_folder(folder, {"2active": [0]}))
    requests = [request(k / 10, by=names[k % len(names)]) for k in range(100)]
    return summarize(settings, [dataclasses.replace(run, actions=fault_steps(fault, target), requests=requests)])


def test_predictor_that_never_answered_leads_and_its_faults_count_for_nothing(tmp_path: Path) -> None:
    """A router that ignores one loses nothing when that dies: the report says first that it proves nothing."""
    summary = two_answered_by(tmp_path, "predict1")
    [topology] = summary.topologies
    assert summary.finding[0] == SILENT
    assert topology.never_answered == ["predict2"]
    assert [window.missed for window in topology.windows] == ["no request reached predict2"]
    assert summary.loads[0].compared == []
    assert "Invalid: crash in a window of 2active: no request reached predict2." in summary.finding


@pytest.mark.parametrize(
    ("names", "fault", "target"),
    [
        (("predict1",), "crash", "predict1"),
        (("predict1",), "double crash", "predict1+predict2"),
        (("predict1",), "upgrade", "predict1+predict2+predict3"),
        (("predict1", "predict2"), "crash", "predict2"),
    ],
    ids=["another", "one of two", "planned", "all answered"],
)
def test_fault_of_a_predictor_that_answered_counts(
    tmp_path: Path, names: tuple[str, ...], fault: str, target: str
) -> None:
    """Whoever of the others took no part; a standby that was never wanted is none of them."""
    summary = two_answered_by(tmp_path, *names, fault=fault, target=target)
    assert (summary.finding[0] == SILENT) == (len(names) == 1)
    assert [window.missed for window in summary.topologies[0].windows] == [""]


@pytest.mark.parametrize("names", [("",), ("backend-1",)], ids=["nobody", "by other names"])
def test_nothing_is_said_of_predictors_where_answers_name_none(tmp_path: Path, names: tuple[str, ...]) -> None:
    """A user's own server sends no X-Predictor, or names of its own: who answered is not known."""
    summary = two_answered_by(tmp_path, *names)
    assert summary.loads[0].compared == ["crash"]
    assert "never_answered" not in as_json(summary)["topologies"][0]


def test_predictor_that_answered_in_one_run_of_several_is_not_called_silent(tmp_path: Path) -> None:
    """The fault of the run in which it did not counts for nothing all the same."""
    settings = dataclasses.replace(SETTINGS_HERE, topologies=[TWO])
    first, second = read_fault_runs(write_folder(tmp_path, {"2active": [0, 0]}))
    alone = [dataclasses.replace(each, predictor="predict2") for each in second.requests]
    summary = summarize(settings, [first, dataclasses.replace(second, requests=alone)])
    [topology] = summary.topologies
    assert topology.never_answered == []
    assert [window.missed for window in topology.windows] == ["", "no request reached predict1"]


def test_losses_of_an_upgrade_are_told_where_there_are_some(tmp_path: Path) -> None:
    """It is in no mean and in no headline, so a sentence and the card have them; nothing where none was lost."""
    runs = read_fault_runs(write_folder(tmp_path, {"single": [26], "2active": [0]}))
    settings = dataclasses.replace(SETTINGS_HERE, topologies=[SINGLE, TWO])
    upgraded = [dataclasses.replace(run, actions=fault_steps("upgrade", "predict1")) for run in runs]
    told = "Planned work (upgrade) is in none of these figures; requests lost in it: single 26.0, 2active 0.0."
    summary = summarize(settings, upgraded)
    assert told in summary.finding
    assert [("lost per upgrade", "26.0") in card.facts for card in cards(summary)] == [True, False]
    lossless = [run for run in upgraded if run.run.topology == "2active"]
    assert not any("Planned work" in each for each in summarize(settings, lossless).finding)
    assert not any("Planned work" in each for each in summarize(settings, runs).finding)


def under_two_loads(folder: Path) -> tuple[FailoverSettings, list[FaultRun]]:
    """A crash under each of two loads, which costs 2active nothing under the first and 5 requests under the other."""
    loads = [OfferedLoad(CALM, 10.0, "", ["crash"]), OfferedLoad(N_PLUS_1, 20.0, "", ["crash"])]
    settings = dataclasses.replace(SETTINGS_HERE, topologies=[SINGLE, TWO], loads=loads)
    again = [dataclasses.replace(step, time_s=step.time_s + 20, window=2, load=N_PLUS_1) for step in fault_steps()]
    lost = [request(20 + k / 10, "down" if k < 5 else "") for k in range(100)]
    runs = read_fault_runs(write_folder(folder, {"single": [40], "2active": [0]}))
    both = [dataclasses.replace(r, actions=[*fault_steps(), *again], requests=[*r.requests, *lost]) for r in runs]
    return settings, both


def test_each_sentence_of_several_loads_names_its_own(tmp_path: Path) -> None:
    """The same words with other figures would contradict each other; the cards are of the first load and say so."""
    summary = summarize(*under_two_loads(tmp_path))
    assert summary.finding[0].startswith("Under the load calm (10 requests/s): 2active loses nothing in crash;")
    costs = [each.partition("Per fault")[0] for each in summary.finding if "Per fault of a predictor" in each]
    assert costs == ["Load calm: ", "Load n+1: "]
    assert all(card.unit.endswith("; load calm") for card in cards(summary))
    alone = summary_of(tmp_path)
    assert not any("oad calm" in each for each in alone.finding)
    assert not any("load calm" in card.unit for card in cards(alone))


def test_rows_are_deployments_where_several_routers_take_part(tmp_path: Path) -> None:
    """And topologies where one does, whichever it is."""
    assert page_heads(settings_with("nginx", "envoy"))[0] == "Deployment"
    assert page_heads(SETTINGS_HERE)[0] == "Topology"
    alone = dataclasses.replace(settings_with("nginx"), topologies=[dataclasses.replace(TWO, router="nginx")])
    assert page_heads(alone)[0] == "Topology"


def test_upgrade_is_defined_without_a_drain_behind_others_alone(tmp_path: Path) -> None:
    """Beside this project's router, which drains, the definition stays."""
    settings = settings_with("nginx", "envoy")
    summary = summarize(settings, runs_of(tmp_path, settings))
    assert summary.definitions["planned_availability"].endswith("in turn (a polite stop, start, ready)")
    assert definitions_of(settings_with("flask", "nginx")) == DEFINITIONS
    assert "(drain, stop, start, ready)" in DEFINITIONS["planned_availability"]
