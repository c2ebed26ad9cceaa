"""`make screenshots`: the pictures of docs/images, taken of a real rig, Locust's page, the board and the reports.

They wait for what they show and use fixed window sizes; figures in them differ from run to run, as measurements do.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

from tests.harness.browser import open_browser
from tests.harness.deployment import Deployment
from tests.harness.locust_page import LocustPage
from tests.harness.processes import Router
from tests.harness.project import ROOT
from tests.harness.stage import TOPOLOGIES, Stage
from tests.harness.swarm import Swarm, WebPage
from tests.harness.waiting import wait_until
from tools.thumbnails import COURSES, write_thumbnails

IMAGES = ROOT / "docs" / "images"
SERVICE_TIME_S = 1.0
PACE = {"userCount": "150", "spawnRate": "1"}
"""The post's, as locust/locust.conf has it."""

BOARD_LOAD_PER_S = 12.0
SERVED_BEFORE, SERVED_AFTER = 120, 30
"""Answers of predict1 until it is killed, and of the standby until the picture is taken."""

HIDE = "element => { element.style.visibility = 'hidden' }"

RUN_DEADLINE_S = 300.0
SHOWN_DEADLINE_MS = 60_000
WIDTH, HEIGHT, MARGIN = 1280, 800, 24
COLOURS = 128
MAX_BYTES = 200_000
RUNS = {"compare": "about 2 minutes", "failover": "about 6 minutes"}


def main() -> None:
    """Captures every picture; folders of runs that are not given are made first."""
    options = _parser().parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, open_browser() as browser:
        folders = {name: getattr(options, name) or new_run(name, Path(scratch)) for name in RUNS}
        with Stage(Path(scratch)) as stage:
            capture_live(stage, browser, options.out)
        capture_reports(browser, folders, options.out)


def new_run(experiment: str, scratch: Path) -> Path:
    """Runs the experiment as `make demo` and `make failover` do; returns its folder."""
    print(f"running {experiment}: {RUNS[experiment]}", flush=True)
    folder = scratch / experiment
    subprocess.run([sys.executable, "-m", "experiments", experiment, "--out", str(folder)], cwd=ROOT, check=True)
    return folder


def capture_live(stage: Stage, browser: Browser, out: Path) -> None:
    """Captures one deployment through the post's three runs, and then through a crash."""
    ports = [stage.reserve_port() for _ in TOPOLOGIES]
    tree = stage.tree(ports)
    processes = [
        stage.predictor(f"predict{number}", port, service_time_s=SERVICE_TIME_S) for number, port in enumerate(ports, 1)
    ]
    for process in processes:
        process.addresses(1)
    path = tree.topology(TOPOLOGIES[0])
    router = stage.router(None, tree=tree.root)
    deployed = Deployment(router, path, path.read_bytes(), processes=processes, own_tree=tree)
    capture_swarms(stage, browser, deployed, out)
    capture_board(browser, deployed, out)


def choose(deployed: Deployment, topology: str) -> None:
    """Saves another topology in router.py, as the post does, and waits until the router has gone over."""
    deployed.save(topology=TOPOLOGIES.index(topology))
    deployed.wait_for_topology(topology)


def capture_swarms(stage: Stage, browser: Browser, deployed: Deployment, out: Path) -> None:
    """Captures Locust's page: three runs at the post's pace, each until its first failure."""
    web_port = stage.reserve_port()
    swarm = Swarm(stage.folder / "swarm", "--web-port", str(web_port))
    try:
        with new_page(browser) as tab:
            page = LocustPage(tab, WebPage(swarm, web_port).url)
            for topology in TOPOLOGIES:
                choose(deployed, topology)
                print(f"swarming {topology} until its first failure", flush=True)
                start(page, deployed.router, first=topology == TOPOLOGIES[0])
                page.show("Topology")
                if topology == "2active":
                    wait_until(lambda: promoted_row(page), RUN_DEADLINE_S)
                    save(tab, out / "locust-topology.png", clip=down_to(tab.locator("table")))
                wait_until(lambda: page.state() == "STOPPED", RUN_DEADLINE_S)
            page.show("First failure")
            wait_until(lambda: len(page.table()) == len(TOPOLOGIES))
            save(tab, out / "locust-first-failure.png", clip=down_to(tab.locator("table")))
    finally:
        swarm.kill()


