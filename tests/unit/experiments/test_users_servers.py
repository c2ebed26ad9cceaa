"""Reports on runs of a user's own server: it is named; theory stands there only where it applies, else the reason."""

import dataclasses
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import Console

from experiments.experiment import experiment_of, print_summary, read_finished, write_report
from experiments.results.records import ServerRecord
from experiments.results.store import SETTINGS, read_json, write_json
from tests.frozen.produce import RUNS, page_text
from tests.harness.charts import empty_charts
from tests.harness.server_records import QUEUEING, SERVER, WHY

KEPT = Path(__file__).resolve().parents[2] / "frozen" / "runs"
THEORY = {
    "compare": {"runs_inside_theory": 0, "inside_theory": None, "refused_share_if_held": None, "rate_per_s": None},
    "blocking": {"erlang_b": None, "gap": None, "inside": None},
    "blocking-topologies": {"erlang_b": None, "gap": None, "inside": None, "theory_per_s": None, "pairs": []},
    "failover": {"predicted_lost": None, "predicted_delayed": None, "below_need_s": None, "without_reserve_s": None,
                 "erlangs": None, "slots_needed": None, "refused_share": None, "overloaded": False},
}  # fmt: skip
"""Kept run -> field of summary.json -> its value wherever it stands, where theory does not apply."""


class Report(NamedTuple):
    """A run's summary.json, what the terminal shows, the page's text, and its folder, which several tests read."""

    summary: Any
    printed: str
    page: str
    run: Path


Reports = Callable[[str, ServerRecord], Report]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """Reports on a kept run, had its predictors been this server; each is made once."""
    made: dict[tuple[str, str], Report] = {}

    def of(name: str, server: ServerRecord) -> Report:
        key = (name, repr(server))
        if key not in made:
            made[key] = make_report(name, server, tmp_path_factory.mktemp(name))
        return made[key]

    return of


def make_report(name: str, server: ServerRecord, folder: Path) -> Report:
    """Makes the report on a copy of the run."""
    run = folder / name
    shutil.copytree(KEPT / name, run)
    experiment = experiment_of(run)
    write_json(run / SETTINGS, dataclasses.replace(read_finished(experiment, run)[0], server=server))
    with empty_charts():
        summary = write_report(experiment, run)
    printed = io.StringIO()
    print_summary(experiment, summary, Console(file=printed, width=80))
    return Report(
        read_json(run / "summary.json"), printed.getvalue(), page_text((run / "report.html").read_text()), run
    )


def values_of(document: Any, key: str) -> Iterator[Any]:
    """Every value of this key, however deep it stands."""
    if isinstance(document, dict):
        yield from (value for name, value in document.items() if name == key)
    if isinstance(document, dict | list):
        for each in document.values() if isinstance(document, dict) else document:
            yield from values_of(each, key)


@pytest.mark.parametrize("name", RUNS)
def test_where_a_server_queues_no_theory_stands_beside_its_figures(name: str, report: Reports) -> None:
    """A dash in every place, and why, in a sentence: in summary.json, on the terminal and on the page."""
    summary, printed, page, _ = report(name, QUEUEING)
    sentence = f"No theory stands beside these figures: {WHY}."
    assert sentence in summary["finding"]
    assert sentence in " ".join(printed.split())
    assert sentence in page
    for key, empty in THEORY[name].items():
        found = list(values_of({name: summary[name] for name in summary.keys() - {"answer", "definitions"}}, key))
        assert found
        assert [value for value in found if value != empty] == [], key


@pytest.mark.parametrize("name", RUNS)
def test_where_a_server_does_not_queue_theory_stands_as_ever(name: str, report: Reports) -> None:
    """The server is named on terminal and page, with its service time; figures are as of the rig's own."""
    summary, printed, page, _ = report(name, SERVER)
    assert "No theory" not in page
    assert "measured of fastapi" in " ".join(printed.split())
    assert "fastapi.json: uvicorn app:app --port {port}" in page
    assert "headers Authorization\npredict1 alone" in page
    assert "predict1 alone: 0.2 s, the median of 15 predictions (0.19 to 0.22 s); 10 at once: 0.21 s, 50 of 50" in page
    [key, empty] = next(iter(list(THEORY[name].items())[1:]))
    assert [value for value in values_of(summary, key) if value != empty]


def test_the_posts_figures_stand_beside_no_server_of_a_users_own(report: Reports) -> None:
    """They are of other predictors: neither columns of dashes nor the reasons why they differ."""
    _, printed, page, _ = report("compare", SERVER)
    for words in ("post", "Post"):
        assert words not in printed
        assert words not in page
    page = report("failover", SERVER).page
    assert "In the post" not in page
    assert "The last column" not in page


def test_what_a_users_server_was_not_measured_in_has_no_row(report: Reports, tmp_path: Path) -> None:
    """A row of dashes for production capacity, which was left out; of the rig's own it stands there as ever."""
    _, _, page, kept = report("failover", SERVER)
    run = shutil.copytree(kept, tmp_path / "failover")
    assert "Availability in planned outages" in page
    settings = read_json(run / SETTINGS)
    for path in run.glob("*/capacity*"):
        shutil.rmtree(path)
    for server in (settings["server"], None):
        write_json(run / SETTINGS, {key: value for key, value in settings.items() if key != "server" or server})
        with empty_charts():
            write_report(experiment_of(run), run)
        assert ("Capacity all up" in page_text((run / "report.html").read_text())) == (server is None)


def test_a_latency_in_the_runs_other_than_alone_is_told(report: Reports, tmp_path: Path) -> None:
    """Theory goes by the runs' latency; without the sentence two service times would stand there unexplained."""
    summary, _, page, kept = report("compare", SERVER)
    run = shutil.copytree(kept, tmp_path / "compare")
    alone_s = summary["settings"]["service_time_s"]
    assert all(abs(each["theory_latency_s"] - alone_s) <= 0.1 * alone_s for each in summary["topologies"])
    assert "Alone before the runs" not in page
    settings = run / SETTINGS
    write_json(settings, read_json(settings) | {"service_time_s": 1.5})
    with empty_charts():
        again = write_report(experiment_of(run), run)
    [told] = [sentence for sentence in again.finding if sentence.startswith("Alone before the runs")]
    assert told == "Alone before the runs a prediction took 1.5 s, in them 0.51 s, which theory uses."


@pytest.mark.parametrize("name", RUNS)
def test_without_a_server_records_have_no_such_key(name: str) -> None:
    """Old runs and runs of the rig's own predictors keep their settings as they were."""
    assert "server" not in read_json(KEPT / name / SETTINGS)
