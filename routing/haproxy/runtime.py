"""HAProxy's Runtime API: commands over its Unix socket, and the counters that `show stat` gives. No decisions here."""

import csv
import socket
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from routing.haproxy.configuration import POOL, SPARE, spare

ANSWER_WITHIN_S = 2.0
PIECE_BYTES = 64 * 1024
PROMPT = b"\n> "
REFUSALS = ("down", "saturated")
COUNTED = {"timeout": "timeout", "bad_answer": "bad_answer", "unplaced": "down"}
"""The configuration's own counters, and the reason that their clients hear."""

STATISTICS = "show stat -1 6 -1"  # backends (2) and servers (4) of every proxy
CLASSES = ("2xx", "3xx", "4xx", "5xx")


class RuntimeApiError(Exception):
    """HAProxy does not answer as it should."""


@dataclass
class Figures:
    """One predictor's counters since HAProxy started; a standby's spare entry is counted with it."""

    up: bool = True
    reason: str = ""
    """Why it is down, in HAProxy's words."""
    load: int = 0
    peak_load: int = 0
    """The most at once; of a standby and its spare entry the higher, as their highest may not have been at one time."""
    given: int = 0
    """Requests that it was given, re-sent ones too."""
    answers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    """Answers that went to clients, by class of status: 2xx to 5xx."""
    resends: int = 0
    """Requests that went on from it to another one."""
    sent_again: int = 0
    """Requests that it did not answer as it should, and that HAProxy sent again, there or elsewhere."""
    errors: int = 0
    """What HAProxy calls response errors; failures.py says which failures they are."""

    @property
    def served(self) -> int:
        """Answers that were no failure."""
        return sum(count for status, count in self.answers.items() if status != "5xx")


@dataclass
class Reading:
    """What one look at HAProxy found."""

    predictors: dict[str, Figures]
    refused: dict[str, int]


class RuntimeApi:
    """The way to a running HAProxy's Unix socket; a connection for each look, or one that stays."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._kept: socket.socket | None = None

    def stay(self) -> None:
        """Keep one connection from now on: a HAProxy that is stopping accepts no other, and ends after this one.

        Raises RuntimeApiError.
        """
        try:
            self._kept = self._connection()
            self._asked(self._kept, "prompt")
        except OSError as error:
            raise RuntimeApiError(f"HAProxy does not answer on {self._path}: {error}") from error

    def leave(self) -> None:
        """Close the connection that was kept."""
        if self._kept is not None:
            self._kept.close()

    def read(self) -> Reading:
        """Return the counters as they stand. Raises RuntimeApiError."""
        variables = [f"get var proc.{name}" for name in COUNTED]
        answer = self.ask([*variables, STATISTICS])
        lines, _, table = answer.partition("# ")
        try:
            return _reading(lines, table)
        except (KeyError, ValueError) as error:
            raise RuntimeApiError(f"HAProxy's statistics cannot be read: {error!r}") from error

    def order(self, orders: Iterable[str]) -> None:
        """Have HAProxy do this. Raises RuntimeApiError when it complains."""
        commands = list(orders)
        if commands and (complaint := self.ask(commands).strip()):
            raise RuntimeApiError(f"HAProxy refuses an order: {complaint.splitlines()[0]}")

    def move(self, name: str, address: str, with_spare: bool) -> None:
        """Have HAProxy find this server, and its spare entry, at another IP address. Raises RuntimeApiError."""
        for server in (name, spare(name)) if with_spare else (name,):
            told = self.ask([f"set server {POOL}/{server} addr {address}"]).strip()
            if "changed" not in told and "no need to change" not in told:
                raise RuntimeApiError(f"HAProxy does not take {address} for {server}: {told}")
        self.order([f"set server {POOL}/{name} state ready"])  # a spare entry follows

    def ask(self, commands: list[str]) -> str:
        """Send the commands and return all that is answered. Raises RuntimeApiError."""
        try:
            if self._kept is not None:
                return "\n".join([self._asked(self._kept, command) for command in commands])
            with closing(self._connection()) as sock:
                sock.sendall(";".join(commands).encode() + b"\n")
                return b"".join(iter(partial(sock.recv, PIECE_BYTES), b"")).decode()
        except OSError as error:
            raise RuntimeApiError(f"HAProxy does not answer on {self._path}: {error}") from error

    def _connection(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(ANSWER_WITHIN_S)
        try:
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        return sock

    def _asked(self, sock: socket.socket, command: str) -> str:
        """One command over a connection that shows a prompt after each answer."""
        sock.sendall(command.encode() + b"\n")
        answer = b""
        while not answer.endswith(PROMPT):
            piece = sock.recv(PIECE_BYTES)
            if not piece:
                raise ConnectionResetError("the connection was closed")
            answer += piece
        return answer.removesuffix(PROMPT).decode()


def _reading(variables: str, table: str) -> Reading:
    values = [line.rpartition("<")[2].rstrip(">") for line in variables.splitlines() if line.startswith("proc.")]
    refused = dict.fromkeys(("saturated", "down", "timeout", "bad_answer"), 0)
    for reason, value in zip(COUNTED.values(), values, strict=True):
        refused[reason] += int(value)
    predictors: dict[str, Figures] = {}
    for row in csv.DictReader(table.splitlines()):
        if row["svname"] == "BACKEND" and row["pxname"] in REFUSALS:
            refused[row["pxname"]] += int(row["stot"])
        elif row["pxname"] == POOL and row["svname"] != "BACKEND":
            name = row["svname"].removesuffix(SPARE)
            predictors[name] = _with_row(predictors.get(name, Figures()), row, spare=name != row["svname"])
    return Reading(predictors, refused)


def _with_row(figures: Figures, row: dict[str, str], spare: bool) -> Figures:
    if not spare:
        figures.up = not row["status"].startswith(("DOWN", "MAINT", "NOLB"))
        figures.reason = _reason(row)
    figures.load += int(row["scur"])
    figures.peak_load = max(figures.peak_load, int(row["smax"]))
    figures.given += int(row["stot"])
    for status in CLASSES:
        figures.answers[status] += int(row[f"hrsp_{status}"])
    figures.resends += int(row["wredis"])
    figures.sent_again += _sent_again(int(row["wretr"]), int(row["wredis"]))
    figures.errors += int(row["eresp"])
    return figures


def _sent_again(retries: int, redispatches: int) -> int:
    """How many failed answers HAProxy made up for: one counts as a retry, and once more when its next server is chosen.

    That is a redispatch where it is another server, a second retry where it is the same. A connection that failed is
    counted there only (HAProxy 2.6: do_l7_retry and assign_server_and_queue).
    """
    return min(retries, (retries + redispatches + 1) // 2)


def _reason(row: dict[str, str]) -> str:
    """What HAProxy's last check, or the request that met the failure, found."""
    if row["status"].startswith("MAINT"):
        return "the address of its host is not known"
    if row["check_status"] == "HANA" or (row["check_status"] == "L4CON" and "refused" in row["check_desc"].lower()):
        return "connection refused"
    described = row["check_desc"] or row["check_status"]
    code = f" {row['check_code']}" if row["check_code"] else ""
    return f"health check: {described.lower()}{code}"
