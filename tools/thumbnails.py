"""README's thumbnails: a crash, and the rates at first failure, each for light and for dark pages.

They are charts of the reports as a phone shows them, cut to what reads at a glance; charts stay white on a dark page.
"""

import io
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator

PAPERS = {"light": "#ffffff", "dark": "#16191d"}
"""The colour around the chart, as in the reports."""

WIDTH, HEIGHT, SCALE = 430, 800, 2
FRAME, RADIUS, GAP, PAD = 14, 12, 10, 4
COLOURS = 96
COURSES = ".choice figure"
"""The courses of the faults in a scorecard's report; a crash is the first."""

CRASH_PANELS = (0, 2)
"""The axes of the first two topologies' requests; below each lie those of the events, which are left out."""

BANDS = """image => {
  const svg = new DOMParser().parseFromString(atob(image.currentSrc.split(',')[1]), 'image/svg+xml').documentElement
  document.body.append(svg)
  const whole = svg.getBoundingClientRect()
  const boxes = [...svg.querySelectorAll('g[id^=axes_]')].map(axes => axes.getBoundingClientRect())
  const bands = boxes.map(box => [(box.top - whole.top) / whole.height, (box.bottom - whole.top) / whole.height])
  svg.remove()
  return bands
}"""
"""From where to where each pair of axes reaches, as shares of the chart's height."""


def write_thumbnails(browser: Browser, compare: Path, failover: Path, out: Path) -> None:
    """Writes thumb-crash and thumb-rates, light and dark, from two reports (`report.html`)."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=SCALE, reduced_motion="reduce"
    )
    page.goto(compare.resolve().as_uri())
    rates = _captured(page.locator("figure img").first)
    page.goto(failover.resolve().as_uri())
    crash = _requests_alone(page.locator(COURSES).locator("img").first)
    page.close()
    for scheme, paper in PAPERS.items():
        for name, chart in (("rates", rates), ("crash", crash)):
            _framed(chart, paper).quantize(COLOURS).save(out / f"thumb-{name}-{scheme}.png", optimize=True)


def _captured(image: Locator) -> Image.Image:
    return Image.open(io.BytesIO(image.screenshot(animations="disabled"))).convert("RGB")


def _requests_alone(image: Locator) -> Image.Image:
    """The chart of a crash without its events: requests of two topologies, and the legend at its foot."""
    chart, bands = _captured(image), image.evaluate(BANDS)
    panels = [bands[panel] for panel in CRASH_PANELS]
    edges = [(round(top * chart.height) - PAD, round(bottom * chart.height) + PAD) for top, bottom in panels]
    edges.append((round(bands[-1][1] * chart.height), chart.height))
    stacked = Image.new("RGB", (chart.width, sum(bottom - top + GAP for top, bottom in edges)), "white")
    reached = GAP
    for top, bottom in edges:
        stacked.paste(chart.crop((0, top, chart.width, bottom)), (0, reached))
        reached += bottom - top + GAP
    return stacked


def _framed(chart: Image.Image, paper: str) -> Image.Image:
    framed = Image.new("RGB", (chart.width + 2 * FRAME, chart.height + 2 * FRAME), paper)
    corners = Image.new("L", chart.size, 0)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, chart.width - 1, chart.height - 1), RADIUS, fill=255)
    framed.paste(chart, (FRAME, FRAME), corners)
    return framed
