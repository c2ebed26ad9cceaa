"""What a failover run with other routers than this project's comes to, from hand-written records."""

import dataclasses
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from cli import UsageError
from experiments.experiment import write_report
from experiments.failover.charts import bar_names
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.faults import FAULTS, what_is_done
from experiments.failover.findings import MOST_NAMED
from experiments.failover.measured_inputs import measure_inputs
from experiments.failover.records import DomainPlan, FailoverSettings, FaultRun, read_fault_runs
from experiments.failover.report import ONE_ROUTER, sentences, summarize, tables
from experiments.failover.window_metrics import WindowFigures, measure_window
from experiments.failover.windows import windows_of
from experiments.results.records import RouterRecord
from experiments.results.store import SETTINGS, write_json
from tests.frozen.produce import page_text
from tests.harness.charts import empty_charts
from tests.unit.experiments.failover.hand_written import SETTINGS_HERE, THREE, TWO, fault_steps, request, write_run

NGINX = RouterRecord("nginx", "nginx version: nginx/1.22.1", ["nginx", "-c", "{config}"], "nginx.conf.j2", "0" * 64)


def plan_with(topology: DomainPlan, router: str) -> DomainPlan:
    """The plan of a deployment, where several routers were chosen."""
    return dataclasses.replace(topology, name=f"{topology.name} / {router}", topology=topology.name, router=router)


def settings_with(*routers: str, topologies: tuple[DomainPlan, ...] = (TWO,)) -> FailoverSettings:
    """Settings of a run of these topologies with each of these routers."""
    plans = [plan_with(topology, router) for topology in topologies for router in routers]
    records = [dataclasses.replace(NGINX, name=name) for name in routers if name not in ("flask", "haproxy")]
    return dataclasses.replace(SETTINGS_HERE, topologies=plans, routers=records, supervised=True)


def runs_of(folder: Path, settings: FailoverSettings, lost: int = 20) -> list[FaultRun]:
    """A run of each deployment: a crash that cost so many requests; only this project's routers have events."""
    for plan in settings.topologies:
        write_run(folder, dataclasses.replace(plan, name=plan.name.replace(" / ", "-")), lost)
        path = folder / f"{plan.name.replace(' / ', '-')}-1"
        run_json = path / "run.json"
        run_json.write_text(run_json.read_text().replace(plan.name.replace(" / ", "-"), plan.name))
        if settings.is_foreign(plan):
            write_json(path / "events.json", [])
    write_json(folder / SETTINGS, settings)
    return read_fault_runs(folder)


def window_of(folder: Path, router: str) -> WindowFigures:
    """The figures of the crash behind that router: the last request lost was sent 1.9 s after it."""
    settings = settings_with(router)
    [run] = runs_of(folder, settings)
    return measure_window(windows_of(run, settings)[0])


def test_outage_lasts_until_the_last_request_lost_was_sent(tmp_path: Path) -> None:
    """Whoever the router is; what was lost in flight when the fault struck alone makes none."""
    assert window_of(tmp_path / "own", "flask").outage_s == 1.9
    assert window_of(tmp_path / "other", "nginx").outage_s == 1.9
    settings = settings_with("nginx")
    [run] = runs_of(tmp_path / "flight", settings)
    for first, outage_s in ((request(-0.1, "down"), 0.0), (request(1), 0.0), (request(3, "down", latency_s=5), 3.0)):
        struck = dataclasses.replace(run, requests=[first, request(9)])
        assert measure_window(windows_of(struck, settings)[0]).outage_s == outage_s


def test_router_without_events_has_no_figure_of_slots(tmp_path: Path) -> None:
    """Its silence is no sign that all went well: what only a router can tell is not known."""
    names = ("below_need_s", "without_reserve_s", "recovery_s", "redundancy_s", "response_s")
    own, other = window_of(tmp_path / "own", "flask"), window_of(tmp_path / "other", "nginx")
    assert None not in [getattr(own, name) for name in names]
    assert [getattr(other, name) for name in names] == [None] * 5
    assert (other.lost, other.delayed, other.downtime_s) == (own.lost, own.delayed, own.downtime_s)


def test_own_fault_of_another_router_recovers_when_it_serves_again(tmp_path: Path) -> None:
    """Theory knows none of its faults, so nothing says that it serves all along."""
    settings = settings_with("nginx")
    [run] = runs_of(tmp_path, settings)
    for fault in ("router restart", "router crash"):
        struck = dataclasses.replace(run, actions=fault_steps(fault, "router"))
        found = measure_window(windows_of(struck, settings)[0])
        assert (found.recovery_s, found.capacity_lost_share) == (6.0, 1.0)


def test_summary_predicts_and_claims_nothing_of_other_routers(tmp_path: Path) -> None:
    """Theory is of the Flask engine, claims and answer are of topologies behind one router: a sentence says so."""
    settings = settings_with("flask", "nginx", topologies=(TWO, THREE))
    runs = runs_of(tmp_path / "run", settings)
    summary = summarize(settings, runs)
    [load] = summary.loads
    own, other = (load.of(f"2active / {name}").faults[0] for name in ("flask", "nginx"))
    assert own.predicted_lost is not None
    assert other.predicted_lost is None
    assert load.of("2active / nginx").has_reserve is None
    assert (summary.verdicts, summary.answer, sentences(summary)[-1]) == ([], None, ONE_ROUTER)
    assert "Of nginx the clients' records tell all that is known" in " ".join(summary.finding)
    with pytest.raises(UsageError, match="the answer is of one router, this project's"):
        measure_inputs(settings, runs, "results/run")


