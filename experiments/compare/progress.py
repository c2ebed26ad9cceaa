"""A swarm's status in words, from the records that it writes: users, answers per second, loads."""

import time
from pathlib import Path
from typing import Any

from experiments.compare.records import RunRecords
from experiments.results.store import FIRST_FAILURE, RowReader, request_files

LOOK_BACK_S = 5.0
TAIL_BYTES = 64 * 1024


def swarm_text(folder: Path, state: dict[str, Any] | None) -> str:
    """The status of the swarm whose records are in `folder`; `state` is the admin port's last answer."""
    if (folder / FIRST_FAILURE).is_file():
        return "first failure noted, letting requests in flight finish"
    parts = [recent(path, time.time()) for path in request_files(folder)]
    users, rate_per_s = sum(part[0] for part in parts), sum(part[1] for part in parts)
    if not users:
        return "starting the swarm"
    return f"{users} users, {rate_per_s:.1f} answers/s, loads {loads_text(state)}"


def ended_text(records: RunRecords) -> str:
    """What a swarm came to."""
    failure = records.first_failure
    if failure is None:
        return "nothing failed"
    rate = f"{failure.rate_at_first_failure_per_s:.1f} requests/s"
    return f"{failure.cause} at {rate}, {failure.users} users"


def recent(requests_csv: Path, now_s: float) -> tuple[int, float]:
    """The users at the last recorded request, and the requests finished per second in the last LOOK_BACK_S.

    Reads the end of the swarm's records, which it writes about once a second; a younger run is looked at since its
    first request. (0, 0.0) before there is any record.
    """
    rows = _last_rows(requests_csv)
    if not rows:
        return 0, 0.0
    ended_s = [float(row["sent_at_s"]) + float(row["latency_s"]) for row in rows]
    newest_s = min(now_s, ended_s[-1])
    window_s = min(LOOK_BACK_S, max(1.0, newest_s - float(rows[0]["sent_at_s"])))
    return int(rows[-1]["users"]), sum(newest_s - window_s < each_s for each_s in ended_s) / window_s


def _last_rows(path: Path) -> list[dict[str, str]]:
    """The last whole rows of a CSV file; none while it is not there."""
    reader = RowReader(path)
    if not (head := next(reader.read(), [])):
        return []
    reader.skip_to_last(TAIL_BYTES)
    return [dict(zip(head, row, strict=False)) for row in reader.read()]


def loads_text(state: dict[str, Any] | None) -> str:
    """Each predictor's load, in file order; - for one that takes nothing."""
    predictors = state["predictors"].values() if state else ()
    return "/".join(str(fields["load"]) if fields["status"] else "-" for fields in predictors) or "unknown"
