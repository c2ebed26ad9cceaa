"""The router's rules as black-box cases that any engine is put through: what was seen of each rule, in a few words.

Which engine is allowed to differ, and why, is in EXPECTED; who runs the cases is in test_conformance.py and
conformance_table.py.
"""

import http.client
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.harness.processes import SAMPLE, Answer, Exchange, Router, Stage, ask, loads, statuses, wait_until
from tests.harness.stubs import StubPredictor, answers, ports_of, resets, sends

ENGINES = ("flask", "haproxy")
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
CHUNKS = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


class Seen(NamedTuple):
    """A rule, and what was seen of it."""

    rule: str
    what: str


class Bench:
    """An engine before three stubs, two of them active, with two places each."""

    def __init__(self, stage: Stage, engine: str) -> None:
        self.stubs = stage.stubs(3)
        self.path = stage.topology("2active", ports_of(self.stubs))
        self.initial = self.path.read_bytes()
        options = {"--threshold": CAPACITY, "--hold-down": HOLD_DOWN_S, "--deadline": DEADLINE_S}
        words = [str(word) for pair in options.items() for word in pair]
        self.router: Router = stage.router(self.path, "--engine", engine, *words)
        self.drip = self.raw(DRIP)
        self._stage = stage

    def raw(self, sent: bytes) -> socket.socket:
        """Send bytes on a connection of their own."""
        address = urlsplit(self.router.url)
        client = socket.create_connection((address.hostname, address.port), timeout=20)
        client.sendall(sent)
        return client

    def post(self) -> Answer:
        """Ask once, by POST."""
        return ask(self.router.url, body=BODY)

    def hold(self, number: int) -> list[Exchange]:
        """Send requests that the stubs hold, and wait until all have arrived."""
        for stub in self.stubs:
            stub.holding = True
        expected = sum(self.held()) + number
        sent = self._stage.hold(self.router, number, BODY)
        wait_until(lambda: sum(self.held()) == expected)
        return sent

    def held(self) -> list[int]:
        """How many requests each stub holds."""
        return [stub.held for stub in self.stubs]

    def let_go(self) -> None:
        """Have the stubs answer all and hold nothing more."""
        for stub in self.stubs:
            stub.let_go()

    def script(self, script: Callable[[StubPredictor, socket.socket], None], *which: int) -> None:
        """Have these stubs do this; all of them where none is named."""
        for index in which or range(len(self.stubs)):
            self.stubs[index].script = script

    def asked(self) -> int:
        """How many requests have reached the stubs."""
        return sum(len(stub.received) for stub in self.stubs)

    def wait_until_as_planned(self) -> None:
        """Wait until the actives serve, the standby stands by and has rested, and nothing is in flight."""
        self.script(answers())
        self.let_go()
        wait_until(lambda: self.router.predictors("state") == ["serving", "serving", "standby"])
        wait_until(lambda: self.path.read_bytes() == self.initial)
        wait_until(self._rested)

    def _rested(self) -> bool:
        picture = self.router.picture()
        times = [event["time"] for event in picture["events"] if event["predictor"] == "predict3"]
        return not times or time.time() - max(times) > HOLD_DOWN_S + 0.1


def choosing(bench: Bench) -> Iterator[Seen]:
    """Who gets the next request."""
    made_by = [bench.post().predictor for _ in range(5)]
    yield Seen("ties go round robin", " ".join("ab"[name != made_by[0]] for name in made_by))
    bench.hold(3)
    yield Seen("the least loaded is chosen", f"{sorted(bench.held())} in flight")
    full = bench.held().index(2)
    bench.stubs[full].release(2)
    wait_until(lambda: sum(bench.router.loads()) == 1)
    bench.hold(1)
    yield Seen("a freed place counts at once", f"{bench.held()[:2]} in flight")