def test_claims_are_not_judged_behind_another_router(tmp_path: Path) -> None:
    """Though topologies alone make the columns, under their own names."""
    plans = [dataclasses.replace(each, router="nginx") for each in (TWO, THREE)]
    settings = dataclasses.replace(settings_with("nginx"), topologies=plans)
    summary = summarize(settings, runs_of(tmp_path, settings))
    assert [each.topology for each in summary.topologies] == ["2active", "3active"]
    assert summary.pairs
    assert (summary.verdicts, summary.answer) == ([], None)


def test_pairs_have_topology_or_router_in_common(tmp_path: Path) -> None:
    """Where both differ nobody could say which of them made the difference."""
    settings = settings_with("flask", "nginx", topologies=(TWO, THREE))
    pairs = {(each.a, each.b) for each in summarize(settings, runs_of(tmp_path, settings)).pairs}
    assert pairs == {
        ("2active / flask", "2active / nginx"),
        ("2active / flask", "3active / flask"),
        ("2active / nginx", "3active / nginx"),
        ("3active / flask", "3active / nginx"),
    }


def test_report_has_no_column_in_which_no_router_has_a_figure(tmp_path: Path) -> None:
    """Of others alone slots and theory are in none; beside this project's they stay. No line begins with a stroke."""
    for routers, are_told in (("nginx", "envoy"), False), (("flask", "nginx"), True):
        settings = settings_with(*routers)
        folder = tmp_path / routers[0]
        runs_of(folder, settings)
        with empty_charts():
            write_report(EXPERIMENT, folder)
        html = (folder / "report.html").read_text()
        [head] = re.findall(r"<thead><tr><th>Deployment</th><th>Lost</th>.*?</thead>", html, re.DOTALL)
        assert ("No\nreserve" in head, "(theory)" in head, "Of slots these routers tell" in html) == (
            are_told, are_told, not are_told,
        )  # fmt: skip
        group = re.search(r'<tr class="group"><th colspan="(\d+)">', html)
        assert group is not None
        assert int(group[1]) == head.count("<th>")
        [h1] = re.findall(r"<h1.*?</h1>", html, re.DOTALL)
        assert f"2active\u00a0/ {routers[1]}" in h1
        assert f"<td>2active\u00a0/\u00a0{routers[1]}</td>" in html


def test_page_tells_nothing_of_this_projects_router_where_it_took_no_part(tmp_path: Path) -> None:
    """No process, hold-down, event log, claim or drain, and no option that other routers refuse."""
    of_own = (
        "a supervisor, one that serves, a spare", "Router's hold-down", "from the router's event log", "promotion,",
        "(drain, stop, start, ready)",
    )  # fmt: skip
    for routers, took_part in (("nginx", "envoy"), False), (("flask", "nginx"), True):
        folder = tmp_path / routers[0]
        runs_of(folder, settings_with(*routers))
        with empty_charts():
            write_report(EXPERIMENT, folder)
        html = (folder / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")
        assert [words in html for words in of_own] == [took_part] * len(of_own)
        assert "what the post claims" not in html
        assert "--until-decided" not in html
        assert "decides nothing about who is better" in html


def test_bars_of_one_topology_are_named_by_their_routers(tmp_path: Path) -> None:
    """Of several the names are whole, and so they are behind one router."""
    for routers, topologies, names in (
        (("flask", "nginx"), (TWO,), ["flask", "nginx"]),
        (
            ("flask", "nginx"),
            (TWO, THREE),
            ["2active / flask", "2active / nginx", "3active / flask", "3active / nginx"],
        ),
        (("nginx",), (TWO,), ["2active / nginx"]),
    ):
        settings = settings_with(*routers, topologies=topologies)
        folder = tmp_path / f"{len(routers)}-{len(topologies)}"
        assert bar_names(summarize(settings, runs_of(folder, settings))) == names


def test_tables_of_long_names_stand_in_80_columns(tmp_path: Path) -> None:
    """A deployment's name is on one line; metrics of many stand some at a time; of many one sentence names none."""
    settings = settings_with("flask", "haproxy", "nginx", "haproxy-plain", topologies=(TWO, THREE))
    summary = summarize(settings, runs_of(tmp_path, settings))
    printed = io.StringIO()
    Console(file=printed, width=80).print(*tables(summary))
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(" 2active / haproxy-plain " in line and "1.90 s" in line for line in lines)
    assert sum("The post's six metrics" in line for line in lines) == 3
    assert len(settings.topologies) > MOST_NAMED
    assert summary.finding[0].startswith("8 deployments lose 2 s per fault, not told apart")


def test_what_is_done_behind_others_is_told_of_them_alone() -> None:
    """They have no drain, no supervisor and no spare."""
    own, other, both = settings_with("flask"), settings_with("nginx"), settings_with("flask", "nginx")
    upgrade = FAULTS["upgrade"]
    assert what_is_done("upgrade", own) == upgrade.what
    assert what_is_done("upgrade", other) == upgrade.what_behind_others
    assert what_is_done("upgrade", both) == f"{upgrade.what}; behind others {upgrade.what_behind_others}"
    assert what_is_done("crash", both) == FAULTS["crash"].what


def test_page_names_the_routers_and_leaves_the_posts_column_out(tmp_path: Path) -> None:
    """Their files and versions stand among the settings."""
    folder = tmp_path / "run"
    runs_of(folder, settings_with("flask", "nginx"))
    with empty_charts():
        write_report(EXPERIMENT, folder)
    text = page_text((folder / "report.html").read_text(encoding="utf-8"))
    assert "Routers nginx: nginx -c {config}, nginx.conf.j2 (SHA-256 0000000000000000), nginx version" in text
    assert "flask: this project's router with that engine" in text
    assert "In the post" not in text
    assert ONE_ROUTER in text
