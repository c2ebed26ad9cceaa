"""Locust's web page in a real browser: a run against a real router and predictor until its first failure."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.harness.locust_page import LocustPage
from tests.harness.processes import Router
from tests.harness.stage import Stage
from tests.harness.swarm import Swarm, WebPage
from tests.harness.waiting import wait_until

SLOTS = 3


@dataclass
class Observed:
    """A browser on a Locust that went through one run, and what could be seen on the way."""

    page: LocustPage
    router: Router
    swarm: Swarm
    form: dict[str, Any] = field(default_factory=dict)
    topology: list[dict[str, str]] = field(default_factory=list)
    """The row of the only predictor in the tab "Topology", each time that it changed."""
    failures: set[str] = field(default_factory=set)
    """The share of failed requests, as it stood in the page's head while the run went on."""

    def look(self) -> None:
        """Notes the predictor's row, if the tab shows it: not before a poll that asks the admin address of the form."""
        rows = [row for row in self.page.table() if row["Served, this run"].isdigit()]  # not before it is known
        self.topology += [row for row in rows if row not in self.topology]

    def served_grows(self) -> bool:
        """Looks; whether the figure that the tab shows has changed while the run went on."""
        self.look()
        return len({row["Served, this run"] for row in self.topology}) >= 2

    def stopped(self) -> bool:
        """Looks; whether the run has stopped."""
        self.look()
        share = self.page.failures()
        if self.page.state() == "STOPPED":
            return True
        self.failures.add(share)
        return False


@pytest.fixture(scope="module")
def observed(shared_stage: Stage, browser: Browser) -> Iterator[Observed]:
    """What is observed until the run has stopped by itself: the form, START, the tab "Topology"."""
    port, web_port = shared_stage.reserve_port(), shared_stage.reserve_port()
    shared_stage.light_predictor("predict1", port, service_time_s=0.5).addresses(1)
    router = shared_stage.router(shared_stage.topology("single", [port]), "--threshold", str(SLOTS))
    swarm = Swarm(shared_stage.folder / "swarm", "--web-port", str(web_port))
    try:
        observed = Observed(LocustPage(browser.new_page(), WebPage(swarm, web_port).url), router, swarm)
        run_to_its_stop(observed)
        yield observed
    finally:
        swarm.kill()


def run_to_its_stop(observed: Observed) -> None:
    """Opens the form, starts as many users as there are slots, and later too many, watching the tab "Topology"."""
    page = observed.page
    page.open_parameters()
    observed.form = {name: page.field(name).input_value() for name in ("host", "goOn")}
    observed.form["stops"] = page.field("stopAtFirstFailure").is_checked()
    addresses = {"host": observed.router.url, "admin": observed.router.admin_url}
    page.start(userCount=str(SLOTS), spawnRate="20", **addresses)
    page.show("Topology")
    wait_until(observed.served_grows)
    page.edit(userCount="40")
    wait_until(observed.stopped)


def test_form_has_the_host_filled_in_and_the_stop_ticked(observed: Observed) -> None:
    """Whoever opens the page need only press START, from whichever directory Locust was started."""
    assert observed.form == {"host": "http://127.0.0.1:8000", "goOn": "10", "stops": True}


def test_failures_are_shown_while_the_run_goes_on(observed: Observed) -> None:
    """The run ends some seconds after its first failure: its charts show failures before."""
    assert "0%" in observed.failures
    assert observed.failures != {"0%"}


def test_topology_tab_changes_while_the_run_goes_on(observed: Observed) -> None:
    """The tab shows the predictor's figures as the router has them, at every poll of the page."""
    served = [int(row["Served, this run"]) for row in observed.topology]
    assert served == sorted(served)
    assert served[0] < served[-1]
    words = {(row["Predictor"], row["Role"], row["Status"], row["Topology"]) for row in observed.topology}
    assert words == {("predict1", "active", "serving", "single")}
    assert {row["Sent again to another, this run"] for row in observed.topology} == {"0"}
    assert observed.topology[-1]["Peak load so far"] == str(SLOTS)
    assert observed.topology[-1]["Load / capacity"].endswith(f" / {SLOTS}")


def test_first_failure_stands_in_its_tab_and_in_the_download(observed: Observed, tmp_path: Path) -> None:
    """The run's row says what was measured, and the downloaded table says the same."""
    observed.page.show("First failure")
    (row,) = observed.page.table()
    assert (row["Run"], row["Topology"], row["Cause"]) == ("1", "single", "503 saturated")
    assert re.fullmatch(r"predict1 [0-3]/3 serving", row["Loads and states at that moment"])
    (theory,) = [cell for title, cell in row.items() if title.startswith("90 % of runs")]
    assert theory == "- (the swarm did not grow at one pace)"  # Edit was pressed
    (downloaded,) = csv.DictReader(observed.page.download("first failures CSV", tmp_path).splitlines())
    assert (downloaded["users"], downloaded["cause"]) == (row["Users"], "saturated")
    rate = float(downloaded["rate_at_first_failure_per_s"])
    assert row["Rate at first failure (requests/s)"].startswith(f"{rate:.1f}")


def test_records_in_the_download_agree_with_the_router(observed: Observed, tmp_path: Path) -> None:
    """The downloaded records hold every answer but those that the stop cut off, and one refusal at least."""
    rows = list(csv.DictReader(observed.page.download("records CSV", tmp_path).splitlines()))
    assert {row["reason"] for row in rows if row["status"] == "503"} == {"saturated"}
    answered = [row for row in rows if row["status"] == "200"]
    assert {row["predictor"] for row in answered} == {"predict1"}
    assert 0 <= observed.router.predictors("served")[0] - len(answered) <= SLOTS


def test_start_without_a_router_says_the_remedy_in_the_form_and_starts_nothing(observed: Observed) -> None:
    """The form names what is wrong, first of the host and then of its router; the first run's row stays alone."""
    observed.router.stop()
    page = observed.page
    page.start_again(host=observed.router.url.removeprefix("http://"))
    wait_until(lambda: "is not an address such as http://127.0.0.1:8000" in page.told())
    page.fill_in_and_start(host=observed.router.url)
    start = "start python router.py (in the project's folder) first"
    wait_until(lambda: page.told() == f"nothing listens on {observed.router.url}: {start}, or correct Host")
    page.page.keyboard.press("Escape")
    page.show("First failure")
    assert [row["Cause"] for row in page.table()] == ["503 saturated"]
    assert page.state() == "STOPPED"
