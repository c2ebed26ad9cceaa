"""HAProxy's Runtime API: commands over its Unix socket, and the counters that `show stat` gives. No decisions here."""

import csv
import re
import socket
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from routing import memory
from routing.haproxy.configuration import POOL, PUBLIC, SPARE, spare
from routing.rotation import Found
from routing.upstream.errors import HealthCheckFailed

ANSWER_TIMEOUT_S = 2.0
RECEIVE_BYTES = 64 * 1024
PROMPT = b"\n> "
REFUSALS = ("down", "saturated")
COUNTED = {"timeout": "timeout", "bad_answer": "bad_answer", "unplaced": "down"}
"""The configuration's own counters, and the reason that their clients get."""

STATISTICS = "show stat -1 6 -1"  # backends (2) and servers (4) of every proxy
MEANINGS = "show table statuses"
MEANT = re.compile(r"key=(\S+) .*gpc0=(\d+) gpc1=(\d+) gpc2=(\d+) gpc3=(\d+)")
STREAM = re.compile(rf"^(0x[0-9a-f]+): .* be={POOL} srv=(\S+) .* rp\[f=\w+,i=\d+,an=([0-9a-f]+)h", re.MULTILINE)
AWAITS_ANSWER = 0x400000
"""In a stream's analysers: no answer has begun (AN_RES_WAIT_HTTP in HAProxy's channel-t.h, 2.5 to 3.2 alike)."""

CLASSES = ("2xx", "3xx", "4xx", "5xx")
COUNTERS = ("given", "misplaced", "busy", "resends", "sent_again", "errors")


class RuntimeApiError(Exception):
    """HAProxy does not answer as it should."""


@dataclass
class ServerStats:
    """One predictor's counters since HAProxy started; a standby's spare entry is counted with it."""

    up: bool = True
    reason: str = ""
    """Why it is down, in HAProxy's words."""
    found: Found = Found.SILENT
    """What its latest check, or the request that met the failure, tells of its process while it is down."""
    rising: bool = False
    """Whether it is down still, though its latest check passed."""
    load: int = 0
    peak_load: int = 0
    """The most at once; of a standby and its spare entry the higher, as their highest may not have been at one time."""
    given: int = 0
    """Requests that it was given, re-sent ones too."""
    answers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    """Answers that went to clients, by class of status: 2xx to 5xx; those that say busy are left out."""
    misplaced: int = 0
    """Those of them that say that predictions are not served there: 404, 405 but to a GET, and 410."""
    unknown_method: int = 0
    """Those of them that say 501 to a GET: the client chose the method."""
    busy: int = 0
    """Answers that went to clients and say busy: 429 and 503."""
    resends: int = 0
    """Requests that went on from it to another one."""
    sent_again: int = 0
    """Requests that it did not answer as it should, and that HAProxy sent again, there or elsewhere."""
    errors: int = 0
    """What HAProxy calls response errors; failures.py says which failures they are."""
    address: str = ""
    """Where HAProxy finds it: an IP address."""

    @property
    def served(self) -> int:
        """Answers that were no failure."""
        return sum(self.answers.values()) - self.failed

    @property
    def failed(self) -> int:
        """Answers that went to clients and were the predictor's failure."""
        return self.answers["5xx"] - self.unknown_method + self.misplaced


@dataclass
class Stats:
    """HAProxy's counters at one moment."""

    servers: dict[str, ServerStats]
    """By predictor."""
    refused: dict[str, int]
    weights: dict[str, int] = field(default_factory=dict)
    """The server entries' weights as they are set, those of spare entries too."""

    def remember(self) -> dict[str, Any]:
        """Returns the counters as JSON objects."""
        servers = {n: {k: getattr(s, k) for k in COUNTERS} | {"answers": s.answers} for n, s in self.servers.items()}
        return {"servers": servers, "refused": self.refused}

    @classmethod
    def recall(cls, told: Any, names: Iterable[str]) -> Self:
        """Returns the counters that were remembered of these predictors, 0 where there are none."""
        servers = memory.as_dict(memory.as_dict(told).get("servers"))
        refused = memory.as_counts(memory.as_dict(told).get("refused"))
        return cls({name: _recalled(memory.as_dict(servers.get(name))) for name in names}, dict(refused))


