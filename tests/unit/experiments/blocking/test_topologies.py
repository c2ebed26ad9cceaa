"""Topologies that are offered the same arrivals, without processes: plan, figures from records, verdicts, report."""

import io
import json
import random
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cli import UsageError
from experiments.__main__ import main
from experiments.blocking.claims import CLAIM, judge_claim, pair_sentences
from experiments.blocking.experiment import EXPERIMENT, easy_at_once, plan_curve
from experiments.blocking.poisson_load import schedule_s
from experiments.blocking.records import BlockingSettings, Point, PointRecords, PoissonRequest
from experiments.blocking.report import page, summarize
from experiments.blocking.run import CommonStart
from experiments.experiment import print_summary, write_report
from experiments.options import Margins
from experiments.results.folders import PROJECT
from experiments.results.records import TopologyPlan
from experiments.results.store import read_record, write_json
from experiments.testbed.signals import StopRequest
from experiments.theory.verdicts import Verdict
from tests.unit.experiments.results.test_store import write_rows

SERVICE_TIME_S = 0.5
NAMES = ("predict1", "predict2", "predict3")
PLANS = {
    "single": TopologyPlan("single", {"predict1": 10}, {"predict1": "active"}),
    "2active": TopologyPlan(
        "2active", dict.fromkeys(NAMES, 10), {"predict1": "active", "predict2": "active", "predict3": "standby"}
    ),
    "3active": TopologyPlan("3active", dict.fromkeys(NAMES, 10), dict.fromkeys(NAMES, "active")),
}
SETTINGS = BlockingSettings(
    experiment="blocking",
    command="python -m experiments blocking --topologies 2active,3active",
    started_at="2025-01-31T14:25:00",
    service_time_s=SERVICE_TIME_S,
    arrivals=2000,
    seed=11,
    machine={},
    versions={},
    topologies=[PLANS["2active"], PLANS["3active"]],
)


def simulated(point: Point, slots: int) -> PointRecords:
    """The point as a router with so many slots would leave it; each answer takes a millisecond or so besides."""
    draw = random.Random(f"{point.topology} {point.rate_per_s}")
    free_at_s, rows = [0.0] * slots, []
    for at_s in schedule_s(point.rate_per_s, point.warm_up_arrivals + point.arrivals, point.seed):
        extra_s = draw.expovariate(1000)
        first = min(range(slots), key=free_at_s.__getitem__)
        good = free_at_s[first] <= at_s
        if good:
            free_at_s[first] = at_s + SERVICE_TIME_S + extra_s
        answer = {"status": 200 if good else 503, "reason": "" if good else "saturated", "predictor": "p"}
        latency_s = 0.001 + (SERVICE_TIME_S + extra_s if good else 0.0)
        rows.append(PoissonRequest(scheduled_at_s=at_s, sent_at_s=at_s, latency_s=latency_s, **answer))
    return PointRecords(Path(), point, rows)


def simulated_run(arrivals: int = 2000, **slots: int) -> list[PointRecords]:
    """Every point of the named topologies (`_` before a name's digit), which have so many slots in truth."""
    true_slots = {name.removeprefix("_"): count for name, count in slots.items()}
    points = plan_curve([PLANS[name] for name in true_slots], SERVICE_TIME_S, arrivals, seed=11)
    return [simulated(point, true_slots[point.topology]) for point in points]


def test_plan_offers_every_topology_the_same_moments() -> None:
    """Seed, rate and warm-up of a load are those of all; loads run from 1 % refused to twice the largest's slots."""
    points = plan_curve([PLANS["single"], PLANS["3active"]], 1.0, 500, 7)
    assert [point.topology for point in points] == ["single", "3active"] * 5
    for first, second in zip(points[::2], points[1::2], strict=True):
        assert replace(first, slots=30, capacities=second.capacities, topology="3active") == second
    assert [point.seed for point in points[::2]] == [7, 8, 9, 10, 11]
    assert [round(point.rate_per_s, 1) for point in points[::2]] == [20.3, 24.8, 33.8, 43.6, 59.4]


