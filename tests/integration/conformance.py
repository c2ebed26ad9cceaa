"""The router's rules as black-box cases that any engine is put through: what was seen of each rule, in a few words.

What is expected, and which engine is allowed to differ, is in conformance_rules.py; who runs the cases is in
test_conformance.py and tools/conformance.py.
"""

import http.client as http_client
import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from typing import NamedTuple

from tests.harness.deployment import Deployment
from tests.harness.http_client import connect, fetch
from tests.harness.misbehaviour import drips
from tests.harness.stage import Stage
from tests.harness.stubs import Received, Script, answers, resets, sends
from tests.harness.waiting import wait_until
from tests.integration.conformance_rules import ENGINES

CAPACITY = 2
HOLD_DOWN_S = 0.3
DEADLINE_S = 2.4
AT_ONCE_S = 0.3
SLACK_S = 1.0  # what a busy machine may add
BODY_LIMIT_BYTES = 1024 * 1024
BODY = b'{"a": 1}'
BAD_LENGTH = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -2\r\n\r\n{}"
ANNOUNCED = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT_BYTES + 1)
DRIP = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{"
HALF = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
LONG_S = 0.3
"""An answer takes so long to break off: the router has looked at HAProxy's counters meanwhile."""
GET_WITH_BODY = b"GET /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
CHUNKS = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


class Seen(NamedTuple):
    """A rule, and what was seen of it."""

    rule: str
    what: str


def settle(bench: Deployment) -> None:
    """Waits until the actives serve, the standby stands by and may be promoted again, and nothing is in flight."""
    bench.set(answers())
    bench.release_held()
    wait_until(lambda: bench.router.predictors("state") == ["serving", "serving", "standby"])
    wait_until(lambda: bench.path.read_bytes() == bench.initial)
    wait_until(lambda: _cooldown_over(bench))


def _cooldown_over(bench: Deployment) -> bool:
    events = bench.router.snapshot()["events"]
    times = [event["time"] for event in events if event["predictor"] == "predict3"]
    return not times or time.time() - max(times) > HOLD_DOWN_S + 0.1


def choosing(bench: Deployment) -> Iterator[Seen]:
    """Who gets the next request."""
    made_by = [bench.fetch(BODY).predictor for _ in range(5)]
    yield Seen("ties go round robin", " ".join("ab"[name != made_by[0]] for name in made_by))
    bench.hold(3, BODY)
    yield Seen("the least loaded is chosen", f"{sorted(bench.held)} in flight")
    full = bench.held.index(2)
    bench.stubs[full].release(2)
    wait_until(lambda: sum(bench.router.loads()) == 1)
    bench.hold(1, BODY)
    yield Seen("a freed place counts at once", f"{bench.held[:2]} in flight")


def saturation(bench: Deployment) -> Iterator[Seen]:
    """Capacity, promotion for want of room, refusal, failback."""
    bench.hold(2 * CAPACITY, BODY)
    yield Seen("each active is given its capacity", f"{bench.held} in flight")
    sent = bench.hold(1, BODY)
    yield Seen("the request that finds the actives full goes to the standby", f"{bench.held} in flight")
    bench.hold(1, BODY)
    refused = bench.fetch(BODY)
    hint = "Retry-After" if int(refused.headers.get("retry-after", "0")) >= 1 else "no Retry-After"
    at_once = "at once" if refused.took_s < AT_ONCE_S else f"after {refused.took_s:.1f} s"
    yield Seen("no place is left", f"{refused.status} {refused.json()['reason']}, {hint}, {at_once}")
    wait_until(lambda: bench.router.events(""))
    yield Seen("its first refusal is an event", ", ".join(bench.router.events("")))
    yield Seen("/health with no place left", str(fetch(bench.url, "/health").status))
    wait_until(lambda: bench.loads() == [CAPACITY] * 3)
    yield Seen("the file shows it", f"status {bench.statuses()}, load {bench.loads()}")
    bench.release_held()
    yield Seen("the standby's answer", " ".join((str(sent[0].answer().status), "predict3")))
    settle(bench)
    yield Seen("failback after the saturation", ", ".join(bench.router.events("predict3")[-2:]))
    yield Seen("the highest load", str(bench.router.predictors("peak_load")))


def failure(bench: Deployment) -> Iterator[Seen]:
    """Refused connections, one after the other, until nobody is left, and back."""
    bench.stubs[0].go_down()
    first = [bench.fetch(BODY) for _ in range(3)]
    yield Seen("an active refuses connections", " ".join(f"{a.status}" for a in first))
    wait_until(lambda: bench.statuses() == [False, True, True])
    yield Seen("the standby is promoted for it", ", ".join(bench.router.events("predict3")[-1:]))
    made_by = {bench.fetch(BODY).predictor for _ in range(4)}
    yield Seen("who serves then", " ".join(sorted(made_by)))
    bench.stubs[1].go_down()
    yield Seen("both actives refuse", " ".join(f"{a.status}" for a in [bench.fetch(BODY) for _ in range(3)]))
    bench.stubs[2].go_down()
    wait_until(lambda: bench.statuses() == [False, False, False])
    refused = bench.fetch(BODY)
    yield Seen("nobody is up", f"{refused.status} {refused.json()['reason']}")
    yield Seen("/health with nobody up", str(fetch(bench.url, "/health").status))
    for stub in bench.stubs:
        stub.go_up()
    settle(bench)
    yield Seen("all are back", f"{bench.fetch(BODY).status}, status {bench.statuses()}")


def crash(bench: Deployment) -> Iterator[Seen]:
    """Requests in flight at an active that dies."""
    sent = bench.hold(2, BODY)
    bench.stubs[1].holding = bench.stubs[2].holding = False
    bench.stubs[1].release()
    bench.set(resets, 0)
    bench.stubs[0].go_down()
    yield Seen("requests in flight at a predictor that dies", " ".join(str(each.answer().status) for each in sent))
    bench.stubs[0].go_up()
    settle(bench)


def resending(bench: Deployment) -> Iterator[Seen]:
    """What a client hears of its predictor's failures."""
    failures = {"reset": resets, "closed": sends(b""), "not HTTP": sends(b"no\r\n\r\n"), "500": answers(500)}
    for what, script in failures.items():
        bench.set(script, 0)
        yield Seen(f"one of two fails: {what}", f"{_asked(bench, 0)} {_asked(bench, 1)}")
        bench.set(answers(), 0)
        wait_until(lambda: {"predict1"} == {bench.fetch(BODY).predictor})
    for status in (404, 405, 429, 503):
        bench.set(answers(status), 0)
        both = sorted(_asked(bench, place) for place in range(2))
        yield Seen(f"one of two answers {status}", " ".join(map(str, both)))
        bench.set(answers(), 0)
        wait_until(lambda: {"predict1"} == {bench.fetch(BODY).predictor})
    yield Seen("GET where only POST is known", _knows_no_get(bench))
    yield Seen("every predictor is busy", _refused_as_busy(bench))
    bench.set(answers())
    actives = {"predict1", "predict2"}
    wait_until(lambda: {bench.fetch(BODY).predictor for _ in range(2)} == actives)  # nobody rests any more
    settle(bench)
    bench.set(answers(500), 0)
    heard = {bench.fetch(BODY).status for _ in iter(lambda: bench.router.predictors("state")[0], "down")}
    yield Seen("one of two answers 500 again and again", f"{heard}, then {bench.router.events('predict1')[-1]}")
    settle(bench)
    bench.set(answers(500, b'{"error": "poison"}'))
    before = sum(bench.received)
    answer = bench.fetch(BODY)
    yield Seen("every predictor answers 500", f"{answer.status} {answer.json()['error']}")
    yield Seen("how many were asked", str(sum(bench.received) - before))
    bench.set(resets)
    answer = bench.fetch(BODY)
    yield Seen("every predictor resets", f"{answer.status} {answer.json()['reason']}")
    bench.set(answers(422, b'{"error": "bad input"}'))
    yield Seen("a predictor's own 4xx", str(bench.fetch(BODY).status))
    bench.set(sends(HALF))
    yield Seen("only half answers", _heard(bench))
    settle(bench)
    bench.set(sends(HALF), 0)
    wait_until(lambda: _heard(bench) and bench.router.predictors("state")[0] == "down")
    yield Seen("one of two gives half answers again and again", bench.router.events("predict1")[-1])
    settle(bench)
    bench.set(drips(b"0", period_s=LONG_S, at_once=HALF), 0)
    wait_until(lambda: _heard(bench) and bench.router.predictors("state")[0] == "down")
    yield Seen("... and takes a while to break off", bench.router.events("predict1")[-1])
    settle(bench)


def _asked(bench: Deployment, place: int) -> int:
    """What the client hears whose request reached this predictor: on a busy machine turns are not always taken."""
    before = bench.received[place]
    return next(status for status in iter(lambda: bench.fetch(BODY).status, 0) if bench.received[place] > before)


def _knows_no_get(bench: Deployment) -> str:
    """What clients hear whose GETs reach predictors that know only POST, beside others' POSTs; and who failed."""
    bodies = [None, BODY, None] * 4
    heard, before = [], _counted(bench)
    for status in (405, 501):
        with ExitStack() as changed:
            for stub in bench.stubs:
                changed.callback(setattr, stub, "script_for", stub.script_for)
                stub.script_for = partial(_only_post, status)
            heard += [bench.fetch(body).status for body in bodies]
    wait_until(lambda: sum(_counted(bench)) == sum(before) + len(heard))
    failed = "nobody failed" if _counted(bench)[1] == before[1] else "somebody failed"
    return f"{' '.join(str(status) for status in sorted(set(heard)))}, {failed}"


def _only_post(status: int, asked: Received) -> Script:
    return answers() if asked.method == "POST" else answers(status)


def _counted(bench: Deployment) -> tuple[int, int]:
    """How many answers served, and how many were failures."""
    return sum(bench.router.predictors("served")), sum(bench.router.predictors("failed"))


def _refused_as_busy(bench: Deployment) -> str:
    """What a client hears of predictors that are all busy, and as what it is counted."""
    bench.set(answers(429))
    before = bench.router.snapshot()["refused"]
    answer = bench.fetch(BODY)
    wait_until(lambda: bench.router.snapshot()["refused"] != before)
    now = bench.router.snapshot()["refused"]
    return f"{answer.status}, refused as {', '.join(reason for reason in now if now[reason] > before[reason])}"


def _heard(bench: Deployment) -> str:
    try:
        return str(bench.fetch(BODY).status)
    except (OSError, http_client.HTTPException):
        return "200, cut short"


def timeout(bench: Deployment) -> Iterator[Seen]:
    """No answer within the deadline."""
    bench.hold_all()
    answer = bench.fetch(BODY)
    late = "" if answer.took_s < DEADLINE_S + SLACK_S else f", after {answer.took_s:.1f} s"
    yield Seen("no answer within the deadline", f"{answer.status} {answer.json()['reason']}{late}")
    settle(bench)


def draining(bench: Deployment) -> Iterator[Seen]:
    """Planned work: drain and ready."""
    sent = bench.hold(2, BODY)
    order = bench.router.order("predict1", "drain").json()["predict1"]
    yield Seen("drain with a request in flight", order["state"])
    bench.release_held()
    yield Seen("what is in flight ends", " ".join(str(each.answer().status) for each in sent))
    made_by = {bench.fetch(BODY).predictor for _ in range(6)}
    yield Seen("who serves while it is drained", " ".join(sorted(made_by)))
    yield Seen("its state then", bench.router.predictors("state")[0])
    bench.router.order("predict1", "ready")
    settle(bench)
    events = [(e["predictor"], e["event"]) for e in bench.router.snapshot()["events"]][-4:]
    yield Seen("its events", ", ".join(f"{event} {name}" for name, event in events))


def http(bench: Deployment) -> Iterator[Seen]:
    """What clients may ask, and how."""
    answer = fetch(bench.url)
    received = next(stub for stub in bench.stubs if stub.name == answer.predictor).received[-1]
    passed_on = "a GET" if (received.method, received.path, received.body) == ("GET", "/predict", b"") else "another"
    yield Seen("GET /predict", f"{answer.status}, the predictor gets {passed_on}")
    yield Seen("GET with a body", _status(_opened(bench, GET_WITH_BODY)))
    headers = {"X_Own": "1", "Cookie": "c=1", "Content_Type": "application/x-own"}
    answer = fetch(bench.url, "/predict?q=1", BODY, **headers)
    received = next(stub for stub in bench.stubs if stub.name == answer.predictor).received[-1]
    kept = ", ".join(sorted(received.headers.keys() & {"x-own", "cookie", "content-type"}))
    yield Seen("POST /predict", f"{received.path} {'unchanged' if received.body == BODY else 'changed'}, with {kept}")
    chunked = _status(_opened(bench, CHUNKS))
    bodies = [stub.received[-1].body for stub in bench.stubs if stub.received]
    body = "it" if b"{}" in bodies else "another"
    yield Seen("a body in chunks", f"{chunked}, the predictor gets {body} with its length")
    yield Seen("/health", str(fetch(bench.url, "/health").status))
    unknown = fetch(bench.url, "/other")
    yield Seen("another path", f"{unknown.status} {', '.join(unknown.json())}")
    wrong = fetch(bench.url, "/health", b"")
    allowed = "with" if "GET" in wrong.headers["allow"] else "without"
    yield Seen("another method", f"{wrong.status}, Allow {allowed} GET")
    yield Seen("a body at the limit", str(fetch(bench.url, body=b"x" * BODY_LIMIT_BYTES).status))
    yield Seen("a body that announces more", _status(_opened(bench, ANNOUNCED)))
    yield Seen("bad framing", _status(_opened(bench, BAD_LENGTH)))


def ending(bench: Deployment) -> Iterator[Seen]:
    """A clean stop, with a request in flight."""
    [sent] = bench.hold(1, BODY)
    wait_until(lambda: sum(bench.loads()) == 1)
    bench.router.signal(signal.SIGTERM)
    wait_until(lambda: _refuses(bench))
    bench.release_held()
    yield Seen("a request in flight at a polite stop", str(sent.answer().status))
    yield Seen("the stop's exit status", str(bench.router.wait()))
    same = "as at the start" if bench.path.read_bytes() == bench.initial else "changed"
    yield Seen("the file after the stop", same)


def cold_standby(bench: Deployment) -> Iterator[Seen]:
    """A standby whose process is started when it is wanted."""
    active, standby = bench.stubs[0], bench.stubs[2]
    standby.go_down()
    wait_until(lambda: bench.router.predictors("state")[2] == "cold")
    bench.hold(2 * CAPACITY, BODY)
    yield Seen("all actives are full, and the standby is cold", f"{bench.fetch(BODY).status}")
    wait_until(lambda: bench.router.predictors("state")[2] == "wanted")
    bench.release_held()
    wait_until(lambda: bench.router.predictors("state")[2] == "cold")
    active.go_down()
    wait_until(lambda: bench.router.predictors("state")[2] == "wanted")
    standby.healthy = False
    standby.go_up()
    wait_until(lambda: bench.router.predictors("state")[2] == "loading")
    yield Seen("an active is missing while the standby loads", f"{bench.fetch(BODY).predictor}")
    standby.healthy = True
    wait_until(lambda: bench.statuses() == [False, True, True])
    active.go_up()
    wait_until(lambda: bench.router.predictors("state") == ["serving", "serving", "standby"])
    standby.go_down()
    wait_until(lambda: bench.router.predictors("state")[2] == "cold")
    yield Seen("a cold standby's events", ", ".join(bench.router.events("predict3")))


def _refuses(bench: Deployment) -> bool:
    with suppress(ConnectionRefusedError):
        connect(bench.url).close()
        return False
    return True


def _opened(bench: Deployment, sent: bytes) -> socket.socket:
    client = connect(bench.url)
    client.sendall(sent)
    return client


def _status(client: socket.socket) -> str:
    """The first answer's status, and whether it is JSON."""
    with client:
        response = http_client.HTTPResponse(client)
        response.begin()
        body = response.read()
    try:
        json.loads(body)
    except ValueError:
        return f"{response.status}, not JSON"
    return f"{response.status}, JSON"


SCENARIOS = (choosing, http, saturation, failure, crash, resending, timeout, draining)


def run(stage: Stage, engine: str) -> dict[str, str]:
    """Puts an engine before three stubs, two of them active, through all scenarios; what was seen of each rule."""
    options = {"--engine": engine, "--threshold": CAPACITY, "--hold-down": HOLD_DOWN_S, "--deadline": DEADLINE_S}
    words = [str(word) for pair in options.items() for word in pair]
    bench = stage.deploy("2active", *words)
    drip = _opened(bench, DRIP)
    seen: dict[str, str] = {}
    for scenario in SCENARIOS:
        seen.update(scenario(bench))
        settle(bench)
    seen["a body that never ends"] = _status(drip)
    return seen | dict(cold_standby(stage.deploy("2cold", *words))) | dict(ending(bench))


def run_both(stage: Stage) -> dict[str, dict[str, str]]:
    """Puts every engine through all scenarios, side by side."""
    with ThreadPoolExecutor(len(ENGINES)) as pool:
        return dict(zip(ENGINES, pool.map(lambda engine: run(stage, engine), ENGINES), strict=True))