def saturation(bench: Bench) -> Iterator[Seen]:
    """Capacity, promotion for want of room, refusal, failback."""
    bench.hold(2 * CAPACITY)
    yield Seen("each active is given its capacity", f"{bench.held()} in flight")
    sent = bench.hold(1)
    yield Seen("the request that finds the actives full goes to the standby", f"{bench.held()} in flight")
    bench.hold(1)
    refused = bench.post()
    hint = "Retry-After" if int(refused.headers.get("retry-after", "0")) >= 1 else "no Retry-After"
    at_once = "at once" if refused.took_s < AT_ONCE_S else f"after {refused.took_s:.1f} s"
    yield Seen("no place is left", f"{refused.status} {refused.json()['reason']}, {hint}, {at_once}")
    yield Seen("/health with no place left", str(ask(bench.router.url, "/health").status))
    wait_until(lambda: loads(bench.path) == [CAPACITY] * 3)
    yield Seen("the file shows it", f"status {statuses(bench.path)}, load {loads(bench.path)}")
    bench.let_go()
    yield Seen("the standby's answer", " ".join((str(sent[0].answer().status), "predict3")))
    bench.wait_until_as_planned()
    yield Seen("failback after the saturation", ", ".join(bench.router.events("predict3")[-2:]))
    yield Seen("the highest load", str(bench.router.predictors("peak_load")))


def failure(bench: Bench) -> Iterator[Seen]:
    """Refused connections, one after the other, until nobody is left, and back."""
    bench.stubs[0].go_down()
    first = [bench.post() for _ in range(3)]
    yield Seen("an active refuses connections", " ".join(f"{a.status}" for a in first))
    wait_until(lambda: statuses(bench.path) == [False, True, True])
    yield Seen("the standby is promoted for it", ", ".join(bench.router.events("predict3")[-1:]))
    made_by = {bench.post().predictor for _ in range(4)}
    yield Seen("who serves then", " ".join(sorted(made_by)))
    bench.stubs[1].go_down()
    yield Seen("both actives refuse", " ".join(f"{a.status}" for a in [bench.post() for _ in range(3)]))
    bench.stubs[2].go_down()
    wait_until(lambda: statuses(bench.path) == [False, False, False])
    refused = bench.post()
    yield Seen("nobody is up", f"{refused.status} {refused.json()['reason']}")
    yield Seen("/health with nobody up", str(ask(bench.router.url, "/health").status))
    for stub in bench.stubs:
        stub.go_up()
    bench.wait_until_as_planned()
    yield Seen("all are back", f"{bench.post().status}, status {statuses(bench.path)}")


def crash(bench: Bench) -> Iterator[Seen]:
    """Requests in flight at an active that dies."""
    sent = bench.hold(2)
    bench.stubs[1].holding = bench.stubs[2].holding = False
    bench.stubs[1].release()
    bench.script(resets, 0)
    bench.stubs[0].go_down()
    yield Seen("requests in flight at a predictor that dies", " ".join(str(each.answer().status) for each in sent))
    bench.stubs[0].go_up()
    bench.wait_until_as_planned()


def resending(bench: Bench) -> Iterator[Seen]:
    """What a client hears of its predictor's failures."""
    for what, script in {
        "reset": resets,
        "closed": sends(b""),
        "not HTTP": sends(b"no\r\n\r\n"),
        "500": answers(500),
    }.items():
        bench.script(script, 0)
        yield Seen(f"one of two fails: {what}", f"{bench.post().status} {bench.post().status}")
        bench.script(answers(), 0)
        wait_until(lambda: {"predict1"} == {bench.post().predictor})
    bench.script(answers(500), 0)
    heard = {bench.post().status for _ in iter(lambda: bench.router.predictors("state")[0], "down")}
    yield Seen("one of two answers 500 again and again", f"{heard}, then {bench.router.events('predict1')[-1]}")
    bench.wait_until_as_planned()
    bench.script(answers(500, b'{"error": "poison"}'))
    before = bench.asked()
    answer = bench.post()
    yield Seen("every predictor answers 500", f"{answer.status} {answer.json()['error']}")
    yield Seen("how many were asked", str(bench.asked() - before))
    bench.script(resets)
    answer = bench.post()
    yield Seen("every predictor resets", f"{answer.status} {answer.json()['reason']}")
    bench.script(answers(422, b'{"error": "bad input"}'))
    yield Seen("a predictor's own 4xx", str(bench.post().status))
    bench.script(sends(HALF))
    yield Seen("only half answers", _heard(bench))
    bench.script(answers())
    bench.wait_until_as_planned()


