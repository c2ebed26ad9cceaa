"""`python -m tools.reliability FILE`: what the fault tests measured, one JSON line each, as a Markdown table."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.harness.measurements import VARIABLE, Value

UNUSABLE = ("a raw-socket predictor", "200 by another predictor; 502 or 504 without one")
UNITS = {"per_s": "/s", "percent": "%", "mib": "MiB", "ms": "ms", "s": "s"}
USER_ERROR = 2


class Line(NamedTuple):
    """One line of the table, before anything is measured."""

    fault: str
    how: str
    must_show: str


LINES = {
    "crash": Line(
        "crash of an active with requests in flight",
        "SIGKILL of its process group",
        "lost 0; added wait at most 0.3 s; standby's first answer within 0.3 s",
    ),
    "hang": Line(
        "hang",
        "SIGSTOP of the group",
        "lost 0; out within 1.6 s; what waited on it is re-sent then, none slower than 2.5 s",
    ),
    "cut link": Line(
        "cut link to a predictor on a host of its own",
        "network namespaces; the switch's port goes down: packets vanish",
        "lost 0; out within 1.6 s; none slower than 2.5 s; serves again once mended",
    ),
    "resume": Line(
        "resume",
        "SIGCONT",
        "readmitted after two passed health checks; late answers go to nobody; load never above capacity",
    ),
    "both actives crash": Line(
        "both actives crash at once",
        "SIGKILL both",
        "standby alone serves; lost 0 while it has room, then 503 saturated",
    ),
    "all down": Line(
        "all down, then back",
        "SIGKILL all, start again",
        "503 down within 0.1 s; serves again within 2 s of the first being up",
    ),
    "flapping": Line(
        "flapping",
        "kill and start",
        "at least 99 % good; at most one role change per hold-down and predictor",
    ),
    "router stopped": Line(
        "router stopped politely under load",
        "SIGTERM, SIGINT",
        "every accepted request answered; exit 0; file in its initial state",
    ),
    "router killed": Line(
        "router killed under load, 50 times",
        "SIGKILL, start",
        "file always valid JSON; after start loads 0, initial statuses",
    ),
    "upgrade": Line(
        "upgrade of each predictor in turn",
        "drain, stop, start, ready",
        "lost 0 at 60 % of capacity; drained: nothing new, what is in flight finishes",
    ),
    "connect black hole": Line(
        "connect black hole",
        "a port with a full accept queue",
        "200 by another within 0.7 s",
    ),
    "unusable answer": Line("unusable answer", *UNUSABLE),
    "answer": Line("answer", *UNUSABLE),
    "flood": Line("flood", UNUSABLE[0], f"{UNUSABLE[1]}; memory bounded"),
    "ten floods": Line("ten floods", UNUSABLE[0], "memory bounded"),
    "fast 500s": Line(
        "fast 500s",
        "a raw-socket predictor",
        "lost 0; ejected after three failed answers (what is on its way by then still meets it); never the favourite",
    ),
    "poison": Line("poison", "every predictor answers 500 to it", "the 500 after two attempts; nobody ejected"),
    "saturation": Line(
        "saturation",
        "30 held, then 200 more at once",
        "exactly 200 refused, each under 0.2 s; afterwards loads 0 and no ejection",
    ),
    "clients that vanish": Line(
        "clients that vanish",
        "100 close their socket mid-request",
        "slots free once answered, or within 1 s; loads 0",
    ),
    "300 idle and 50 dripping": Line(
        "slow clients: 300 idle, 50 that drip",
        "raw sockets",
        "no added failure; the drip ends within 15 s; no slot before the request is complete",
    ),
    "two routers, one file": Line(
        "two routers, one file", "start the second", "refused in one line; the first goes on"
    ),
    "state file": Line("state file", "cannot be written, or edited", "requests unaffected; one warning; recovers"),
    "64 descriptors": Line("64 descriptors", "ulimit -n 64", "refusals while it lasts, full service afterwards"),
    "bytes after an answer": Line(
        "bytes after an answer",
        "a raw-socket predictor that says too much",
        "no client gets them",
    ),
    "12 clients that never read": Line(
        "12 clients that never read", "raw sockets", "others unaffected; ended within 15 s; memory bounded"
    ),
    "no descriptor left for 3 s": Line(
        "no descriptor left for 3 s", "RLIMIT_NOFILE lowered and raised", "full service within 1 s of its end"
    ),
    "soak": Line(
        "random faults, at most one predictor faulty at a time",
        "crash, hang, 500s, refusal, drain, upgrade",
        "lost 0 at 50 % of capacity on 3active; loads 0 at the end; memory under +10 MiB",
    ),
    "moments": Line(
        "50 clients at the very moment",
        "barriers",
        "each answered exactly once; load equals open requests; none above capacity",
    ),
}
"""The lines in the table's order. A fault's name begins with its line's key; one of no line comes last, as it is."""


