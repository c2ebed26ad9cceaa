"""What the swarm adds to Locust's web page, without a browser and without a swarm; each script in its own process."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.locust.scripts import printed

ROWS = r"""
import locust
import json, time
from types import SimpleNamespace as Some
from first_failure import Run
import web_tabs
hostile = {"role": "standby", "status": True, "state": "a\nb" * 99, "load": {}, "capacity": [], "peak_load": 7}
row = web_tabs.predictor_row("<b>\x1b[31m", hostile)
record = {"time_s": 25.0, "elapsed_s": 25.0, "window_s": 10.0, "requests_in_window": 56, "users": 25, "status": 503,
          "rate_at_first_failure_per_s": 5.6, "cause": "saturated", "topology": "single",
          "loads": {"predict1": {"load": 10, "capacity": 10}}}
failed = web_tabs.run_row(1, Run(0.0, failure=record))
young = web_tabs.describe_rate(record | {"window_s": 4.0, "requests_in_window": 8, "rate_at_first_failure_per_s": 2.0})
newborn = web_tabs.describe_rate(record | {"window_s": 0.01, "requests_in_window": 3})
unasked = web_tabs.run_row(1, Run(0.0, topology="2active", failure=record | {"topology": None}))["topology"]
going, over = (web_tabs.run_row(2, Run(0.0, ended_s=ended_s))["cause"] for ended_s in (None, 60.0))
print(json.dumps([row, failed, unasked, young, newborn, going, over]))
"""

WATCH = r"""
import locust
import gevent, json, time
from types import SimpleNamespace as Some
from admin_client import RouterSilentError
from web_tabs import RouterWatch
asked, told = [], {"topology": "single", "predictors": {"predict1": {"load": 1, "capacity": 2}}}
def ask(admin):
    asked.append(admin)
    if admin == "slow":
        gevent.sleep(3)
    if admin == "silent":
        raise RouterSilentError("nothing serves there")
    return told
options = Some(admin="good")
watch = RouterWatch(options, ask)
def looked(admin):
    options.admin, watch._asked_s = admin, watch._asked_s - 1.0
    begun_s = time.monotonic()
    watch.look(0.3)
    return [next(iter(row.values())) for row in watch.rows()], time.monotonic() - begun_s < 2.0
shown = [looked("good"), looked("slow")]
watch._asking.kill()
shown += [looked("silent"), looked("good")]
for _ in range(50):
    watch.look(0.3)
print(json.dumps([shown, asked]))
"""

COUNTS = r"""
import locust
import json
from counters import RunCounts
def state(since, **served):
    return {"since": since, "predictors": {name: {"served": count} for name, count in served.items()}}
def counted(counts, *told):
    return [counts.of_run(one, "a", "served") for one in told]
told = state(50.0, a=9), state(150.0, a=3), state(50.0, a="9"), {"predictors": {"a": {"served": 4}}}
asked, silent = RunCounts(100.0), RunCounts(100.0)
asked.found(state(50.0, a=7))
print(json.dumps([counted(asked, *told), counted(silent, *told)]))
"""

POLL = r"""
import locust
import json
from types import SimpleNamespace as Some
from flask import Blueprint, Flask, jsonify
from web_tabs import Tabs
app, locusts, states = Flask("app"), Blueprint("locust", "app"), ["stopping", "stopped"]
locusts.add_url_rule("/stats/requests", "request_stats", lambda: jsonify({"state": states.pop(0), "stats": [1]}))
locusts.add_url_rule("/tasks", "tasks", lambda: jsonify({"state": "stopping"}))
app.register_blueprint(locusts)
options = Some(admin="http://127.0.0.1:9")
Tabs(Some(parsed_options=options, runner=None), Some(runs=[])).connect(app)
client = app.test_client()
print(json.dumps([client.get(path).get_json() for path in ("/stats/requests", "/stats/requests", "/tasks")]))
"""

CSV = r"""
import locust
from first_failure import Run
from csv_file import RowFile, csv_text
from web_downloads import first_failures_csv
record = {"time_s": 9.0, "elapsed_s": 4.0, "window_s": 4.0, "requests_in_window": 8, "users": 25, "status": 503,
          "rate_at_first_failure_per_s": 2.0, "cause": "=cmd|calc", "topology": "-x",
          "loads": {"@a": {"load": 1, "capacity": 2}}}
print(first_failures_csv([Run(5.0, failure=record), Run(7.0)]))
print(*map(csv_text, ["=1", " +1", "-1", "@x", "saturated", ""]), sep=";")
rows = RowFile(None, ("a", "b"))
content = rows.content()
for number in range(20000):
    rows.add((number, "x" * 9))
text = b"".join(rows.content())
print(text.count(b"\n"), text.splitlines()[-1].decode())
"""

HOSTS = r"""
import locust
from flask import Flask
from web_page import is_own_host
app = Flask("app")
for host in ("127.0.0.1:8089", "localhost:8089", "[::1]:8089", "evil.example:8089"):
    with app.test_request_context(base_url=f"http://{host}"):
        print(int(is_own_host()), end="")
"""

FORMS = r"""
import json, sys
import locust.argument_parser
from types import SimpleNamespace as Some
from flask import Flask, jsonify
import locustfile
from web_page import checked
sys.argv = ["locust"]
options = locust.argument_parser.get_parser().parse_args([])
environment = Some(parsed_options=options, host="")
app = Flask("app")
app.add_url_rule("/swarm", "swarm", checked(lambda: jsonify(success=True), environment), methods=["POST"])
own = {"user_count": "1", "host": "http://a", "admin": "http://127.0.0.1:8001", "stop_at_first_failure": "true"}
def answered(headers, **given):
    told = app.test_client().post("/swarm", data=own | given, headers=headers).get_json()
    return [told["success"], told.get("message", "")]
