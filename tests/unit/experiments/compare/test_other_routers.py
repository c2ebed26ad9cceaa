"""A comparison with other routers than this project's, from a hand-written run folder."""

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from experiments.compare.experiment import EXPERIMENT
from experiments.compare.findings import pace
from experiments.compare.records import CompareRun, FirstFailure, read_runs
from experiments.compare.report import summarize, tables
from experiments.compare.run import swarm_text
from experiments.compare.summary import ComparisonSummary
from experiments.experiment import print_summary, write_report
from experiments.results import store
from experiments.results.records import RouterRecord, TopologyPlan
from tests.frozen.produce import page_text
from tests.harness.charts import empty_charts
from tests.unit.experiments.compare.test_report import PLANS, SETTINGS, START_S, write_run

ROUTERS = ("flask", "nginx", "haproxy-plain")
RECORDS = [RouterRecord(name, "1.22.1", [name], f"{name}.j2", "0" * 64) for name in ROUTERS[1:]]


def plan_with(topology: TopologyPlan, router: str) -> TopologyPlan:
    """The plan of a deployment, where several routers were chosen."""
    return dataclasses.replace(topology, name=f"{topology.name} / {router}", topology=topology.name, router=router)


PLANNED = [plan_with(topology, router) for topology in PLANS[1:] for router in ROUTERS]
HERE = dataclasses.replace(SETTINGS, topologies=PLANNED, routers=RECORDS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Behind this project's router every topology fails at 20 requests/s, behind others at 15, with a 502."""
    for plan in PLANNED:
        own, name = plan.router == "flask", plan.name.replace(" / ", "-")
        write_run(tmp_path, dataclasses.replace(plan, name=name), 20.0 if own else 15.0)
        run = tmp_path / f"{name}-1"
        store.write_json(run / store.RUN, CompareRun(plan.name, 1, "first_failure", START_S - 2, START_S + 21))
        if not own:
            failure = FirstFailure(START_S + 20, 20.0, 20, 15.0, 10.0, 150, "Bad Gateway", 502, None, {})
            store.write_json(run / store.FIRST_FAILURE, failure)
            (run / store.LOADS).write_text("time_s,predictor,status,load,capacity,state,served,failed\n")
    store.write_json(tmp_path / store.SETTINGS, HERE)
    return tmp_path


@pytest.fixture
def summary(folder: Path) -> ComparisonSummary:
    """What that comes to."""
    return summarize(HERE, read_runs(folder))


def test_what_only_a_router_tells_is_left_open(summary: ComparisonSummary) -> None:
    """No loads; and no rate to plan with, for what it refuses is not known by theory."""
    own, other = summary.topologies[:2]
    assert (own.foreign, other.foreign) == (False, True)
    assert own.refused_share_if_held is not None
    assert (other.refused_share_if_held, other.rate_at_budget_per_s) == (None, None)
    assert other.loads["predict1"].load is None
    assert {each.topology.rpartition(" / ")[2] for each in summary.telling} == {"flask"}
    assert [each.title for each in tables(summary) if "Load" in str(each.title)]
    of_others = dataclasses.replace(summary, topologies=[each for each in summary.topologies if each.foreign])
    assert not [each.title for each in tables(of_others) if "Load" in str(each.title)]
    assert other.rate_at_first_failure_per_s is not None


def test_a_502_of_another_router_is_its_refusal(summary: ComparisonSummary) -> None:
    """With nobody broken it means that all slots are held; the same of this project's is something else."""
    assert summary.topologies[1].saturated
    assert not dataclasses.replace(summary.topologies[1], foreign=False).saturated
    assert "not saturation" not in " ".join(summary.finding)


def test_theory_is_a_yardstick_beside_other_routers(summary: ComparisonSummary) -> None:
    """It is of a router that fills every slot and refuses at once: no run of another counts for or against it."""
    text = " ".join(summary.finding)
    assert "beside 2active / nginx, 2active / haproxy-plain, 3active / nginx and 3active / haproxy-plain it" in text
    assert "2active / nginx run 1" not in text


def test_pairs_have_topology_or_router_in_common(summary: ComparisonSummary) -> None:
    """Of more than a reader takes in those alone have a sentence that are decided."""
    pairs = [each.topologies for each in summary.agreement]
    assert len(pairs) == 2 * 3 + 3
    assert ("2active / flask", "3active / nginx") not in pairs
    assert "Not decided: 9 of 9 pairs (agreement in summary.json)." in summary.finding


def test_tables_stand_in_80_columns_and_the_page_names_the_routers(folder: Path) -> None:
    """The post's figures have no place there: they are of one router."""
    with empty_charts():
        summary = write_report(EXPERIMENT, folder)
    printed = io.StringIO()
    print_summary(EXPERIMENT, summary, Console(file=printed, width=80))
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(" 2active / haproxy-plain  ") for line in lines)
    assert any(line.startswith(" 2active / flask  predict1   active  ") for line in lines)
    assert not summary.has_post
    assert "Routers nginx: nginx, nginx.j2" in page_text((folder / "report.html").read_text(encoding="utf-8"))


def test_pace_names_the_router_where_there_is_one() -> None:
    """Several stand in the table."""
    one = dataclasses.replace(HERE, topologies=[dataclasses.replace(PLANS[1], router="nginx")], routers=RECORDS[:1])
    assert pace(one).endswith(", nginx as the router")
    assert pace(dataclasses.replace(SETTINGS, engine="haproxy")).endswith("haproxy as the router's engine)")
    assert "router" not in pace(HERE)


def test_swarm_text_without_an_admin_port_has_no_loads(folder: Path) -> None:
    """Users and answers are by the records."""
    (folder / "2active-nginx-1" / store.FIRST_FAILURE).unlink()
    assert swarm_text(folder / "2active-nginx-1", None).startswith("20 users, ")
    assert "loads" not in swarm_text(folder / "2active-nginx-1", None)
