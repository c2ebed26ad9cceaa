"""What the preflight makes of its measurements: the capacity to suggest, the table, sentences and warnings."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cli import UsageError
from experiments.server import document, levels_table, main, sentences, shown, warnings
from experiments.testbed.servers.predictions import Answer, Burst, HealthCheck, Pace
from experiments.testbed.servers.preflight import Drain, Preflight, carried_at_once
from experiments.testbed.servers.probes import Outcome
from server_file import Server

WELL = HealthCheck(Outcome(200, "answers 200 OK"), 0.002)
ALONE = Burst(1, [Answer(200, 0.2, 0.0)] * 20)


def burst(at_once: int, latency_s: float = 0.2, refused: int = 0, health: HealthCheck = WELL) -> Burst:
    """Twenty predictions with so many at once, some of them refused, and a health check."""
    good = [Answer(200, latency_s, 0.0)] * (20 - refused)
    return Burst(at_once, [*good, *[Answer(503, 0.001, 0.0)] * refused], [health])


CARRIES = [burst(1), burst(2), burst(4), burst(8), burst(16)]
FOUND = Preflight(
    healthy_after_s=1.25,
    ready_after_s=2.5,
    answer=Answer(200, 0.2, 0.0, b'{"score": 3.75}'),
    alone=ALONE,
    levels=CARRIES,
    processes=2,
    outside=0,
    drain=Drain(in_flight=4, answered=4, ended_after_s=0.3, left=0),
)
IN_FLIGHT = "predictions in flight at SIGTERM"
WHY_THAT = "the most at once that were all answered, in at most 1.5 times the time alone"
SERVER = Server(path="/score", payload=b"{}")


@pytest.mark.parametrize(
    ("levels", "capacity"),
    [
        (CARRIES, 16),
        ([burst(1), burst(2, 0.3), burst(4, 0.31), burst(8)], 2),
        ([burst(1), burst(2), burst(4, refused=1), burst(8)], 2),
        ([burst(1), burst(2, 0.4)], 1),
        ([burst(1, refused=20)], 1),
    ],
    ids=["all", "slower than 1.5 times alone", "one is refused", "one at a time", "none"],
)
def test_capacity_is_the_most_that_all_got_a_good_answer_in_time(levels: list[Burst], capacity: int) -> None:
    """In at most 1.5 times the time alone; what a greater number did by luck does not count."""
    assert carried_at_once(ALONE, levels) == capacity


def test_result_in_sentences() -> None:
    """Start, answer, service time, stop, and what to write into the file; no warning where all is well."""
    assert sentences(replace(SERVER, capacity=16), FOUND) == [
        "Start: health after 1.25 s, first good prediction after 2.5 s.",
        'Answer to POST /score: 200, 15 bytes: {"score": 3.75}',
        "Service time: 0.2 s, the median of 20 predictions alone (0.2 s to 0.2 s).",
        f"Stop: 4 of 4 {IN_FLIGHT} got a good answer; it ended after 0.3 s; nothing of it was left.",
        f"Suggested capacity: 16, {WHY_THAT}; more were not tried: as in its file.",
    ]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (replace(FOUND, levels=[burst(1), burst(2, 0.4)]), "it has 10, which is more than it carries: 2 at once take"),
        (replace(FOUND, levels=[burst(1), burst(2, refused=5)]), "with 2 at once 5 of 20 predictions got no good"),
        (
            replace(FOUND, levels=[burst(1), burst(2, health=HealthCheck(Outcome(503, "answers 503"), 0.01))]),
            "with 2 at once its health check answers 503: the router takes it for down then, unless",
        ),
        (
            replace(FOUND, levels=[burst(1), burst(2, health=HealthCheck(Outcome(200, ""), 1.2))]),
            "with 2 at once its health check takes longer than health_timeout_s, 0.5 s: raise it above 1.2 s",
        ),
        (replace(FOUND, outside=1), "1 of its 2 processes left the process group"),
        (replace(FOUND, drain=Drain(4, 3, 0.3, 0)), "have your server finish them at SIGTERM; until then"),
        (replace(FOUND, drain=Drain(4, 4, 0.3, 1)), "what its stop leaves may hold its port"),
        (replace(FOUND, alone=Burst(1, [*ALONE.answers, Answer(200, 0.7, 0.0)])), "predictions alone took from 0.2 s"),
        (replace(FOUND, alone=Burst(1, [Answer(200, 0.005, 0.0)])), "full at 2000 requests/s, more than the 300"),
    ],
)  # fmt: skip
def test_what_may_surprise_is_warned_of(found: Preflight, told: str) -> None:
    """One sentence each."""
    assert told in " ".join(warnings(SERVER, found))


def test_server_without_surprises_is_not_warned_of() -> None:
    """Nothing to say."""
    assert list(warnings(SERVER, FOUND)) == []


@pytest.mark.parametrize(
    ("drain", "told"),
    [
        (
            Drain(4, 2, 0.3, 1),
            f"2 of 4 {IN_FLIGHT} got a good answer; it ended after 0.3 s; 1 of its ",
        ),
        (Drain(0, 0, 0.3, 0), "no prediction was in flight at SIGTERM; it ended"),
        (Drain(4, 4, None, 1), "it had not ended within its stop_within_s, and was killed"),
    ],
)
def test_stop_in_words(drain: Drain, told: str) -> None:
    """What became of predictions in flight, and what was left."""
    assert told in sentences(SERVER, replace(FOUND, drain=drain))[3]


def test_table_fits_80_columns_and_shows_refusals_beside_latency() -> None:
    """One row for each number at once."""
    printed = io.StringIO()
    Console(file=printed, width=80).print(levels_table("fastapi", replace(FOUND, levels=[burst(1), burst(16, 0.5, 7)])))
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "16     20    13  7 x 503      0.5 s      2.5  passes" in " ".join(lines)


def test_answer_is_shown_on_one_line_and_cut() -> None:
    """What is not text is no mess on the terminal."""
    assert shown(b'{"a":\n  1}\x1b[2J') == '{"a": 1}?[2J'
    assert shown(b"x" * 200) == "x" * 60 + "..."


def test_json_has_the_figures_and_no_answer() -> None:
    """For programs: every level, the drain, the capacity, the warnings."""
    found = document(SERVER, FOUND)
    assert (found["service_time_s"], found["capacity"], found["warnings"]) == (0.2, 16, [])
    assert found["levels"][0] == {"at_once": 1, "statuses": {200: 20}, "latency_s": 0.2, "longest_health_s": 0.002}


@pytest.mark.parametrize(
    ("asked", "since_s", "goes_on"),
    [(0, 99.0, True), (4, 1.0, True), (5, 1.0, False), (5, 0.1, True), (1, 10.0, False)],
)
def test_pace_bounds_how_long_a_slow_server_is_asked(asked: int, since_s: float, goes_on: bool) -> None:
    """Once always; then five times or half a second, whichever is more, and none after 10 s."""
    assert Pace(5, 0.5, 10.0).goes_on(asked, since_s) is goes_on


@pytest.mark.parametrize("name", [".", "missing/figures.json"])
def test_figures_that_could_not_be_written_are_refused_before_anything_is_measured(tmp_path: Path, name: str) -> None:
    """The measurement takes minutes."""
    with pytest.raises(UsageError, match=r"argument --json: .*: give a file in a folder that exists"):
        main(["fastapi", "--json", str(tmp_path / name)], Console(file=io.StringIO()))


def test_server_that_hooks_reach_is_refused_in_words_of_its_own(tmp_path: Path) -> None:
    """Nothing is missing in the file: experiments take it."""
    file = tmp_path / "far.json"
    file.write_text('{"hooks": {"start": "true"}}')
    with pytest.raises(UsageError, match=r"far\.json: hooks: .*; give an experiment the file"):
        main([str(file)], Console(file=io.StringIO()))