def test_loads_go_side_by_side_with_all_topologies_of_each() -> None:
    """What is easy for the machine at once is counted in whole loads, one at least."""
    plans = [PLANS["2active"], PLANS["3active"]]
    assert easy_at_once(plan_curve(plans, 0.5, 500, 7), 2) == 2
    assert easy_at_once(plan_curve(plans, 2.0, 500, 7), 2) == 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--topologies", "2active"], "argument --topologies: '2active' alone: give two or more"),
        (["--topologies", "2active,3active,2active"], "'2active' stands there twice: name each once"),
        (["--topologies", "2active,quiche"], "unknown topology 'quiche': give 2active"),
        (["--topologies", ","], "no topology is named"),
        (["--topologies", "2cold,3active"], "'2cold' has a cold standby, which nobody starts here: name topologies"),
        (["--margin-slots", "2"], "argument --margin-slots: there are no topologies to compare: give --topologies"),
        (["--topologies", "2active,3active", "--margin-slots", "-1"], "--margin-slots: '-1': give a number from 0"),
        (["--topologies", "2active,3active", "--at-once", "1"], "argument --at-once: 1 is too few: all 2 topologies"),
        (["--topologies", "2active,3active", "--service-time", "0.2"], "0.2 makes more than the 400 .* give 0.297"),
        (["--topologies", "2active,3active", "--service-time", "0"], "0 makes more than the 400 .* give 0.297"),
    ],
)
def test_mistake_is_refused_before_anything_starts(arguments: list[str], said: str) -> None:
    """One line with the value, the place and the remedy."""
    with pytest.raises(UsageError, match=said) as raised:
        EXPERIMENT.plan(EXPERIMENT.parser().parse_args(arguments), PROJECT, Console())
    assert "\n" not in str(raised.value)


def test_command_that_repeats_a_run_names_all_that_shapes_it() -> None:
    """Topologies and margin where there are some; without any the command is as it was."""
    options = EXPERIMENT.parser().parse_args(["--topologies", "2active,3active", "--seed", "11", "--margin-slots", "2"])
    settings, _ = EXPERIMENT.plan(options, PROJECT, Console())
    assert settings.command == (
        "python -m experiments blocking --topologies 2active,3active --service-time 0.5 "
        "--arrivals 2000 --seed 11 --at-once 2 --margin-slots 2"
    )
    assert settings.topologies == [PLANS["2active"], PLANS["3active"]]
    plain, _ = EXPERIMENT.plan(EXPERIMENT.parser().parse_args([]), PROJECT, Console())
    assert "--topologies" not in plain.command
    assert "--margin-slots" not in plain.command


def test_predictions_of_many_deployments_take_so_long_that_their_arrivals_are_carried() -> None:
    """Unless they are given: four of 30 slots, whoever makes them four, and one of the two alone as before."""
    for arguments, default_s in (["2active,3active"], 0.5), (["2active,3active", "--router", "flask,haproxy"], 0.6):
        options = EXPERIMENT.parser().parse_args(["--topologies", *arguments])
        settings, _ = EXPERIMENT.plan(options, PROJECT, Console())
        assert settings.service_time_s == default_s
        assert f"--service-time {default_s:g} " in settings.command


def test_topologies_with_as_many_slots_are_equal_in_both_parts() -> None:
    """The post's claim does not hold: nobody saturates later, nobody serves more."""
    summary = summarize(SETTINGS, simulated_run(_2active=30, _3active=30))
    assert summary.comparison is not None
    [pair] = summary.comparison.pairs
    assert (pair.topology, pair.against, len(pair.loads)) == ("3active", "2active", 5)
    for part in (pair.saturation, pair.beyond):
        assert part is not None
        assert part.verdict == Verdict.EQUAL
        assert part.low < 0.05
        assert part.high > -0.05
        assert part.refused_apart > 0
    assert summary.finding[0] == (
        "2active and 3active saturate at the same rate and serve the same beyond it, within 0.5 slots."
    )
    [claim] = summary.comparison.claims
    assert (claim.claim, claim.verdict) == (CLAIM, "does not hold")
    assert claim.reason == "3active saturates at the same rate as 2active and serves the same beyond that"


def test_lost_slot_is_told_in_both_parts() -> None:
    """2active with 29 slots instead of 30: 3active is better by about one, which some 30 requests in each load show."""
    summary = summarize(SETTINGS, simulated_run(_2active=29, _3active=30))
    assert summary.comparison is not None
    [pair] = summary.comparison.pairs
    assert pair.saturation is not None
    assert pair.beyond is not None
    assert (pair.saturation.verdict, pair.beyond.verdict) == (Verdict.BETTER, Verdict.BETTER)
    assert pair.saturation.slots == pytest.approx(1, abs=0.4)
    assert pair.beyond.slots == pytest.approx(1, abs=0.15)
    assert sum(load.refused_less for load in pair.loads) == pytest.approx(150, abs=40)
    assert summary.finding[0] == "3active saturates later than 2active and serves more beyond that."
    assert summary.comparison.claims[0].verdict == "holds"
    named_first = replace(SETTINGS, topologies=[PLANS["3active"], PLANS["2active"]])
    turned = summarize(named_first, simulated_run(_3active=29, _2active=30))
    assert turned.comparison is not None
    assert turned.comparison.pairs[0].topology == "3active"
    assert turned.finding[0] == "3active saturates earlier than 2active and serves less beyond that."
    assert turned.comparison.claims[0].verdict == "does not hold"


