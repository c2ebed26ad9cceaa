"""The form and the downloads of Locust's web page, without a browser and without a swarm."""

import json

from tests.unit.locust.scripts import printed

CSV = r"""
from first_failure import TestRun
from request_records import CsvFile
from swarm import csv_cell
from web_downloads import first_failures_csv
record = {"time_s": 9.0, "elapsed_s": 4.0, "window_s": 4.0, "requests_in_window": 8, "users": 25, "status": 503,
          "rate_at_first_failure_per_s": 2.0, "cause": "=cmd|calc", "topology": "-x",
          "loads": {"@a": {"load": 1, "capacity": 2}}}
print(first_failures_csv([TestRun(5.0, failure=record), TestRun(7.0)]))
print(*map(csv_cell, ["=1", " +1", "-1", "@x", "saturated", ""]), sep=";")
file = CsvFile(None, ("a", "b"))
content = file.content()
for number in range(20000):
    file.add((number, "x" * 9))
text = b"".join(file.content())
print(text.count(b"\n"), text.splitlines()[-1].decode())
"""

HOSTS = r"""
from flask import Flask
from web_page import is_opened_by_address
app = Flask("app")
for host in ("127.0.0.1:8089", "localhost:8089", "[::1]:8089", "evil.example:8089"):
    with app.test_request_context(base_url=f"http://{host}"):
        print(int(is_opened_by_address()), end="")
"""

FORMS = r"""
import sys
import locust.argument_parser
from flask import Flask, jsonify
import locustfile
from web_page import validated
sys.argv = ["locust"]
options = locust.argument_parser.get_parser().parse_args([])
environment = Some(parsed_options=options, host="")
app = Flask("app")
app.add_url_rule("/swarm", "swarm", validated(lambda: jsonify(success=True), environment), methods=["POST"])
own = {"user_count": "1", "host": "http://a", "admin": "http://127.0.0.1:8001", "stop_at_first_failure": "true"}
def answered(headers, **given):
    answer = app.test_client().post("/swarm", data=own | given, headers=headers).get_json()
    return [answer["success"], answer.get("message", "")]
sites = ("http://localhost", "https://localhost", "http://evil.example", "null")
origins = [{}, *({"Origin": site} for site in sites)]
by_origin = [answered(headers)[0] for headers in origins]
by_option = [answered({}, **{name: "x"})[1] for name in ("first_failure", "records", "html_file")]
payload = {"payload": "../predictors/sample.json"}
by_host = [answered({"Host": host}, **payload)[0] for host in ("localhost", "evil.example")]
print(json.dumps([by_origin, by_option, by_host]))
"""


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
