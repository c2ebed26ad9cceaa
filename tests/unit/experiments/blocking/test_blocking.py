"""The blocking check without processes: schedule, plan, figures from records, report, and command-line mistakes."""

import asyncio
import io
import json
import random
import statistics
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

from cli import UsageError
from experiments.__main__ import main
from experiments.blocking.experiment import EXPERIMENT, plan_points
from experiments.blocking.findings import findings
from experiments.blocking.poisson_load import Load, schedule_s
from experiments.blocking.records import BlockingSettings, Point, PointRecords, PoissonRequest, read_points
from experiments.blocking.report import summarize
from experiments.blocking.run import Tail
from experiments.experiment import print_summary, write_report
from experiments.results.store import RowWriter, read_record, read_rows, write_json
from server_file import OWN, Server
from tests.unit.experiments.results.test_store import write_rows

SERVICE_TIME_S = 0.1
OVERHEAD_S = 0.001
SETTINGS = BlockingSettings(
    experiment="blocking",
    command="python -m experiments blocking",
    started_at="2025-01-31T14:25:00",
    service_time_s=SERVICE_TIME_S,
    arrivals=3000,
    seed=1,
    machine={},
    versions={},
)


def simulated(slots: int, rate_per_s: float, arrivals: int = 3000, seed: int = 5, late_s: float = 0.0) -> PointRecords:
    """A point as a faultless router would leave it: every answer takes OVERHEAD_S besides its service."""
    warm_up = 200
    free_at_s, rows = [0.0] * slots, []
    for at_s in schedule_s(rate_per_s, warm_up + arrivals, seed):
        first = min(range(slots), key=free_at_s.__getitem__)
        good = free_at_s[first] <= at_s
        if good:
            free_at_s[first] = at_s + SERVICE_TIME_S
        answer = {"status": 200 if good else 503, "reason": "" if good else "saturated", "predictor": "p"}
        latency_s = OVERHEAD_S + (SERVICE_TIME_S if good else 0.0)
        rows.append(PoissonRequest(scheduled_at_s=at_s, sent_at_s=at_s + late_s, latency_s=latency_s, **answer))
    point = Point(slots, {"predict1": slots}, 0.05, rate_per_s, warm_up, arrivals, seed)
    return PointRecords(Path(), point, rows)


def test_schedule_is_a_poisson_process_of_its_rate() -> None:
    """Steps have the mean and the spread of an exponential distribution, and no two runs share them by chance."""
    moments_s = schedule_s(50.0, 20_000, 1)
    steps_s = [after - before for before, after in pairwise(moments_s)]
    assert statistics.fmean(steps_s) == pytest.approx(0.02, rel=0.03)
    assert statistics.stdev(steps_s) == pytest.approx(0.02, rel=0.03)
    assert schedule_s(50.0, 100, 1) == moments_s[:100]
    assert schedule_s(50.0, 100, 2) != moments_s[:100]


ANSWERS = {
    b"HTTP/1.1 200 OK\r\nX-Predictor: p1\r\nContent-Length: 2\r\n\r\n{}": (200, "", "p1"),
    b'HTTP/1.1 503 Busy\r\nContent-Length: 23\r\n\r\n{"reason": "saturated"}': (503, "saturated", ""),
    b"HTTP/1.1 500 Bad\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbad": (500, "status 500", ""),
    b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX-A: b\r\n\r\n": (201, "", ""),
    b'HTTP/1.1 500 Bad\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{"reason":\r\n5\r\n"so"}\r\n0\r\n\r\n': (
        500,
        "so",
        "",
    ),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n": (0, "ConnectionResetError", ""),
    b"HTTP/1.1 204 None\r\n\r\n": (204, "", ""),
    b"HTTP/1.0 200 OK\r\n\r\nto the end": (200, "", ""),
    b"HTTP/1.1 307 There\r\nContent-Length: 0\r\n\r\n": (307, "status 307", ""),
    b'HTTP/1.1 503 Busy\r\n\r\n{"reason": ""}': (503, "status 503", ""),
    b'HTTP/1.1 503 Busy\r\n\r\n{"reason": "two\\nlines"}': (503, "two lines", ""),
    b"no answer\r\n\r\n": (0, "ConnectionResetError", ""),
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab": (0, "ConnectionResetError", ""),
    b"": (0, "ConnectionResetError", ""),
}
"""What a server answers before it closes the connection -> what is recorded."""