def test_topologies_of_other_sizes_are_told_in_slots() -> None:
    """20 slots less by plan are about 20 less by the records, and the sentence names both."""
    settings = replace(SETTINGS, topologies=[PLANS["single"], PLANS["3active"]])
    summary = summarize(settings, simulated_run(single=10, _3active=30))
    assert summary.comparison is not None
    [pair] = summary.comparison.pairs
    assert pair.planned_slots_more == 20
    assert pair.beyond is not None
    assert pair.beyond.slots == pytest.approx(20, abs=1)
    assert "by plan +20)" in summary.finding[1]


def test_few_arrivals_leave_it_open_and_say_how_many_more_would_do() -> None:
    """With a narrow margin: no verdict, a number of arrivals, and the claim is not decided."""
    settings = replace(SETTINGS, margins=Margins(slots=0.01))
    summary = summarize(settings, simulated_run(100, _2active=30, _3active=30))
    assert summary.comparison is not None
    part = summary.comparison.pairs[0].beyond
    assert part is not None
    assert part.verdict == Verdict.NOT_DECIDED
    assert part.more_arrivals is not None
    assert part.more_arrivals % 100 == 0
    assert f"not decided: about {part.more_arrivals:,} more arrivals at each load would do" in " ".join(summary.finding)
    assert summary.comparison.claims[0].verdict == "not decided"


def test_equal_counts_of_refused_requests_are_told_as_many() -> None:
    """Two topologies that refuse the very same requests: neither fewer nor more."""
    summary = summarize(SETTINGS, simulated_run(100, _2active=30, _3active=30))
    assert summary.comparison is not None
    [pair] = summary.comparison.pairs
    assert pair.saturation is not None
    alike = replace(pair, saturation=replace(pair.saturation, refused_less=0))
    assert " It refused as many of the same " in pair_sentences(alike, 0.5)[0]


def test_invalid_point_takes_its_load_out_of_the_pair(tmp_path: Path) -> None:
    """A request lost otherwise says nothing of slots: the load is left out for both, and the report says so."""
    run = simulated_run(300, _2active=30, _3active=30)
    broken = [replace(each, reason="timeout", status=504) for each in run[0].arrivals]
    lagging = [replace(each, sent_at_s=each.sent_at_s + 0.1) for each in run[3].arrivals]
    summary = summarize(
        SETTINGS, [replace(run[0], arrivals=broken), *run[1:3], replace(run[3], arrivals=lagging), *run[4:]]
    )
    assert summary.comparison is not None
    [pair] = summary.comparison.pairs
    assert [load.aimed_blockings for load in pair.loads] == [[0.20], [0.35], [0.51]]
    for name in ("2active", "3active"):
        assert any(sentence.startswith(f"Invalid: {name} at ") for sentence in summary.finding)
    alone = summarize(SETTINGS, [each for each in run if each.point.topology == "3active"])
    assert alone.finding[0] == "Fewer than two topologies have a finished point, so nothing is compared."
    nothing_valid = [replace(each, arrivals=broken) if each.point == run[0].point else each for each in run[:2]]
    summary = summarize(SETTINGS, nothing_valid)
    assert "at no load are both points valid" in summary.finding[1]
    assert "invalid" in page(summary, nothing_valid, tmp_path)


def test_goodput_is_what_was_offered_less_all_that_failed() -> None:
    """Good answers per second beside theory's, with the interval of the refused share turned round."""
    summary = summarize(SETTINGS, simulated_run(_2active=30, _3active=30))
    assert summary.comparison is not None
    for point, good in zip(summary.points, summary.comparison.goodput, strict=True):
        assert good.goodput_per_s == pytest.approx(point.arrival_rate_per_s * (1 - point.refused_share), abs=0.01)
        assert good.low_per_s < good.goodput_per_s < good.high_per_s
        assert good.theory_per_s == pytest.approx(good.goodput_per_s, rel=0.03)
    assert summary.comparison.goodput[4].theory_per_s == pytest.approx(30 / 0.501 * 0.97, rel=0.03)