sites = ("http://localhost", "https://localhost", "http://evil.example", "null")
origins = [{}, *({"Origin": site} for site in sites)]
by_origin = [answered(headers)[0] for headers in origins]
by_option = [answered({}, **{name: "x"})[1] for name in ("first_failure", "records", "html_file")]
payload = {"payload": "../predictors/sample.json"}
by_host = [answered({"Host": host}, **payload)[0] for host in ("localhost", "evil.example")]
print(json.dumps([by_origin, by_option, by_host]))
"""

PAYLOADS = r"""
import sys
from pathlib import Path
from payload import PAYLOAD_LIMIT_BYTES, PayloadError, read_payload
for content in (b"[1]", b" {}\n", b"", b"[NaN]", b"\xff", b"[" * 99999, b"1" * 5000, b"1" * (PAYLOAD_LIMIT_BYTES + 1)):
    Path(FILE).write_bytes(content)
    try:
        print(read_payload(FILE))
    except PayloadError as error:
        print(str(error).removeprefix(repr(FILE)))
"""


def test_rows_hold_short_text_and_numbers_whatever_the_network_told() -> None:
    """Every cell can be shown: no line breaks, no objects; a rate over less than a second is not shown as one."""
    hostile, failed, unasked, young, newborn, going, over = json.loads(printed(ROWS))
    assert all(isinstance(cell, int) or (len(cell) <= 80 and cell.isprintable()) for cell in hostile.values())
    assert (hostile["predictor"], hostile["load"], hostile["peak"]) == ("<b> [31m", "{} / []", 7)
    assert list(failed.values())[:6] == [1, "single", "5.6", 25, "predict1 10/10", "503 saturated"]
    assert unasked == "2active"  # the router was too busy at that moment; the page had asked before
    assert (young, newborn) == ("2.0 (8 in 4.0 s)", "- (3 in 0.0 s)")
    assert (going, over) == ("no failure so far", "no failure: the run ended after 60.0 s")


def test_watch_asks_at_most_once_a_second_and_waits_for_no_slow_router() -> None:
    """A slow router leaves the last figures standing; a silent one is named, with the remedy; it may come back."""
    shown, asked = json.loads(printed(WATCH))
    silence = ["The router cannot be asked at silent: nothing serves there."]
    remedy = ["Start it (python router.py), or correct Admin under Custom parameters."]
    assert [rows for rows, _ in shown] == [["predict1"], ["predict1"], silence + remedy, ["predict1"]]
    assert all(quick for _, quick in shown)
    assert asked == ["good", "slow", "silent", "good"]


def test_counts_of_a_run_leave_out_what_came_before_it() -> None:
    """What the router had counted at the start is taken off, unless its topology came in since and began at 0."""
    asked, silent = json.loads(printed(COUNTS))
    assert asked == [2, 3, "9", 4]
    assert silent == ["unknown", 3, "9", "unknown"]  # nobody told what it was at the start


def test_poll_gets_the_tabs_rows_and_no_state_at_which_the_page_ceases_to_ask() -> None:
    """The answer to the page's poll gains the rows; while the run stops, the page goes on asking."""
    stopping, stopped, tasks = json.loads(printed(POLL))
    assert [(each["key"], len(each["data"])) for each in stopping["extended_stats"]] == [
        ("topology", 2),
        ("first-failure", 0),
    ]
    assert (stopping["state"], stopped["state"], stopping["stats"]) == ("running", "stopped", [1])
    assert tasks == {"state": "stopping"}


def test_downloads_are_whole_and_no_cell_is_a_formula() -> None:
    """Text from the network that a spreadsheet program would take for a formula begins with a quote mark."""
    header, failed, ended, _, cells, last = printed(CSV).splitlines()
    assert header.split(",")[:4] == ["run", "started_at_s", "first_failure_at_s", "elapsed_s"]
    assert failed == "1,5.000000,9.000000,4.0,'-x,25,2.0,8,4.0,503,'=cmd|calc,'@a 1/2"
    assert ended == "2,7.000000,,,,,,,,,,"
    assert cells == "'=1;' +1;'-1;'@x;saturated;"
    assert last == "20001 19999,xxxxxxxxx"


def test_page_opened_by_address_is_known() -> None:
    """A name that somebody points at this address does not pass for it."""
    assert printed(HOSTS) == "1110"


def test_start_takes_what_the_page_offers_from_the_page_alone() -> None:
    """No form of another site starts a test, and none at all names files to write; payloads need an address."""
    by_origin, by_option, by_host = json.loads(printed(FORMS))
    assert by_origin == [True, True, True, False, False]
    names = ["first_failure", "records", "html_file"]
    assert by_option == [f"{name}: not to be set on this page, but on the command line" for name in names]
    assert by_host == [True, False]


def test_payload_is_read_unchanged_or_refused_with_its_fault(tmp_path: Path) -> None:
    """What is JSON and small enough is sent as it is; anything else is one line that says why."""
    lines = printed(f"FILE = {str(tmp_path / 'some.json')!r}\n{PAYLOADS}").splitlines()
    assert lines[:2] == [str(b"[1]"), str(b" {}\n")]
    faults = [": not JSON at line 1, column 1", ": not JSON: NaN is no JSON number", ": not JSON: 'utf-8'"]
    faults += [": not JSON: nested too deep", ": not JSON: Exceeds the limit", ": over 1048576 bytes"]
    assert [line.startswith(fault) for line, fault in zip(lines[2:], faults, strict=True)] == [True] * 6, lines