def _heard(bench: Bench) -> str:
    try:
        return str(bench.post().status)
    except (OSError, http.client.HTTPException):
        return "200, cut short"


def timeout(bench: Bench) -> Iterator[Seen]:
    """No answer within the deadline."""
    for stub in bench.stubs:
        stub.holding = True
    answer = bench.post()
    late = "" if answer.took_s < DEADLINE_S + SLACK_S else f", after {answer.took_s:.1f} s"
    yield Seen("no answer within the deadline", f"{answer.status} {answer.json()['reason']}{late}")
    bench.wait_until_as_planned()


def draining(bench: Bench) -> Iterator[Seen]:
    """Planned work: drain and ready."""
    sent = bench.hold(2)
    order = bench.router.order("predict1", "drain").json()["predict1"]
    yield Seen("drain with a request in flight", order["state"])
    bench.let_go()
    yield Seen("what is in flight ends", " ".join(str(each.answer().status) for each in sent))
    made_by = {bench.post().predictor for _ in range(6)}
    yield Seen("who serves while it is drained", " ".join(sorted(made_by)))
    yield Seen("its state then", bench.router.predictors("state")[0])
    bench.router.order("predict1", "ready")
    bench.wait_until_as_planned()
    events = [(e["predictor"], e["event"]) for e in bench.router.picture()["events"]][-4:]
    yield Seen("its events", ", ".join(f"{event} {name}" for name, event in events))


def door(bench: Bench) -> Iterator[Seen]:
    """What clients may ask, and how."""
    answer = ask(bench.router.url)
    received = next(stub for stub in bench.stubs if stub.name == answer.predictor).received[-1]
    sample = "the sample" if (received.method, received.body) == ("POST", SAMPLE) else "something else"
    yield Seen("GET /predict", f"{answer.status}, the predictor gets {sample}")
    headers = {"X_Own": "1", "Cookie": "c=1", "Content_Type": "application/x-own"}
    answer = ask(bench.router.url, "/predict?q=1", BODY, **headers)
    received = next(stub for stub in bench.stubs if stub.name == answer.predictor).received[-1]
    kept = ", ".join(sorted(received.headers.keys() & {"x-own", "cookie", "content-type"}))
    yield Seen("POST /predict", f"{received.path} {'unchanged' if received.body == BODY else 'changed'}, with {kept}")
    chunked = _first_line(bench.raw(CHUNKS))
    bodies = [stub.received[-1].body for stub in bench.stubs if stub.received]
    yield Seen(
        "a body in chunks", f"{chunked}, the predictor gets {'it' if b'{}' in bodies else 'another'} with its length"
    )
    yield Seen("/health", str(ask(bench.router.url, "/health").status))
    unknown = ask(bench.router.url, "/other")
    yield Seen("another path", f"{unknown.status} {', '.join(unknown.json())}")
    wrong = ask(bench.router.url, "/health", b"")
    yield Seen(
        "another method", f"{wrong.status}, Allow {'with' if 'GET' in wrong.headers['allow'] else 'without'} GET"
    )
    yield Seen("a body at the limit", str(ask(bench.router.url, body=b"x" * BODY_LIMIT_BYTES).status))
    yield Seen("a body that announces more", _first_line(bench.raw(ANNOUNCED)))
    yield Seen("bad framing", _first_line(bench.raw(BAD_LENGTH)))


def slow_body(bench: Bench) -> Iterator[Seen]:
    """A body that never ends, begun when the bench was set up."""
    yield Seen("a body that never ends", _first_line(bench.drip))


def ending(bench: Bench) -> Iterator[Seen]:
    """A clean stop, with a request in flight."""
    [sent] = bench.hold(1)
    wait_until(lambda: sum(loads(bench.path)) == 1)
    bench.router.signal(signal.SIGTERM)
    wait_until(lambda: _refuses(bench))
    bench.let_go()
    yield Seen("a request in flight at a polite stop", str(sent.answer().status))
    yield Seen("the stop's exit status", str(bench.router.wait()))
    same = "as at the start" if bench.path.read_bytes() == bench.initial else "changed"
    yield Seen("the file after the stop", same)


