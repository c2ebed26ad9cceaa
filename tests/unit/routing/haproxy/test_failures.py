"""What HAProxy's counters say of failures and loads: rows as HAProxy 2.6 gave them for predictors that failed."""

import csv
import io
from collections.abc import Mapping

import pytest

from routing.haproxy.failures import failed_since
from routing.haproxy.runtime import RuntimeApi, Stats
from routing.rotation import Found

COLUMNS = ("pxname", "svname", "status", "check_status", "check_desc", "check_code", "scur", "smax", "stot")
COLUMNS += ("hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "wretr", "wredis", "eresp", "uweight", "addr")


def reading(bad_answer: int = 0, meanings: str = "", **rows: Mapping[str, object]) -> Stats:
    """What is read from HAProxy's answer with these counters, 0 where none is given; `_` in a name stands for `.`."""
    told = io.StringIO()
    table = csv.DictWriter(told, COLUMNS, restval="0")
    table.writeheader()
    for name, counters in rows.items():
        table.writerow({"pxname": "pool", "svname": name.replace("_", "."), "status": "UP", **counters})
    values = {"timeout": 0, "bad_answer": bad_answer, "unplaced": 0}
    variables = "".join(f"proc.{name}: type=sint value=<{value}>\n" for name, value in values.items())
    api = RuntimeApi("/nowhere")
    api.query = lambda _: f"{variables}# {told.getvalue()}\n{meanings}"  # type: ignore[method-assign]
    return api.stats()


@pytest.mark.parametrize(
    ("bad_answer", "one", "two", "failed"),
    [
        (0, {"eresp": 4, "wretr": 4, "wredis": 4}, {"hrsp_2xx": 4}, [4, 0]),  # reset, then the other one's answer
        (0, {"wretr": 4, "wredis": 4}, {"hrsp_2xx": 4}, [4, 0]),  # closed, or 5xx
        (4, {"eresp": 8, "wretr": 4, "wredis": 4}, {"eresp": 8, "wretr": 4, "wredis": 4}, [6, 6]),  # both reset
        (4, {"eresp": 6, "wretr": 4, "wredis": 4}, {"eresp": 6, "wretr": 4, "wredis": 4}, [6, 6]),  # both no HTTP
        (4, {"eresp": 2, "wretr": 4, "wredis": 4}, {"eresp": 2, "wretr": 4, "wredis": 4}, [6, 6]),  # both closed
        (0, {"wretr": 4, "wredis": 4, "hrsp_5xx": 2}, {"wretr": 4, "wredis": 4, "hrsp_5xx": 2}, [6, 6]),  # both 500
        (4, {"eresp": 8}, {}, [4, 0]),  # reset, nothing sent again
        (0, {"eresp": 2, "hrsp_2xx": 2}, {"hrsp_2xx": 2}, [2, 0]),  # cut short
        (0, {"wretr": 4}, {}, [2, 0]),  # sent again to the same one, as no other had room
        (0, {"wredis": 3}, {"hrsp_2xx": 3}, [0, 0]),  # refused connections: no answers
    ],
)
def test_failed_since_counts_each_failed_answer_once(
    bad_answer: int, one: dict[str, int], two: dict[str, int], failed: list[int]
) -> None:
    """However often HAProxy counts it, a predictor that was asked n times and failed each time has failed n times."""
    before, after = reading(one={}, two={}), reading(bad_answer, one=one, two=two)
    assert [each.number for each in failed_since(before, after).values()] == failed


MEANINGS = """# table: statuses, type: string, size:10240, used:2
0x55cf3a3cfc60: key=one use=0 exp=0 gpc0=2 gpc1=3 gpc2=1 gpc3=1
0x55cf3a3cfc61: key=one.spare use=0 exp=0 gpc0=0 gpc1=0 gpc2=4 gpc3=0
"""


def test_reading_tells_misplaced_and_busy_answers_from_the_clients_mistakes() -> None:
    """404, 405 and 410 are failures; 429 and 503 refusals, neither served nor failed; 501 to a GET is served."""
    one = {"hrsp_2xx": 10, "hrsp_4xx": 6, "hrsp_5xx": 3}
    told = reading(meanings=MEANINGS, one=one, one_spare={"hrsp_5xx": 4})
    server = told.servers["one"]
    assert server.answers == {"2xx": 10, "3xx": 0, "4xx": 3, "5xx": 2}
    assert (server.served, server.failed, server.busy, told.refused["busy"]) == (12, 3, 8, 8)
    assert failed_since(reading(one={}), told) == {"one": (3, 0)}


def test_failed_since_tells_answers_that_had_begun_well_from_those_that_never_came() -> None:
    """HAProxy counts the status of the first as if the answer were whole."""
    before, after = reading(one={}), reading(one={"eresp": 2, "hrsp_2xx": 3})
    assert failed_since(before, after) == {"one": (2, 2)}
    never_came = reading(bad_answer=2, one={"eresp": 4, "hrsp_2xx": 1})
    assert failed_since(before, never_came) == {"one": (2, 0)}


def test_reading_counts_a_standbys_spare_entry_with_it() -> None:
    """Its requests add up; the highest loads of the two may not have been at one time, so the higher one stands."""
    told = reading(s={"scur": 1, "smax": 3, "stot": 5}, s_spare={"scur": 1, "smax": 2, "stot": 4}).servers["s"]
    assert (told.load, told.peak_load, told.given) == (2, 3, 9)


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ({"check_status": "L4CON", "check_desc": "Connection refused"}, "connection refused"),
        ({"check_status": "L7STS", "check_desc": "Layer7 wrong status", "check_code": "404"},
         "health check answered 404 to GET /health"),
        ({"check_status": "* L7STS", "check_desc": "Layer7 wrong status", "check_code": "404"},
         "health check answered 404 to GET /health"),
        ({"check_status": "* L7STS", "check_desc": "Layer7 wrong status", "check_code": "0"},
         "health check: layer7 wrong status"),
        ({"check_status": "L7TOUT", "check_desc": "Layer7 timeout"}, "health check: layer7 timeout"),
    ],
)  # fmt: skip
def test_reading_a_server_that_is_down_names_what_the_check_found(check: dict[str, str], reason: str) -> None:
    """A status other than 200 is told with the path that was asked for, as by the Flask engine."""
    server = reading(s={"status": "DOWN", "check_code": "", **check}).servers["s"]
    assert (server.up, server.reason) == (False, reason)