class FiguresError(Exception):
    """A file of figures that cannot be read; the text names it and the place."""


def table(lines: Iterable[str]) -> str:
    """Return the measurements as a Markdown table; several of one fault as their range. Raises FiguresError."""
    runs = _by_fault(lines)
    rows = [(*_line(fault), _in_words(runs[fault])) for fault in sorted(runs, key=_place)]
    head = [("fault", "how", "must show", "measured"), ("---",) * 4]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in head + rows)


def _key(fault: str) -> str:
    """Return the longest key of LINES that the name begins with, empty if there is none."""
    return max((key for key in LINES if fault.startswith(key)), key=len, default="")


def _place(fault: str) -> int:
    return list(LINES).index(_key(fault)) if _key(fault) else len(LINES)


def _line(fault: str) -> Line:
    key = _key(fault)
    return LINES[key]._replace(fault=LINES[key].fault + fault.removeprefix(key)) if key else Line(fault, "", "")


def _by_fault(lines: Iterable[str]) -> dict[str, list[dict[str, Value]]]:
    runs: dict[str, list[dict[str, Value]]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            run = json.loads(line)
            runs.setdefault(run["fault"].partition(": ")[0], []).append(dict(run["measured"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FiguresError(f"line {number} is no figure of a fault test: {line.strip()[:60]!r}") from error
    return runs


def _in_words(runs: list[dict[str, Value]]) -> str:
    """Join all keys, in the order in which they first appear; `of` belongs to the key before it."""
    text = ""
    for key in dict.fromkeys(key for run in runs for key in run):
        values = [run[key] for run in runs if key in run]
        text += " of " + _range(values) if key == "of" and text else "; " + _named(key, values)
    return text.removeprefix("; ")


def _named(key: str, values: list[Value]) -> str:
    name, unit = key, ""
    for ending, written in UNITS.items():
        if key.endswith(f"_{ending}"):
            name, unit = key.removesuffix(f"_{ending}"), f" {written}"
            break
    return f"{name.replace('_', ' ')} {_range(values)}{unit}".strip()


def _range(values: list[Value]) -> str:
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        return ", ".join(dict.fromkeys(map(str, values)))
    low, high = f"{_rounded(min(numbers))}", f"{_rounded(max(numbers))}"
    return low if low == high else f"{low} to {high}"


def _rounded(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.2f}"


def main(arguments: list[str]) -> int:
    """Print the table of the file named; returns the exit status."""
    if len(arguments) != 1:
        print(f"reliability: {len(arguments)} arguments: give the one file that {VARIABLE} named", file=sys.stderr)
        return USER_ERROR
    try:
        print(table(Path(arguments[0]).read_text(encoding="utf-8").splitlines()), end="")
    except OSError as error:
        print(f"reliability: {arguments[0]}: cannot be read: {error.strerror}", file=sys.stderr)
        return USER_ERROR
    except (FiguresError, UnicodeDecodeError) as error:
        print(f"reliability: {arguments[0]}: {error}", file=sys.stderr)
        return USER_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
