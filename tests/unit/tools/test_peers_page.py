"""What docs/peers.md says, from small summaries made by hand, where every figure can be counted on paper."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli import UsageError
from experiments.failover.faults import FAULTS
from tests.command_lines import assert_mistake
from tools import peers, peers_chart
from tools.peers_figures import losses, mean_lost, per_fault
from tools.peers_results import (
    FINISHED,
    Cell,
    Results,
    Speed,
    read,
    write,
)
from tools.peers_tables import ORDER, in_order, page
from tools.peers_text import count_text

LEFT_OUT = {"region"}
"""The fault that is not measured: topologies here have no regions."""

SETTINGS = {
    "engine": "",
    "started_at": "2026-11-26T19:00:00+00:00",
    "machine": {"processor": "A processor", "cores": "2", "memory": "8.0 GiB", "system": "Linux 6"},
    "versions": {"project": "abc123", "python": "3.11.2"},
    "routers": [{"name": "nginx", "version": "nginx version: nginx/1.22.1"}],
    "rate_per_s": 8.5, "service_time_s": 0.4, "threshold": 10, "window_s": 8.0, "repair_after_s": 3.0,
    "hold_down_s": 2.0, "at_once": 7,
}  # fmt: skip


def window(lost: int, offered: int = 70, fault: str = "crash", **more: Any) -> dict[str, Any]:
    """A window as summary.json has it."""
    times = {"outage_s": lost / 10, "longest_wait_s": 0.5 + lost}
    return {"fault": fault, "lost": lost, "offered": offered, "lateness_p99_s": 0.01} | times | more


def run(folder: Path, name: str, *, finished: bool = True, **windows: list[dict[str, Any]]) -> None:
    """A step's folder: router -> its windows."""
    (folder / name).mkdir(parents=True)
    topology = name.partition("-")[0]
    scored = [{"topology": f"{topology} / {router}", "windows": found} for router, found in windows.items()]
    text = json.dumps({"settings": SETTINGS, "topologies": scored})
    (folder / name / "summary.json").write_text(text, encoding="utf-8")
    if finished:
        (folder / name / FINISHED).write_text('{"took_s": 1.0}', encoding="utf-8")


def results(*cells: Cell, speeds: list[Speed] | None = None) -> Results:
    """Results with these cells."""
    about = {
        "begun": "2026-11-26", "machine": SETTINGS["machine"], "commits": ["abc123"], "python": "3.11.2",
        "versions": {"nginx": "1.22.1"}, "threads": {}, "settings": {"rate_per_s": [8.5]},
    }  # fmt: skip
    return Results(about, list(cells), speeds or [])


def cell(router: str, *lost: int, fault: str = "crash", **values: Any) -> Cell:
    """A cell with these losses of 50 each."""
    return Cell(router, fault, list(lost), [50] * len(lost), **values)


# Reports


@pytest.mark.parametrize("content", ["{}", "[]", '{"settings": {}}', '{"settings": {}, "topologies": [{}]}', "{"])
def test_report_of_what_is_no_summary_is_one_line(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user's mistake, never a traceback."""
    run(tmp_path, "2active-1", flask=[window(0)])
    (tmp_path / "2active-1" / "summary.json").write_text(content)
    assert_mistake(main, ["report", str(tmp_path)], "summary", capsys)


def test_report_of_an_empty_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to give."""
    assert_mistake(main, ["report", str(tmp_path)], "no finished step of `measure` stands there", capsys)


def test_report_beside_one_that_was_not_measured_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names those that were."""
    run(tmp_path, "2active-1", flask=[window(0)], nginx=[window(0)])
    told = "argument --beside: 'envoy' was not measured: give one of flask, nginx"
    assert_mistake(main, ["report", str(tmp_path), "--beside", "envoy"], told, capsys)


def test_report_into_docs_beside_another_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is about this project's router."""
    run(tmp_path, "2active-1", flask=[window(0)], nginx=[window(0)])
    assert_mistake(main, ["report", str(tmp_path), "--beside", "nginx", "--write"], "leave out one", capsys)


def test_report_says_where_the_picture_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, so that the page alone goes into a file."""
    run(tmp_path, "2active-1", flask=[window(0)], nginx=[window(0)])
    assert main(["report", str(tmp_path)]) == 0
    assert f"picture: {tmp_path}/peers.svg" in capsys.readouterr().err
    assert (tmp_path / "peers.svg").is_file()


def main(arguments: list[str]) -> int:
    """The program, with these arguments."""
    return peers.run_subcommand("tools.peers", peers.COMMANDS, arguments)


def test_page_lists_what_could_not_be_compared() -> None:
    """Where this project's router has no window that counts, another may be better."""
    text = page(results(cell("flask", 1, fault="hang"), cell("flask", left_out=2), cell("nginx", 0)), "p.svg")
    told = (
        "Not compared, for want of any window or repeat that counts: `flask` (this router) in crash; `nginx` in hang.\n"
    )
    assert told in text.partition("## Requests lost")[0]
    assert "Not compared" not in page(results(cell("flask", 0), cell("nginx", 0)), "p.svg")


def test_page_of_a_router_with_a_bar_in_its_name_keeps_its_tables() -> None:
    """Every row of the table has as many cells as its head."""
    text = page(results(cell("flask", 3), cell("a|b", 1, fault="router crash", outage_s=[0.1])), "p.svg")
    rows = [line for line in text.splitlines() if line.startswith("| `a")]
    assert rows == [r"| `a\|b` | 1 of 50 | 0.10 s (0.10) |"]
    assert r"| fault | flask<br><sub>this&nbsp;router</sub> | a\|b |" in text


# Bounds


def test_per_fault_is_students_interval() -> None:
    """0, 10, 20: mean 10, standard deviation 10, t of 2 degrees 4.303: 10 +- 4.303 * 10 / sqrt(3), none below 0."""
    found = per_fault([0, 10, 20])
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.0, 10 + 4.3027 * 10 / 3**0.5), abs=0.001)