class RuntimeApi:
    """A running HAProxy's Unix socket; a connection for each query, or one that is kept."""

    def __init__(self, path: str, health: str | None = "/health") -> None:
        """`health` is what the health checks ask for, to be named when they fail."""
        self._path = path
        self._health = health or ""
        self._kept: socket.socket | None = None

    def connect(self) -> None:
        """Keeps one connection open: a HAProxy that is stopping accepts no other. Raises RuntimeApiError."""
        try:
            self._kept = self._connect()
            self._query_kept(self._kept, "prompt")
        except OSError as error:
            raise RuntimeApiError(f"HAProxy does not answer on {self._path}: {error}") from error

    def disconnect(self) -> None:
        """Closes the connection that was kept."""
        if self._kept is not None:
            self._kept.close()

    def stats(self) -> Stats:
        """Returns the counters as they stand. Raises RuntimeApiError."""
        variables = [f"get var proc.{name}" for name in COUNTED]
        answer = self.query([*variables, STATISTICS, MEANINGS])
        lines, _, rest = answer.partition("# ")
        table, _, meanings = rest.partition("# table:")
        try:
            stats = _parsed(lines, table, self._health)
            _add_meanings(stats, meanings)
            return stats
        except (KeyError, ValueError) as error:
            raise RuntimeApiError(f"HAProxy's statistics cannot be read: {error!r}") from error

    def has_clients(self) -> bool:
        """Whether any client has a connection; this one is none. Raises RuntimeApiError."""
        return "\nCurrConns: 0\n" not in self.query(["show info"])

    def has_requests(self) -> bool:
        """Whether any request has not been answered yet, be it that it still arrives. Raises RuntimeApiError."""
        return f"fe={PUBLIC} " in self.query(["show sess"])

    def execute(self, commands: list[str]) -> None:
        """Has HAProxy carry these out. Raises RuntimeApiError when it complains."""
        if commands and (complaint := self.query(commands).strip()):
            raise RuntimeApiError(f"HAProxy refuses an order: {complaint.splitlines()[0]}")

    def set_address(self, name: str, address: str, with_spare: bool) -> None:
        """Has HAProxy find this server, and its spare entry, at another IP address. Raises RuntimeApiError."""
        for server in (name, spare(name)) if with_spare else (name,):
            answer = self.query([f"set server {POOL}/{server} addr {address}"]).strip()
            if "changed" not in answer and "no need to change" not in answer:
                raise RuntimeApiError(f"HAProxy does not take {address} for {server}: {answer}")
        self.execute([f"set server {POOL}/{name} state ready"])  # a spare entry follows

    def send_again(self, name: str, most: int) -> None:
        """Has up to so many requests that wait on this predictor go elsewhere. Raises RuntimeApiError.

        To HAProxy each is one whose server has closed without an answer (`retry-on empty-response`).
        """
        streams = STREAM.findall(self.query(["show sess"]))
        servers = (name, spare(name))
        waiting = [s for s, server, analysers in streams if server in servers and int(analysers, 16) & AWAITS_ANSWER]
        if waiting:
            self.query([f"shutdown session {stream}" for stream in waiting[:most]])  # who has ended since is none

    def query(self, commands: list[str]) -> str:
        """Sends the commands and returns all that is answered. Raises RuntimeApiError."""
        try:
            if self._kept is not None:
                return "\n".join([self._query_kept(self._kept, command) for command in commands])
            with closing(self._connect()) as sock:
                sock.sendall(";".join(commands).encode() + b"\n")
                return b"".join(iter(partial(sock.recv, RECEIVE_BYTES), b"")).decode()
        except OSError as error:
            raise RuntimeApiError(f"HAProxy does not answer on {self._path}: {error}") from error

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(ANSWER_TIMEOUT_S)
        try:
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        return sock

    def _query_kept(self, sock: socket.socket, command: str) -> str:
        """Sends one command over a connection that shows a prompt after each answer."""
        sock.sendall(command.encode() + b"\n")
        answer = b""
        while not answer.endswith(PROMPT):
            data = sock.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError("the connection was closed")
            answer += data
        return answer.removesuffix(PROMPT).decode()


def _recalled(told: dict[str, Any]) -> ServerStats:
    counts, answers = memory.as_counts(told), memory.as_counts(told.get("answers"))
    server = ServerStats(answers={status: answers[status] for status in CLASSES})
    for name in COUNTERS:
        setattr(server, name, counts[name])
    return server


