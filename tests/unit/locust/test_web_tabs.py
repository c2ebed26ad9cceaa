"""The tabs of Locust's web page, without a browser and without a swarm."""

import json

from tests.unit.locust.scripts import printed

ROWS = r"""
from topology_tab import predictor_row
hostile = {"role": "standby", "status": True, "state": "a\nb" * 99, "load": {}, "capacity": [], "peak_load": 7}
cold = {"role": "standby", "standby": "cold", "status": False, "state": "wanted", "load": 0, "capacity": 10}
print(json.dumps([predictor_row("<b>\x1b[31m", hostile), predictor_row("predict3", cold)]))
"""

POLLER = r"""
import gevent, time
import topology_tab
from admin_client import AdminError
topology_tab.POLL_TIMEOUT_S = 0.3
asked, state = [], {"topology": "single", "predictors": {"predict1": {"load": 1, "capacity": 2}}}
def get(admin):
    asked.append(admin)
    if admin == "slow":
        gevent.sleep(3)
    if admin == "silent":
        raise AdminError("nothing serves there")
    return state
options = Some(admin="good")
poller = topology_tab.TopologyPoller(options, get)
def polled(admin):
    options.admin, poller._fetched_s = admin, poller._fetched_s - 1.0
    begun_s = time.monotonic()
    poller.refresh(polling=True)
    return [next(iter(row.values())) for row in poller.rows()], time.monotonic() - begun_s < 2.0
shown = [polled("good"), polled("slow")]
poller._fetching.kill()
shown += [polled("silent"), polled("good")]
for _ in range(50):
    poller.refresh(polling=True)
print(json.dumps([shown, asked]))
"""

POLL = r"""
from flask import Blueprint, Flask, jsonify
from web_tabs import Tab, add_tabs
app, locusts, states, polls = Flask("app"), Blueprint("locust", "app"), ["stopping", "stopped"], []
locusts.add_url_rule("/stats/requests", "request_stats", lambda: jsonify({"state": states.pop(0), "stats": [1]}))
locusts.add_url_rule("/tasks", "tasks", lambda: jsonify({"state": "stopping"}))
app.register_blueprint(locusts)
tabs = [Tab("first", "First", {"a": "A"}, lambda: [{"a": 1}]), Tab("second", "Second", {"b": "B"}, list)]
page = Some(app=app, template_args={})
add_tabs(page, tabs, polls.append)
client = app.test_client()
answers = [client.get(path).get_json() for path in ("/stats/requests", "/stats/requests", "/tasks")]
print(json.dumps([*answers, polls, page.template_args]))
"""

RUN_COUNTERS = """
from topology_tab import RunCounters
def state(since, **served):
    return {"since": since, "predictors": {name: {"served": count} for name, count in served.items()}}
def values(counters, *states):
    return [counters.value(one, "a", "served") for one in states]
states = state(50.0, a=9), state(150.0, a=3), state(50.0, a="9"), {"predictors": {"a": {"served": 4}}}
known, unknown = RunCounters(100.0), RunCounters(100.0)
known.set_baseline(state(50.0, a=7))
print(json.dumps([values(known, *states), values(unknown, *states)]))
"""


def test_rows_hold_short_text_and_numbers_whatever_came_over_the_network() -> None:
    """Every cell can be shown: no line breaks, no objects; a state is a word of the router's, whichever it is."""
    hostile, cold = json.loads(printed(ROWS))
    assert all(isinstance(cell, int) or (len(cell) <= 80 and cell.isprintable()) for cell in hostile.values())
    assert (hostile["predictor"], hostile["load"], hostile["peak"]) == ("<b> [31m", "{} / []", 7)
    assert (cold["role"], cold["status"], cold["load"]) == ("cold standby", "wanted", "0 / 10")


def test_poller_asks_at_most_once_a_second_and_waits_for_no_slow_router() -> None:
    """A slow router leaves the last figures standing; a silent one is named, with the remedy; it may come back."""
    shown, asked = json.loads(printed(POLLER))
    silence = ["The router cannot be asked at silent: nothing serves there."]
    remedy = ["Start it (python router.py), or correct Admin under Custom parameters."]
    assert [rows for rows, _ in shown] == [["predict1"], ["predict1"], silence + remedy, ["predict1"]]
    assert all(quick for _, quick in shown)
    assert asked == ["good", "slow", "silent", "good"]


def test_poll_gets_the_tabs_rows_and_no_state_at_which_the_page_ceases_to_ask() -> None:
    """The answer to the page's poll gains the rows; while the run stops, the page goes on asking."""
    stopping, stopped, tasks, polls, template_args = json.loads(printed(POLL))
    assert stopping["extended_stats"] == [{"key": "first", "data": [{"a": 1}]}, {"key": "second", "data": []}]
    assert (stopping["state"], stopped["state"], stopping["stats"]) == ("running", "stopped", [1])
    assert tasks == {"state": "stopping"}
    assert polls == [True, False]
    assert template_args["extended_tabs"] == [{"key": "first", "title": "First"}, {"key": "second", "title": "Second"}]
    assert template_args["extended_tables"][0] == {"key": "first", "structure": [{"key": "a", "title": "A"}]}


def test_counts_of_a_run_leave_out_what_came_before_it() -> None:
    """What the router had counted at the start is taken off, unless its topology came in since and began at 0."""
    known, unknown = json.loads(printed(RUN_COUNTERS))
    assert known == [2, 3, "9", 4]
    assert unknown == ["unknown", 3, "9", "unknown"]  # the router did not answer when the run started