def test_per_fault_of_windows_alike_is_as_wide_as_of_single_losses() -> None:
    """Five windows with 2 lost each have no spread; 10 losses that come singly are 4.80 to 18.39 (Poisson, exact)."""
    found = per_fault([2] * 5)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((4.795 / 5, 18.39 / 5), abs=0.01)


@pytest.mark.parametrize("lost", [[3], [0, 0, 0]])
def test_per_fault_is_not_known_of_one_window_or_no_loss(lost: list[int]) -> None:
    """One window tells no spread; for none lost another bound stands."""
    assert per_fault(lost) is None


def test_page_of_no_loss_says_how_many_faults_may_lose() -> None:
    """Of 5 windows without a loss: 1 - 0.05 ** (1/5) = 45 %; of 2: 78 %; the cell of fewer says so."""
    text = page(results(cell("flask", 0, 0, 0, 0, 0), cell("nginx", 0, 0)), "peers.svg")
    assert "with 5 windows at most 45 % and with 2 windows at most 78 % of such faults lose anything" in text
    assert "| **crash** | 0&nbsp;of&nbsp;250 | 0&nbsp;of&nbsp;100 |" in text
    assert "5 windows per cell; crash behind `nginx` 2." in text


def test_losses_at_saturation_are_those_that_were_not_refused() -> None:
    """To refuse what has no slot is right; lost beside that is lost. Runs without that figure count all."""
    full = cell("flask", 12, 10, fault="saturation", refused=[10, 10])
    assert losses(full) == [2, 0]
    assert mean_lost(full) == 1.0
    assert losses(cell("flask", 12, fault="saturation")) == [12]


# The page


def test_order_has_every_fault_that_is_measured() -> None:
    """A new fault is given its row, or is left out on purpose."""
    assert set(FAULTS) - LEFT_OUT <= set(ORDER)


def test_in_order_puts_unknown_faults_before_the_control() -> None:
    """Columns are what runs have."""
    assert in_order(["none", "new", "hang", "crash"]) == ["crash", "hang", "new", "none"]


def test_page_says_what_was_not_measured_and_left_out() -> None:
    """A cell without windows is "-"; windows left out are counted."""
    text = page(results(cell("flask", 3, 5), cell("nginx", left_out=2), cell("nginx", 0, 0, fault="hang")), "p.svg")
    assert "| **crash** | 8&nbsp;of&nbsp;100<br><sub>4.0&nbsp;(0.0&ndash;17)</sub> | - |" in text
    assert "| **hang** | - | 0&nbsp;of&nbsp;100 |" in text
    assert "Left out: 2 windows" in text
    assert "Not measured: the faults of whole hosts" in text


def test_page_of_windows_that_all_were_left_out_is_one_of_empty_cells() -> None:
    """A machine with too much to do gives no figure, and no error."""
    assert "| **crash** | - |" in page(results(cell("flask", left_out=2)), "p.svg")


def test_page_of_saturation_tells_refused_and_lost() -> None:
    """Refused of offered, after which time, lost otherwise."""
    full = cell("flask", 12, 10, fault="saturation", refused=[10, 10], refused_after_s=[0.004, 0.006])
    assert "| `flask` (this router) | 20 of 100 (20 %) | 0.005 s | 2 of 100 |" in page(results(full), "p.svg")