def _parsed(variables: str, table: str, health: str) -> Stats:
    values = [line.rpartition("<")[2].rstrip(">") for line in variables.splitlines() if line.startswith("proc.")]
    refused = dict.fromkeys(("saturated", "down", "timeout", "bad_answer"), 0)
    for reason, value in zip(COUNTED.values(), values, strict=True):
        refused[reason] += int(value)
    servers: dict[str, ServerStats] = {}
    weights: dict[str, int] = {}
    for row in csv.DictReader(table.splitlines()):
        if row["svname"] == "BACKEND" and row["pxname"] in REFUSALS:
            refused[row["pxname"]] += int(row["stot"])
        elif row["pxname"] == POOL and row["svname"] != "BACKEND":
            name = row["svname"].removesuffix(SPARE)
            servers[name] = _with_row(servers.get(name, ServerStats()), row, name != row["svname"], health)
            weights[row["svname"]] = int(row["uweight"])
    return Stats(servers, refused, weights)


def _add_meanings(stats: Stats, meanings: str) -> None:
    """Tells apart what `show stat` counts in one class of statuses, and the refusals that are predictors' own."""
    for name, *counts in MEANT.findall(meanings):
        misplaced, busy_4xx, busy_5xx, unknown_method = map(int, counts)
        server = stats.servers[name.removesuffix(SPARE)]
        server.misplaced += misplaced
        server.unknown_method += unknown_method
        server.busy += busy_4xx + busy_5xx
        server.answers["4xx"] -= busy_4xx
        server.answers["5xx"] -= busy_5xx
    stats.refused["busy"] = sum(server.busy for server in stats.servers.values())


def _with_row(server: ServerStats, row: dict[str, str], spare: bool, health: str) -> ServerStats:
    if not spare:
        server.up = not row["status"].startswith(("DOWN", "MAINT", "NOLB"))
        server.reason = _reason(row, health)
        check = row["check_status"].removeprefix("* ")  # while the next check is under way
        server.found = _found(row, check)
        server.address = row["addr"].rpartition(":")[0].strip("[]")
        server.rising = check in ("L7OK", "L4OK") and not server.up
    server.load += int(row["scur"])
    server.peak_load = max(server.peak_load, int(row["smax"]))
    server.given += int(row["stot"])
    for status in CLASSES:
        server.answers[status] += int(row[f"hrsp_{status}"])
    server.resends += int(row["wredis"])
    server.sent_again += _sent_again(int(row["wretr"]), int(row["wredis"]))
    server.errors += int(row["eresp"])
    return server


def _sent_again(retries: int, redispatches: int) -> int:
    """How many failed answers HAProxy made up for: one counts as a retry, and once more when its next server is chosen.

    That is a redispatch where it is another server, a second retry where it is the same. A connection that failed is
    counted there only (HAProxy 2.6: do_l7_retry and assign_server_and_queue).
    """
    return min(retries, (retries + redispatches + 1) // 2)


def _found(row: dict[str, str], check: str) -> Found:
    if row["status"].startswith("MAINT") or check in ("HANA", "L4CON", "L4TOUT"):
        return Found.NOTHING
    failed = _wrong_status(row)
    return failed.found if failed else Found.SILENT


def _wrong_status(row: dict[str, str], health: str = "") -> HealthCheckFailed | None:
    """What the latest check was answered, where that was not 2xx and the next check is not yet under way.

    From then on HAProxy 2.6 shows the latest check's outcome beside a status of 0.
    """
    answered = row["check_status"].removeprefix("* ") == "L7STS" and row["check_code"] != "0"
    return HealthCheckFailed(int(row["check_code"]), health) if answered else None


def _reason(row: dict[str, str], health: str) -> str:
    """What HAProxy's last check, or the request that met the failure, found."""
    if row["status"].startswith("MAINT"):
        return "the address of its host is not known"
    if row["check_status"] == "HANA" or (row["check_status"] == "L4CON" and "refused" in row["check_desc"].lower()):
        return "connection refused"
    if failed := _wrong_status(row, health):
        return str(failed)
    described = row["check_desc"] or row["check_status"]
    code = f" {row['check_code']}" if row["check_code"] not in ("", "0") else ""
    return f"health check: {described.lower()}{code}"