def start(page: LocustPage, router: Router, first: bool) -> None:
    """Starts a run: the first time by the form, with this router's addresses; later with what stands in it."""
    if first:
        page.open_parameters()
        page.start(**PACE, host=router.url, admin=router.admin_url)
    else:
        page.start_again()


def down_to(shown: Locator) -> FloatRect:
    """The page's upper part, down to the end of what is shown."""
    box = shown.bounding_box()
    assert box is not None
    return {"x": 0, "y": 0, "width": WIDTH, "height": box["y"] + box["height"] + MARGIN}


def promoted_row(page: LocustPage) -> bool:
    """Returns whether the tab shows a standby at work."""
    rows = [row for row in page.table() if row.get("Role", "").startswith("standby")]
    return any(not row["Load / capacity"].startswith(("0 ", "-")) for row in rows if row.get("Load / capacity"))


def capture_board(browser: Browser, deployed: Deployment, out: Path) -> None:
    """Captures the board while a predictor is down and the standby has taken over."""
    choose(deployed, "2active")
    router = deployed.router
    with new_page(browser) as page, deployed.load(BOARD_LOAD_PER_S, longest_s=300.0):
        page.goto(f"{router.admin_url}/")
        wait_until(lambda: router.predictors("served")[0] >= SERVED_BEFORE, RUN_DEADLINE_S)
        deployed.processes[0].kill()
        expect(card(page, "predict1").locator(".state")).to_have_text("down", timeout=SHOWN_DEADLINE_MS)
        expect(card(page, "predict3").locator(".role")).to_have_text("standby, promoted", timeout=SHOWN_DEADLINE_MS)
        wait_until(lambda: router.predictors("served")[2] >= SERVED_AFTER, RUN_DEADLINE_S)
        meter = card(page, "predict3").get_by_role("meter")
        expect(meter).to_have_attribute("aria-valuenow", re.compile(r"[1-9]\d*"), timeout=SHOWN_DEADLINE_MS)
        page.locator("#topology-file").evaluate(HIDE)  # where the rig's temporary files lie
        save(page, out / "board.png", full_page=True)


def card(page: Page, name: str) -> Locator:
    """What the board shows of one predictor."""
    return page.locator(f'.predictor[data-name="{name}"]')


def capture_reports(browser: Browser, folders: dict[str, Path], out: Path) -> None:
    """Captures the charts as the reports show them, and the head of the scorecard's report."""
    for name in RUNS:
        subprocess.run(
            [sys.executable, "-m", "experiments", "report", str(folders[name])],
            cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    with new_page(browser) as page:
        page.goto((folders["compare"] / "report.html").resolve().as_uri())
        save(page.locator("figure .chart").first, out / "rates.png")
        page.goto((folders["failover"] / "report.html").resolve().as_uri())
        save(page, out / "report.png")
        save(page.locator(COURSES).locator(".chart").first, out / "course-of-a-fault.png")
        save(page.locator("figure .chart:has(img.fits)").first, out / "scorecard.png")
        save(page.locator("table.heat").first, out / "losses.png")
    write_thumbnails(browser, folders["compare"] / "report.html", folders["failover"] / "report.html", out)


def new_page(browser: Browser) -> Page:
    """Returns a page of always the same size and look, which closes at the end of a `with`."""
    return browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce", locale="en-GB"
    )


def save(shown: Page | Locator, path: Path, **options: Any) -> None:
    """Captures what is shown in few enough colours to be small, and prints its size."""
    shown.screenshot(path=path, animations="disabled", **options)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)
    size = path.stat().st_size
    assert size < MAX_BYTES, f"{path}: {size} bytes are too many for a page"
    print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}: {size / 1000:.0f} kB", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.screenshots",
        description="Take the pictures of docs/images, of a real rig.",
        epilog="example: python -m tools.screenshots --failover results/20250131-142500",
        allow_abbrev=False,
    )
    for name, takes in RUNS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=f"a run folder (default: a new run, {takes})")
    parser.add_argument("--out", type=Path, default=IMAGES, metavar="DIR", help="where to (default: docs/images)")
    return parser


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("screenshots: stopped by SIGINT")