def test_page_of_the_routers_own_faults_tells_the_outage() -> None:
    """Lost, and the median and the longest outage."""
    crash = cell("flask", 1, 2, 6, fault="router crash", outage_s=[0.1, 0.2, 0.9])
    assert "| `flask` (this router) | 9 of 150 | 0.20 s (0.90) |" in page(results(crash), "p.svg")


def test_page_tells_this_projects_haproxy_from_haproxy() -> None:
    """Whoever has HAProxy reads the right column."""
    text = page(results(cell("haproxy", 0), cell("haproxy-plain", 0), cell("nginx", 0)), "p.svg")
    assert "| fault | haproxy<br><sub>this&nbsp;router</sub> | HAProxy<br><sub>plain</sub> | nginx |" in text


@pytest.mark.parametrize(
    ("lost", "shade", "text"),
    [(0.0, 0, "0"), (0.04, 1, "< 0.1"), (0.2, 1, "0.2"), (3.1, 2, "3.1"), (9.96, 3, "10"), (24.0, 4, "24")],
)
def test_picture_cell_has_colour_and_text_by_requests_lost(lost: float, shade: int, text: str) -> None:
    """No loss alone is 0, in a colour of its own."""
    assert (peers_chart.shade(lost), count_text(lost)) == (shade, text)


def test_picture_names_windows_and_rate(tmp_path: Path) -> None:
    """Of how many windows the means are, and at which rate."""
    peers_chart.draw(results(cell("flask", 0, 1), cell("nginx", 5, 5, 5)), tmp_path / "p.svg")
    text = (tmp_path / "p.svg").read_text()
    assert "Means of 2 to 3 windows per cell, at 8.5 requests/s for every router." in text
    assert "Requests lost per fault" in text


def test_picture_is_opaque_and_of_github_width(tmp_path: Path) -> None:
    """It begins with a white ground; 72 points an inch, 96 pixels: at most 900 for seven routers."""
    names = ("flask", "haproxy", "nginx", "haproxy-plain", "envoy", "traefik", "caddy")
    peers_chart.draw(results(*(cell(name, 0, 1) for name in names)), tmp_path / "p.svg")
    text = (tmp_path / "p.svg").read_text()
    width = re.search(r'width="([\d.]+)pt"', text)
    assert width is not None
    assert float(width[1]) * 96 / 72 <= 900
    assert "fill: #ffffff" in text.partition("</g>")[0]


# What is kept


def test_results_that_are_kept_are_the_same(tmp_path: Path) -> None:
    """The page can be made again from its data."""
    kept = results(cell("flask", 0, 3, left_out=1), speeds=[Speed("direct", 1, [1], [5.0], [0.1], [0.2])])
    write(kept, tmp_path / "peers.json")
    assert read(tmp_path / "peers.json") == kept


def test_report_writes_page_data_and_picture(tmp_path: Path) -> None:
    """Between its marks; what a person has written stays."""
    document = tmp_path / "peers.md"
    document.write_text("Mine.\n<!-- generated: x -->\nold\n<!-- end of the generated part -->\nMore.\n")
    (tmp_path / "images").mkdir()
    peers.write(results(cell("flask", 0, 3)), document)
    text = document.read_text()
    assert text.startswith("Mine.\n<!-- generated: x -->\n\n## Where")
    assert text.endswith("<!-- end of the generated part -->\nMore.\n")
    assert "old" not in text
    assert read(tmp_path / "peers.json").cells == [cell("flask", 0, 3)]
    assert (tmp_path / "images" / "peers.svg").exists()


def test_report_without_its_marks_writes_nothing(tmp_path: Path) -> None:
    """It says which are missing."""
    (tmp_path / "peers.md").write_text("Mine.\n")
    with pytest.raises(UsageError, match="marks of the generated part are missing"):
        peers.write(results(cell("flask", 0, 3)), tmp_path / "peers.md")
    assert [path.name for path in tmp_path.iterdir()] == ["peers.md"]


def test_docs_page_and_picture_follow_from_their_data(tmp_path: Path) -> None:
    """Nothing in them is typed by hand: the tool makes the same of docs/peers.json."""
    (tmp_path / "images").mkdir()
    document = tmp_path / "peers.md"
    document.write_text(peers.DOCUMENT.read_text(encoding="utf-8"), encoding="utf-8")
    peers.write(read(peers.DATA), document)
    assert document.read_text(encoding="utf-8") == peers.DOCUMENT.read_text(encoding="utf-8")
    made, kept = (path.parent / "images" / "peers.svg" for path in (document, peers.DOCUMENT))
    assert made.read_text() == kept.read_text()