def test_load_records_every_answer_and_every_connection_that_ends_without_one(tmp_path: Path) -> None:
    """A connection that the server closed is not used again: its requests would count as lost by the router."""
    answers = iter(ANSWERS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(next(answers))
        writer.close()

    async def offer() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            writer = RowWriter(tmp_path / "requests.csv", PoissonRequest)
            await Load(f"http://127.0.0.1:{port}/predict", writer).run([0.02 * k for k in range(len(ANSWERS))])
            writer.close()

    asyncio.run(offer())
    rows = read_rows(PoissonRequest, tmp_path / "requests.csv")
    assert sorted((row.status, row.reason, row.predictor) for row in rows) == sorted(ANSWERS.values())


@pytest.mark.parametrize(
    ("path", "server", "head"),
    [
        ("/predict", OWN, "GET /predict HTTP/1.1\r\nHost: {host}"),
        ("", Server(path="/score?a=b"), "GET /score?a=b HTTP/1.1\r\nHost: {host}"),
        ("/p?q", Server(payload=b"\0\xff\r\n", content_type="image/png", headers={"X-A": "b"}),
         "POST /p?q HTTP/1.1\r\nHost: {host}\r\nX-A: b\r\nContent-Type: image/png\r\nContent-Length: 4"),
        ("", Server(payload=b""),
         "POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 0"),
    ],
)  # fmt: skip
def test_load_sends_the_servers_request_byte_for_byte(tmp_path: Path, path: str, server: Server, head: str) -> None:
    """Its payload with its length, its headers, and its path where the address has none."""
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.readuntil(b"\r\n\r\n"))
        received.extend(await reader.readexactly(len(server.payload or b"")))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def offer() -> str:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
            host = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
            writer = RowWriter(tmp_path / "requests.csv", PoissonRequest)
            await Load(f"http://{host}{path}", writer, server).run([0.0])
            writer.close()
            return host

    host = asyncio.run(offer())
    assert bytes(received) == f"{head.format(host=host)}\r\n\r\n".encode() + (server.payload or b"")


