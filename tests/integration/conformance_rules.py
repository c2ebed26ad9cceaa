"""What the router's rules say of each case of conformance.py, and what an engine does instead."""

from typing import NamedTuple

ENGINES = ("flask", "haproxy")

EXPECTED = {
    "ties go round robin": "a b a b a",
    "the least loaded is chosen": "[0, 1, 2] in flight",
    "a freed place counts at once": "[1, 1] in flight",
    "GET /predict": "200, the predictor gets a GET",
    "GET with a body": "200, JSON",
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
    "its first refusal is an event": "refused",
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
    "one of two answers 404": "200 200",
    "one of two answers 405": "200 200",
    "one of two answers 429": "200 200",
    "one of two answers 503": "200 200",
    "GET where only POST is known": "200 405 501, nobody failed",
    "every predictor is busy": "429, refused as busy",
    "one of two answers 500 again and again": "{200}, then ejected",
    "every predictor answers 500": "500 poison",
    "how many were asked": "2",
    "every predictor resets": "502 bad_answer",
    "a predictor's own 4xx": "422",
    "only half answers": "502",
    "one of two gives half answers again and again": "ejected",
    "... and takes a while to break off": "ejected",
    "no answer within the deadline": "504 timeout",
    "drain with a request in flight": "draining",
    "what is in flight ends": "200 200",
    "who serves while it is drained": "predict2 predict3",
    "its state then": "drained",
    "its events": "drained predict1, promoted predict3, ready predict1, demoted predict3",
    "a body that never ends": "408, JSON",
    "all actives are full, and the standby is cold": "503",
    "an active is missing while the standby loads": "predict2",
    "a cold standby's events": "started, ended, wanted, unwanted, wanted, started, promoted, demoted, ended",
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
    ("haproxy", "one of two answers 405"): Deviation(
        "200 405", "HAProxy 2.6 sends again after 404, not after 405 or 410; three in a row take the predictor out"
    ),
    ("haproxy", "one of two answers 429"): Deviation(
        "200 429", "HAProxy 2.6 does not send again after it; the router promotes a standby where all are busy"
    ),
    ("haproxy", "how many were asked"): Deviation(
        "4", "HAProxy has one count for all further attempts; three are needed when two actives die together"
    ),
    ("haproxy", "only half answers"): Deviation(
        "200, cut short", "HAProxy passes an answer on as it comes; the Flask engine reads it whole first"
    ),
}