def test_claim_is_judged_beside_every_other_topology() -> None:
    """Better than one is not enough; a run without its topology judges no claim."""
    settings = replace(SETTINGS, topologies=[*PLANS.values()])
    summary = summarize(settings, simulated_run(500, single=10, _2active=30, _3active=30))
    assert summary.comparison is not None
    assert len(summary.comparison.pairs) == 3
    [claim] = summary.comparison.claims
    assert claim.verdict == "does not hold"
    assert "single" not in claim.reason
    better = [pair for pair in summary.comparison.pairs if (pair.topology, pair.against) == ("3active", "single")]
    assert judge_claim(better)[0].verdict == "holds"
    assert judge_claim([pair for pair in summary.comparison.pairs if pair.topology == "2active"]) == []


def test_report_of_topologies_is_made_from_the_records_alone(tmp_path: Path) -> None:
    """Settings read back, tables in 80 columns, a page without references outside; export and diff know it."""
    write_json(tmp_path / "settings.json", SETTINGS)
    for records in simulated_run(300, _2active=30, _3active=30):
        place = tmp_path / f"{records.point.topology}-{records.point.aimed_blocking:.2f}"
        place.mkdir()
        write_rows(place / "requests.csv", *random.Random(1).sample(records.arrivals, len(records.arrivals)))
        write_json(place / "run.json", records.point)
    assert read_record(BlockingSettings, tmp_path / "settings.json") == SETTINGS
    out = io.StringIO()
    print_summary(EXPERIMENT, write_report(EXPERIMENT, tmp_path), Console(file=out, width=80))
    assert max(map(len, out.getvalue().split("The post's claim")[0].splitlines())) <= 80
    made = {name: (tmp_path / name).read_bytes() for name in ("summary.json", "report.html", "goodput.svg")}
    assert b"http://" not in made["report.html"]
    assert set(json.loads(made["summary.json"])["comparison"]) == {"goodput", "pairs", "claims"}
    assert json.loads(made["summary.json"])["points"][0]["topology"] == "2active"
    assert main(["report", str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in made} == made
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "all.csv")]) == 0
    assert main(["diff", str(tmp_path), str(tmp_path)]) == 0


def test_common_start_is_one_moment_for_all_once_all_are_there() -> None:
    """The last to arrive sets it, a little ahead; the first waits."""
    start, moments = CommonStart(2), []
    first = threading.Thread(target=lambda: moments.append(start.wait(StopRequest())))
    first.start()
    first.join(0.2)
    assert first.is_alive()
    before = time.time()
    moments.append(start.wait(StopRequest()))
    first.join(10)
    assert moments[0] == moments[1] > before


def test_routers_are_set_beside_each_other_by_the_same_arrivals() -> None:
    """A refusal of another router is told by its status; claims about topologies are of this project's alone."""
    plans = [
        replace(PLANS["2active"], name=f"2active / {router}", topology="2active", router=router)
        for router in ("flask", "nginx")
    ]
    settings = replace(SETTINGS, topologies=plans)
    records = [simulated(point, 30) for point in plan_curve(plans, SERVICE_TIME_S, 1000, seed=1)]
    refused = [
        replace(each, arrivals=[replace(a, reason="Bad Gateway", status=502) if a.failed else a for a in each.arrivals])
        if each.point.router == "nginx"
        else each
        for each in records
    ]
    summary = summarize(settings, refused)
    by_router = {name: [p.refused for p in summary.points if p.topology == name] for name in (p.name for p in plans)}
    assert by_router["2active / nginx"] == pytest.approx(by_router["2active / flask"], rel=0.2)
    assert all(point.other_failures == 0 for point in summary.points)
    assert summary.comparison is not None
    assert [(pair.against, pair.topology) for pair in summary.comparison.pairs] == [tuple(by_router)]
    assert summary.comparison.claims == []
    renamed = [replace(each, router="nginx") for each in (PLANS["2active"], PLANS["3active"])]
    alone = replace(settings, topologies=renamed)
    points = [simulated(point, 30) for point in plan_curve(renamed, SERVICE_TIME_S, 1000, seed=1)]
    comparison = summarize(alone, points).comparison
    assert comparison is not None
    assert (bool(comparison.pairs), comparison.claims) == (True, [])
