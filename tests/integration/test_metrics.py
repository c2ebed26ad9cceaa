"""The metrics and the log of a running router: every request counted, across topologies; every change told once."""

import json
from datetime import datetime

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.http_client import fetch
from tests.harness.processes import Router
from tests.harness.stage import Stage
from tests.harness.stubs import answers, resets
from tests.harness.waiting import wait_until

NAME = "ha_router_requests_total"


def scrape(router: Router) -> dict[tuple[str, ...], float]:
    """Every sample: its value by its name and the values of its labels."""
    answer = fetch(router.admin_url, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.body.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_metrics_count_every_request_and_survive_a_change_of_topology(stage: Stage) -> None:
    """Answers by code, a refusal, a re-sent request and the latency are counted on, whatever the topology."""
    deployed = stage.deploy_tree()
    router = deployed.router
    deployed.set(answers(400, b"{}"), 0)
    assert {fetch(router.url).status for _ in range(2)} == {400}
    deployed.set(resets, 0)
    assert fetch(router.url).status == 502
    deployed.save(topology=1)
    deployed.wait_for_topology("2active")
    assert [fetch(router.url).predictor for _ in range(2)] == ["predict2"] * 2  # by way of predict1, which fails
    found = scrape(router)
    assert (found[NAME, "400", "predict1"], found[NAME, "200", "predict2"]) == (2, 2)
    assert found["ha_router_refusals_total", "bad_answer"] == 1
    assert found["ha_router_resends_total", "predict1"] == 2
    assert found["ha_router_request_duration_seconds_count",] == 4
    assert found["ha_router_topology_info", "2active"] == 1
    assert (router.predictors("failed")[0], router.predictors("resent")[0]) == (2, 2)
    deployed.save(topology=0)
    deployed.wait_for_topology("single")
    assert (router.predictors("failed"), router.predictors("resent")) == ([0], [0])  # these begin with the topology


def test_log_as_json_tells_each_change_once_and_no_request(stage: Stage) -> None:
    """Every line is a JSON object with a time; who is taken out, and who replaces it, stands in one line each."""
    deployed = stage.deploy("2active", "--log-format", "json")
    router = deployed.router
    before = router.output().count("\n")
    assert [fetch(router.url).status for _ in range(5)] == [200] * 5
    deployed.stubs[0].go_down()
    router.event_time_s("predict3", "promoted")
    wait_until(lambda: router.output().count("\n") == before + 2)
    lines = [json.loads(line) for line in router.output().splitlines()]
    assert [line["event"] for line in lines] == ["topology", "serving", "serving", "ejected", "promoted"]
    assert lines[-1]["predictor"] == "predict3"
    assert lines[-1]["reason"] == "predict1 is down"
    assert all(datetime.fromisoformat(line["time"]).utcoffset() is not None for line in lines)
    assert router.errors() == ""
