"""The board in a real browser: it shows what happens, takes orders, and says when it is out of touch."""

import re
import time
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.harness.deployment import Deployment
from tests.harness.http_client import fetch
from tests.harness.processes import Router
from tests.harness.stage import Stage

SHOWN_WITHIN_S = 2.0
SHOWN_DEADLINE_MS = 20_000  # the machine that runs the tests is busy with other things too
TRIES = 3  # of which the best counts, likewise
WIDTHS = (1280, 400)
CUT_OFF = """() => [...document.querySelectorAll('.who, .state, .figure, dd, button')]
    .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)"""
HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def deployed(shared_stage: Stage) -> Deployment:
    """2active before stubs that can be killed; each test leaves its predictors as it found them."""
    return shared_stage.deploy_echo("--threshold", "4", "--hold-down", "1")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must not meet any error of its own scripts, nor anything that its policy forbids."""
    wrong: list[str] = []
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(SHOWN_DEADLINE_MS)
    expect.set_options(timeout=SHOWN_DEADLINE_MS)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "Policy" in message.text else None)
    yield page
    page.close()
    assert wrong == []


def open_board(page: Page, router: Router) -> None:
    """Shows the router's board, and waits until it is in touch."""
    page.goto(f"{router.admin_url}/")
    expect(page.locator("#contact")).to_contain_text("Live")


def card(page: Page, name: str) -> Locator:
    """What the board shows of one predictor."""
    return page.locator(f'.predictor[data-name="{name}"]')


def assert_fits(page: Page) -> None:
    """Checks at both widths that nothing has to be scrolled sideways, once it is drawn, and that no word is cut off."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("(width) => document.documentElement.scrollWidth <= width", arg=width)
        assert page.evaluate(CUT_OFF) == []


def test_board_shows_loads_and_rates_as_they_change(deployed: Deployment, page: Page) -> None:
    """Under load the bars move and the rate rises; a reload brings the last minutes back from the router."""
    open_board(page, deployed.router)
    with deployed.load(rate_per_s=30):
        expect(card(page, "predict1").get_by_role("meter")).to_have_attribute("aria-valuenow", re.compile("[1-4]"))
        expect(card(page, "predict1").locator(".served")).not_to_have_text("0")
        expect(page.locator("#sum-answered")).to_have_text(re.compile(r"[12]\d\.\d"))
    page.reload()
    expect(page.locator("#chart .answered-area")).to_be_visible()
    assert_fits(page)


def shown_in_time(deployed: Deployment, page: Page) -> bool:
    """Kills predict1 and starts it again; returns whether that and the promotion were on the board in time."""
    shown = card(page, "predict3").locator(".role", has_text="standby, promoted")
    deployed.processes[0].kill()
    start_s = time.monotonic()
    expect(card(page, "predict1").locator(".state")).to_have_text("down")
    expect(shown).to_be_visible()
    took_s = time.monotonic() - start_s
    deployed.restart(0)
    expect(card(page, "predict1").locator(".state")).to_have_text("serving")
    expect(card(page, "predict3").locator(".state")).to_have_text("standing by")
    return took_s <= SHOWN_WITHIN_S


def test_predictor_killed_is_shown_with_the_promotion_within_2_seconds(deployed: Deployment, page: Page) -> None:
    """A SIGKILL shows as down in words, its standby as promoted, and both as events, newest first."""
    open_board(page, deployed.router)
    assert any(shown_in_time(deployed, page) for _ in range(TRIES))
    told = " ".join(page.locator("#event-list .what, #event-list .reason").all_inner_texts())
    assert re.search("predict3 promoted predict1 is down predict1 ejected ", told)


def test_drain_and_ready_work_by_keyboard_and_keep_the_focus(deployed: Deployment, page: Page) -> None:
    """The button drains and shows it, turns into Ready, stays focused, and puts the predictor back."""
    open_board(page, deployed.router)
    button = card(page, "predict2").get_by_role("button")
    expect(button).to_have_accessible_name("Drain predict2")
    button.focus()
    page.keyboard.press("Enter")
    expect(card(page, "predict2").locator(".state")).to_have_text("drained")
    assert deployed.router.predictors("state")[1] == "drained"
    expect(button).to_have_accessible_name("Ready predict2")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, "predict2").locator(".state")).to_have_text("serving")
    assert deployed.router.predictors("state")[1] == "serving"


def test_order_that_fails_says_why(deployed: Deployment, page: Page) -> None:
    """Where the router refuses an order, the board shows the router's own words, and nothing changes."""
    open_board(page, deployed.router)
    refusal = {"error": "not today"}
    page.route("**/drain", lambda route: route.fulfill(status=403, json=refusal))
    card(page, "predict1").get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("predict1: drain did not work: not today")
    expect(card(page, "predict1").get_by_role("button")).to_have_text("Drain")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_last_predictor_is_drained_only_when_asked_twice(deployed: Deployment, page: Page) -> None:
    """An order that would have every request refused is confirmed first; a no changes nothing."""
    snapshot = only_one(deployed.router.snapshot())
    page.route("**/topology?*", lambda route: route.fulfill(json=snapshot))
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    open_board(page, deployed.router)
    card(page, "predict1").get_by_role("button").click()
    expect(card(page, "predict1").get_by_role("button")).to_have_text("Drain")
    assert [message for message in asked if "all requests will be refused" in message] == asked != []
    assert deployed.router.predictors("state")[0] not in ("draining", "drained")