def _refuses(bench: Bench) -> bool:
    with suppress(ConnectionRefusedError):
        bench.raw(b"").close()
        return False
    return True


def _first_line(client: socket.socket) -> str:
    """The first answer's status, and whether it is JSON."""
    with client:
        response = http.client.HTTPResponse(client)
        response.begin()
        body = response.read()
    try:
        json.loads(body)
    except ValueError:
        return f"{response.status}, not JSON"
    return f"{response.status}, JSON"


SCENARIOS = (choosing, door, saturation, failure, crash, resending, timeout, draining, slow_body, ending)

EXPECTED = {
    "ties go round robin": "a b a b a",
    "the least loaded is chosen": "[0, 1, 2] in flight",
    "a freed place counts at once": "[1, 1] in flight",
    "GET /predict": "200, the predictor gets the sample",
    "POST /predict": "/predict unchanged, with content-type",
    "a body in chunks": "200, JSON, the predictor gets it with its length",
    "/health": "200",
    "another path": "404 error",
    "another method": "405, Allow with GET",
    "a body at the limit": "200",
    "a body that announces more": "413, JSON",
    "bad framing": "400, JSON",
    "each active is given its capacity": "[2, 2, 0] in flight",
    "the request that finds the actives full goes to the standby": "[2, 2, 1] in flight",
    "no place is left": "503 saturated, Retry-After, at once",
    "/health with no place left": "503",
    "the file shows it": "status [True, True, True], load [2, 2, 2]",
    "the standby's answer": "200 predict3",
    "failback after the saturation": "promoted, demoted",
    "the highest load": "[2, 2, 2]",
    "an active refuses connections": "200 200 200",
    "the standby is promoted for it": "promoted",
    "who serves then": "predict2 predict3",
    "both actives refuse": "200 200 200",
    "nobody is up": "503 down",
    "/health with nobody up": "503",
    "all are back": "200, status [True, True, False]",
    "requests in flight at a predictor that dies": "200 200",
    "one of two fails: reset": "200 200",
    "one of two fails: closed": "200 200",
    "one of two fails: not HTTP": "200 200",
    "one of two fails: 500": "200 200",
    "one of two answers 500 again and again": "{200}, then ejected",
    "every predictor answers 500": "500 poison",
    "how many were asked": "2",
    "every predictor resets": "502 bad_answer",
    "a predictor's own 4xx": "422",
    "only half answers": "502",
    "no answer within the deadline": "504 timeout",
    "drain with a request in flight": "draining",
    "what is in flight ends": "200 200",
    "who serves while it is drained": "predict2 predict3",
    "its state then": "drained",
    "its events": "drained predict1, promoted predict3, ready predict1, demoted predict3",
    "a body that never ends": "408, JSON",
    "a request in flight at a polite stop": "200",
    "the stop's exit status": "0",
    "the file after the stop": "as at the start",
}
"""What the rules say of each."""


class Deviation(NamedTuple):
    """What an engine does instead, and why."""

    what: str
    why: str


DEVIATIONS = {
    ("haproxy", "bad framing"): Deviation(
        "400, not JSON", "HAProxy's parser answers before any rule, with a page of its own that cannot be replaced"
    ),
    ("haproxy", "how many were asked"): Deviation(
        "3", "HAProxy has one count for all further attempts; two are needed when two actives die together"
    ),
    ("haproxy", "only half answers"): Deviation(
        "200, cut short", "HAProxy passes an answer on as it comes; the Flask engine reads it whole first"
    ),
}


def run(stage: Stage, engine: str) -> dict[str, str]:
    """Put an engine through all scenarios; returns what was seen of each rule."""
    bench = Bench(stage, engine)
    seen = {}
    for scenario in SCENARIOS:
        seen |= dict(scenario(bench))
        if scenario is not ending:
            bench.wait_until_as_planned()
    return seen


def run_both(stage: Stage) -> dict[str, dict[str, str]]:
    """Put every engine through all scenarios, side by side."""
    with ThreadPoolExecutor(len(ENGINES)) as pool:
        return dict(zip(ENGINES, pool.map(lambda engine: run(stage, engine), ENGINES), strict=True))
