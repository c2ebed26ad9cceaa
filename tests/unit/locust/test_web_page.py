"""The form and the downloads of Locust's web page, without a browser and without a swarm."""

import json

from tests.unit.locust.scripts import printed

CSV = r"""
from expected_range import Expected
from first_failure import TestRun
from request_records import CsvFile
from swarm import csv_cell
from web_downloads import first_failures_csv
record = {"time_s": 9.0, "elapsed_s": 4.0, "window_s": 4.0, "requests_in_window": 8, "users": 25, "status": 503,
          "rate_at_first_failure_per_s": 2.0, "cause": "=cmd|calc", "topology": "-x",
          "loads": {"@a": {"load": 1, "capacity": 2}}}
newborn = record | {"window_s": 0.1, "cause": "saturated"}
within = Expected(range_per_s=(1.5, 2.25))
print(first_failures_csv([TestRun(5.0, failure=record, expected=within), TestRun(7.0), TestRun(8.0, failure=newborn)]))
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
import socket, sys, tempfile
import locust.argument_parser
from flask import Flask, jsonify
import locustfile
from admin_client import AdminError
import web_page
from web_page import validated
sys.argv = ["locust"]
options = locust.argument_parser.get_parser().parse_args([])
environment = Some(parsed_options=options, host="", runner=None)
app = Flask("app")
app.add_url_rule("/swarm", "swarm", validated(lambda: jsonify(success=True), environment), methods=["POST"])
web_page.get_topology = lambda admin: {"predictors": {}}
server = socket.create_server(("127.0.0.1", 0))
host = f"http://127.0.0.1:{server.getsockname()[1]}"
own = {"user_count": "1", "host": host, "admin": "http://127.0.0.1:8001", "go_on": "10"}
def answered(headers, **given):
    answer = app.test_client().post("/swarm", data=own | given, headers=headers).get_json()
    return [answer["success"], answer.get("message", "")]
sites = ("http://localhost", "https://localhost", "http://evil.example", "null")
origins = [{}, *({"Origin": site} for site in sites)]
by_origin = [answered(headers)[0] for headers in origins]
by_option = [answered({}, **{name: "x"})[1] for name in ("first_failure", "records", "html_file")]
payload = {"payload": "../predictors/sample.json"}
with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    print('{"path": "/score"}', file=file, flush=True)
    files = (payload, {"server": file.name})
    by_host = [answered({"Host": host}, **each)[0] for each in files for host in ("localhost", "evil.example")]
    asked = options.prediction.path
server.close()
fields = ({"host": "127.0.0.1:8000"}, {"admin": "x"}, {"go_on": ""}, {"host": host})
wrong = [answered({}, **each)[1].replace(host, "HOST") for each in fields]
def silent(admin):
    raise AdminError("nothing serves there")
web_page.get_topology = silent
web_page.require_listener = lambda host: None
wrong += [answered({})[1], answered({}, admin="")[0]]
print(json.dumps([by_origin, by_option, [*by_host, asked], wrong]))
"""


def test_downloads_are_whole_and_no_cell_is_a_formula() -> None:
    """Text from the network that a spreadsheet program would take for a formula begins with a quote mark."""
    header, failed, ended, newborn, _, cells, last = printed(CSV).splitlines()
    assert header.split(",")[:4] == ["run", "started_at_s", "first_failure_at_s", "elapsed_s"]
    assert failed == "1,5.000000,9.000000,4.0,'-x,25,2.0,8,4.0,503,'=cmd|calc,'@a 1/2,1.500,2.250"
    assert ended == "2,7.000000,,,,,,,,,,,,"
    assert newborn == "3,8.000000,9.000000,4.0,'-x,25,,8,0.1,503,saturated,'@a 1/2,,"  # no rate: too young
    assert cells == "'=1;' +1;'-1;'@x;saturated;"
    assert last == "20001 19999,xxxxxxxxx"


def test_page_opened_by_address_is_known() -> None:
    """A name that somebody points at this address does not pass for it."""
    assert printed(HOSTS) == "1110"


def test_start_takes_what_the_page_offers_from_the_page_alone() -> None:
    """No form of another site starts a test, and none at all names files to write; files to send need an address."""
    by_origin, by_option, by_host, _ = json.loads(printed(FORMS))
    assert by_origin == [True, True, True, False, False]
    names = ["first_failure", "records", "html_file"]
    assert by_option == [f"{name}: not to be set on this page, but on the command line" for name in names]
    assert by_host == [True, False, True, False, "/score"]


def test_start_without_a_router_or_with_a_wrong_address_says_the_remedy_on_the_page() -> None:
    """The form names what is wrong, and the run does not start; a router may have no admin address."""
    *_, wrong = json.loads(printed(FORMS))
    start = "start python router.py (in the project's folder) first, or correct"
    silent = f"no loads from http://127.0.0.1:8001: nothing serves there: {start} Admin under Custom parameters"
    assert wrong == [
        "'127.0.0.1:8000' is not an address such as http://127.0.0.1:8000",
        "'x' is not an address such as http://127.0.0.1:8001",
        "'' is not a number of seconds from 0 to 86400, such as 10",
        f"nothing listens on HOST: {start} Host",
        f"{silent} (empty: the router has none)",
        True,
    ]