def only_one(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The snapshot of a topology with its first predictor alone."""
    name, predictor = next(iter(snapshot["predictors"].items()))
    return {**snapshot, "predictors": {name: predictor}}


def thirty(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The snapshot with thirty predictors that have long names and big figures, in regions with hostile ones."""
    one = {**snapshot["predictors"]["predict1"], "served": 12_345_678, "failed": 1_234_567, "capacity": 10_000}
    regions = (HOSTILE, "eu-central-1-with-a-long-name")
    names = [f"predict{number}-{'long' * (number % 10)}" for number in range(30)]
    predictors = {name: {**one, "region": regions[index % 2]} for index, name in enumerate(names)}
    return {**snapshot, "topology": HOSTILE, "predictors": predictors}


def test_thirty_predictors_with_hostile_names_fit_and_stay_text(deployed: Deployment, page: Page) -> None:
    """What a topology file says is shown letter by letter, never run; thirty fit both widths."""
    snapshot = thirty(deployed.router.snapshot())
    page.route("**/topology?*", lambda route: route.fulfill(json=snapshot))
    open_board(page, deployed.router)
    expect(page.locator(".predictor")).to_have_count(30)
    expect(page.locator("h3").first).to_have_text(f"Region {HOSTILE}")
    assert page.locator("main img").count() == 0
    assert page.title().startswith("<img")
    assert_fits(page)


def history(answered_per_s: list[int], refused_per_s: list[int]) -> dict[str, Any]:
    """What /history says after these seconds."""
    counts = zip(accumulate(answered_per_s, initial=0), accumulate(refused_per_s, initial=0), strict=True)
    start_s = time.time() - len(answered_per_s)
    return {"samples": [[start_s + second, *both] for second, both in enumerate(counts)]}


def heights(page: Page, kind: str) -> list[float]:
    """How tall each of these parts of the chart is drawn, in pixels."""
    drawn: list[float] = page.eval_on_selector_all(
        f"#chart {kind}", "(all) => all.map((each) => each.getBBox().height)"
    )
    return drawn


def test_one_refusal_among_hundreds_is_a_small_mark_in_the_chart(deployed: Deployment, page: Page) -> None:
    """Where traffic begins and ends steeply with one refusal in it, nothing red is tall; the traffic itself is."""
    answered, refused = [0] * 20 + [400] * 20 + [0] * 20, [0] * 60
    refused[20] = refused[40] = 1
    page.route("**/history", lambda route: route.fulfill(json=history(answered, refused)))
    open_board(page, deployed.router)
    expect(page.locator("#chart .refused-line").first).to_be_attached()
    assert max(heights(page, ".answered-area")) > 100
    assert max(heights(page, ".refused-area")) < 3
    assert len(heights(page, ".refused-area")) == 2, "two episodes"


SCALES = {1: [0, 0.2, 0.4, 0.6, 0.8, 1], 3.4: [0, 1, 2, 3, 4], 41: [0, 10, 20, 30, 40, 50], 1412: [0, 500, 1000, 1500]}


def test_axis_of_the_chart_has_round_steps_for_small_and_large_rates(deployed: Deployment, page: Page) -> None:
    """Steps of 1, 2 or 5 times a power of ten, six at most, up to just above the most; all labels alike."""
    open_board(page, deployed.router)
    ticks = "async (most) => (await import('/board/scale.js')).ticks(most)"
    assert {most: page.evaluate(ticks, most) for most in SCALES} == SCALES
    labels = "async (values) => (await import('/board/scale.js')).tickLabels(values)"
    assert page.evaluate(labels, SCALES[1]) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert page.evaluate(labels, SCALES[1412]) == ["0", "500", "1,000", "1,500"]


def test_refusal_and_change_of_topology_are_shown_among_the_events(stage: Stage, page: Page) -> None:
    """The list goes on over a change of topology; refused, and topology, stand without a predictor."""
    deployed = stage.deploy_tree(node_threshold=1)
    open_board(page, deployed.router)
    expect(page.locator("#event-list li")).to_have_text([re.compile("single in service")])
    deployed.hold(1)
    assert deployed.fetch(None).status == 503
    deployed.release_held()
    expect(page.locator("#event-list li").first).to_contain_text("refused")
    deployed.save(topology=2)
    shown = page.locator("#event-list .what, #event-list .reason")
    refused = ["refused", "saturated: every predictor in rotation is at capacity"]
    expect(shown).to_have_text(["topology", "changed from single to 3active", *refused])


def test_board_can_load_nothing_from_elsewhere_and_run_nothing_inline(deployed: Deployment) -> None:
    """The page's policy allows its own files only, and the page keeps to it: it works offline."""
    answer = fetch(deployed.router.admin_url, "/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = answer.body.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=|https?://", text)
    parts = re.findall(r'(?:src|href)="(/board/[^"]+)"', text)
    assert [fetch(deployed.router.admin_url, part).status for part in parts] == [200] * len(parts) != []
    unknown = [fetch(deployed.router.admin_url, f"/board/{name}").status for name in ("none.js", "..%2fadmin.py")]
    assert unknown == [404, 404]


def test_board_says_when_it_is_out_of_touch_and_comes_back_by_itself(
    deployed: Deployment, shared_stage: Stage, page: Page
) -> None:
    """Without the router it says since when, and orders are off; a new router brings it back."""
    open_board(page, deployed.router)
    contact, button = page.locator("#contact"), card(page, "predict1").get_by_role("button")
    deployed.router.kill()
    expect(contact).to_contain_text(re.compile(r"Out of touch since \d\d:\d\d:\d\d"))
    expect(button).to_have_attribute("aria-disabled", "true")
    ports = [url.rpartition(":")[2] for url in (deployed.router.url, deployed.router.admin_url)]
    shared_stage.router(deployed.path, "--threshold", "4", "--port", ports[0], "--admin-port", ports[1])
    expect(contact).to_contain_text("Live")
    expect(button).to_have_attribute("aria-disabled", "false")
    expect(card(page, "predict1").locator(".state")).to_have_text("serving")