@pytest.mark.parametrize(
    ("status", "check_status", "code", "found"),
    [
        ("DOWN", "L4CON", "", Found.NOTHING),
        ("DOWN", "* L4TOUT", "", Found.NOTHING),
        ("DOWN", "HANA", "", Found.NOTHING),
        ("MAINT", "", "", Found.NOTHING),
        ("DOWN", "L7STS", "503", Found.LOADING),
        ("DOWN", "* L7STS", "503", Found.LOADING),
        ("DOWN", "L7STS", "500", Found.WRONG),
        ("DOWN", "* L7STS", "0", Found.SILENT),
        ("DOWN", "L7TOUT", "", Found.SILENT),
    ],
)
def test_reading_tells_what_was_found_of_who_is_down(status: str, check_status: str, code: str, found: Found) -> None:
    """No connection: no process; 503: it loads; another status: it does not work; 0, of the next check: none yet."""
    row = {"status": status, "check_status": check_status, "check_code": code}
    assert reading(s=row).servers["s"].found is found


def test_reading_tells_who_is_down_though_its_check_passed() -> None:
    """HAProxy waits for a second pass: until then it is nearly up, and nothing else is to be said of it."""
    rows = {"a": {"status": "DOWN 1/2", "check_status": "L7OK"}, "b": {"status": "UP", "check_status": "L7OK"}}
    assert {name: server.rising for name, server in reading(**rows).servers.items()} == {"a": True, "b": False}
