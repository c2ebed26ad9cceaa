"""Pages in a real browser: nothing to scroll sideways at 400 px, dark charts in the dark, everything in print."""

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from experiments.answer.page import write_page
from experiments.compare.experiment import EXPERIMENT as COMPARE
from experiments.experiment import write_report
from experiments.failover.experiment import EXPERIMENT as FAILOVER
from tests.unit.experiments.answer.hand_written import CHECKED
from tests.unit.experiments.compare.test_report import write_folder as write_comparison
from tests.unit.experiments.failover.hand_written import write_folder as write_scorecard

WIDTHS = (1280, 400)
UNFOLD = "document.querySelectorAll('details').forEach(details => { details.open = true })"
CHARTS_FIT = """() => {
  const shown = [...document.querySelectorAll('.chart')].filter(chart => chart.checkVisibility())
  return shown.length > 1 && shown.every(chart => chart.scrollWidth <= chart.clientWidth)
}"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> list[Page]:
    """The reports of a comparison and of a failover run, made from hand-written records."""
    folder = tmp_path_factory.mktemp("pages")
    rates: dict[str, list[float | None]] = {"single": [5.7, 5.1], "2active": [22.4, None], "3active": [20.1, 21.0]}
    compared = write_comparison(folder / "compare", rates)
    broken = write_scorecard(folder / "failover", {"single": [40, 41], "2active": [0, 1], "3active": [1, 0]})
    write_report(COMPARE, compared)
    write_report(FAILOVER, broken)
    return [opened(browser, run / "report.html") for run in (compared, broken)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, browser: Browser, reports: list[Page]) -> list[Page]:
    """The same and the answer's page."""
    answer = write_page(CHECKED, "python -m experiments choose", tmp_path_factory.mktemp("answer"))
    return [*reports, opened(browser, answer)]


def opened(browser: Browser, report: Path) -> Page:
    """The report in a page that may fetch nothing."""
    page = browser.new_page()
    page.route("http*://**", lambda route: pytest.fail(f"the report asks for {route.request.url}"))
    page.goto(report.as_uri())
    return page


def test_reports_fit_wide_and_narrow_windows(pages: list[Page]) -> None:
    """Only tables may be wider than the window, each in a frame that scrolls by itself; charts are drawn to fit."""
    for page in pages:
        page.evaluate(UNFOLD)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(CHARTS_FIT)


def test_reports_show_everything_in_print_and_fold_it_on_screen(reports: list[Page]) -> None:
    """Definitions and settings are folded away on screen, and open on paper."""
    for page in reports:
        page.reload()
        definition = page.locator("details dd").first
        assert not definition.is_visible()
        page.emulate_media(media="print")
        assert definition.is_visible()
        page.emulate_media(media="screen")


def lightest(page: Page) -> int:
    """How light the ground of the page's first chart is, 0 to 255."""
    shot = page.locator(".chart img:visible").first.screenshot()
    ground = Image.open(io.BytesIO(shot)).convert("L").crop((0, 0, 8, 8))
    return int(ground.getextrema()[1])


def test_charts_have_a_dark_ground_on_a_dark_page_and_a_light_one_on_paper(pages: list[Page]) -> None:
    """Charts follow the page that shows them: light, dark, and light again in print."""
    for page in pages:
        page.emulate_media(color_scheme="light")
        assert lightest(page) > 250
        page.emulate_media(color_scheme="dark")
        assert lightest(page) < 40
        page.emulate_media(color_scheme="dark", media="print")
        assert lightest(page) > 250
        page.emulate_media(color_scheme="light", media="screen")