def test_load_begins_at_the_moment_that_it_is_given(tmp_path: Path) -> None:
    """Generators with the same schedule and start are due at the same moments, whenever each of them was started."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async def offer(start_at_s: float) -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            writer = RowWriter(tmp_path / "requests.csv", PoissonRequest)
            load = Load(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/predict", writer)
            await load.run([0.0, 0.1], start_at_s)
            writer.close()

    start_at_s = time.time() + 0.2
    asyncio.run(offer(start_at_s))
    rows = sorted(read_rows(PoissonRequest, tmp_path / "requests.csv"), key=lambda row: row.scheduled_at_s)
    assert [row.scheduled_at_s - start_at_s for row in rows] == pytest.approx([0.0, 0.1], abs=1e-5)
    assert all(row.sent_at_s >= row.scheduled_at_s - 1e-4 for row in rows)


def test_plan_has_nine_points_with_seeds_of_their_own() -> None:
    """1 % blocking stands at 4.46, 12.03 and 20.34 erlangs: rates are these by the service time."""
    points = plan_points(0.1, 5000, 7)
    assert [point.slots for point in points] == [10, 10, 10, 20, 20, 20, 30, 30, 30]
    assert [round(point.rate_per_s * 0.1, 2) for point in points[::3]] == [4.46, 12.03, 20.34]
    assert [point.seed for point in points] == list(range(7, 16))
    assert points[3].capacities == {"predict1": 10, "predict2": 10}


def test_plan_of_too_short_a_service_time_names_one_that_will_do() -> None:
    """A rate that one machine cannot carry is refused before anything starts, and the remedy works."""
    with pytest.raises(UsageError, match=r"--service-time: 0.01 .*give (\S+) or more") as raised:
        plan_points(0.01, 100, 1)
    plan_points(float(str(raised.value).split()[-3]), 100, 1)


def test_figures_of_a_faultless_router_lie_on_erlang_b() -> None:
    """Holding time without the way there and back; Erlang B at the counted rate inside the interval."""
    figures = summarize(SETTINGS, [simulated(10, 62.0)]).points[0]
    assert figures.holding_time_s == pytest.approx(SERVICE_TIME_S)
    assert figures.arrivals == 3000
    assert figures.low < figures.refused_share < figures.high
    assert (figures.inside, figures.invalid) == (True, "")


def test_figures_of_a_router_that_lost_a_slot_lie_outside() -> None:
    """Nine slots where ten were planned: the check sees it."""
    records = simulated(9, 97.0, arrivals=6000)
    wrong = replace(records, point=replace(records.point, slots=10))
    figures = summarize(SETTINGS, [wrong]).points[0]
    assert (figures.inside, figures.invalid) == (False, "")
    assert figures.gap > 0.02


def test_point_with_a_lagging_generator_is_invalid() -> None:
    """A generator behind its schedule offers other arrivals than those that Erlang B is about: no verdict."""
    summary = summarize(SETTINGS, [simulated(10, 62.0, late_s=0.02)])
    assert summary.points[0].inside is None
    assert summary.points[0].invalid == "the generator lagged, 1 in 100 sent late by 20 % of the service time or more"
    [headline, sentence] = summary.finding
    assert headline.startswith("None of the 1 points is valid")
    assert sentence.startswith("Invalid: 10 slots at 6")
    assert sentence.endswith(f"/s: {summary.points[0].invalid}.")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reason": "timeout", "status": 504}, "failed otherwise than by saturation"),
        ({"latency_s": 0.02}, "a refusal took 20 % of the service time"),
    ],
)
def test_point_with_what_theory_does_not_know_is_invalid(change: dict[str, object], why: str) -> None:
    """Failures other than saturation, and refusals that are not immediate, leave no verdict."""
    records = simulated(10, 62.0)
    changed = [replace(each, **change) if each.failed else each for each in records.arrivals]  # type: ignore[arg-type]
    figures = summarize(SETTINGS, [replace(records, arrivals=changed)]).points[0]
    assert figures.inside is None
    assert why in figures.invalid


def test_findings_count_and_warn_when_two_points_lie_outside() -> None:
    """One point in twenty lies outside by chance; from two of nine on, causes are named."""
    inside = summarize(SETTINGS, [simulated(10, 62.0)]).points[0]
    one_out = [inside] * 8 + [replace(inside, inside=False)]
    assert findings(SETTINGS, one_out)[:2] == [
        "The router refuses as often as theory says it must, within 95 % intervals, at 8 of 9 loads.",
        "Erlang B lies inside the 95 % interval of 8 of 9 points.",
    ]
    assert not any("lost slot" in sentence for sentence in findings(SETTINGS, one_out))
    assert "more than chance" not in findings(SETTINGS, one_out)[2]
    biased = [replace(inside, gap=0.8 * (inside.high - inside.refused_share))] * 9
    assert "more than chance, though each point alone" in findings(SETTINGS, biased)[2], "all a little on one side"
    two_out = [inside] * 7 + [replace(inside, inside=False)] * 2
    assert any("lost slot" in sentence for sentence in findings(SETTINGS, two_out))


def write_run(folder: Path, points: list[PointRecords]) -> None:
    """Writes records as a run leaves them, rows in no order."""
    write_json(folder / "settings.json", SETTINGS)
    for number, records in enumerate(points):
        place = folder / f"point-{number}"
        place.mkdir()
        write_rows(place / "requests.csv", *random.Random(1).sample(records.arrivals, len(records.arrivals)))
        write_json(place / "run.json", records.point)


def test_report_is_made_from_the_records_alone_and_the_same_again(tmp_path: Path) -> None:
    """Table in 80 columns, page without references outside, and the same bytes a second time."""
    write_run(tmp_path, [simulated(20, 150.0), simulated(10, 62.0)])
    assert read_record(BlockingSettings, tmp_path / "settings.json") == SETTINGS
    assert [records.point.slots for records in read_points(tmp_path)] == [10, 20]
    out = io.StringIO()
    print_summary(EXPERIMENT, write_report(EXPERIMENT, tmp_path), Console(file=out, width=80))
    assert max(map(len, out.getvalue().splitlines()[:-1])) <= 80
    assert "of 2 points" in out.getvalue()
    made = {name: (tmp_path / name).read_bytes() for name in ("summary.json", "report.html", "blocking.svg")}
    assert b"http://" not in made["report.html"]
    assert main(["report", str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in made} == made
    assert set(json.loads(made["summary.json"])["points"][0]) >= {"refused_share", "erlang_b", "low", "high", "inside"}


def test_report_of_a_run_without_a_finished_point_is_refused(tmp_path: Path) -> None:
    """Nothing to report is said, in one line."""
    write_run(tmp_path, [])
    with pytest.raises(UsageError, match="no point in it was finished"):
        write_report(EXPERIMENT, tmp_path)


def test_tail_counts_whole_rows_as_they_come(tmp_path: Path) -> None:
    """The progress display counts each row once, and none that is half written."""
    path = tmp_path / "requests.csv"
    tail = Tail(path)
    tail.read()
    header = "scheduled_at_s,sent_at_s,latency_s,status,reason,predictor\n"
    path.write_text(header + "1,1,0.1,200,,predict1\n2,2,0.0,503,satu", encoding="utf-8")
    tail.read()
    assert (tail.rows, tail.failed_rows) == (1, 0)
    with path.open("a") as file:
        file.write("rated,\n")
    tail.read()
    tail.read()
    assert (tail.rows, tail.failed_rows) == (2, 1)
