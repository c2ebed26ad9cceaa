"""Locust's web page in a real browser, used as people use it: by its form, its buttons and its tabs."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Download, Locator, Page

from tests.harness.waiting import wait_until

RUN_DEADLINE_S = 60.0


class LocustPage:
    """One browser page on a Locust web UI."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)

    def field(self, name: str) -> Locator:
        """A field of the form that is open now."""
        return self.page.locator(f"form [name={name}]")

    def open_parameters(self) -> None:
        """Shows the fields that the locustfile adds."""
        self.page.get_by_text("Custom parameters").click()

    def start(self, **fields: str) -> None:
        """Fills in these fields and presses Start."""
        self.fill_in_and_start(**fields)

    def start_again(self, **fields: str) -> None:
        """After a run: press New, fill in these fields and press Start."""
        self.page.get_by_role("button", name="New").click()
        self.fill_in_and_start(**fields)

    def fill_in_and_start(self, **fields: str) -> None:
        """In the form that is open now: fill in these fields and press Start."""
        self._submit("Start", fields)

    def edit(self, **fields: str) -> None:
        """While a run goes on: press Edit, fill in these fields and press Update."""
        self.page.get_by_role("button", name="Edit").click()
        self._submit("Update", fields)

    def _submit(self, button: str, fields: dict[str, str]) -> None:
        for name, value in fields.items():
            self.field(name).fill(value)
            self.field(name).blur()  # a warning that Locust itself shows then moves the button
        self.page.get_by_role("button", name=button, exact=True).click()

    def show(self, tab: str) -> None:
        """Opens the tab of this title."""
        self.page.get_by_role("tab", name=tab, exact=True).click()

    def table(self) -> list[dict[str, str]]:
        """The rows of the tab's table, by its column titles, as people read them now."""
        titles, *rows = self.page.evaluate(
            "[...document.querySelectorAll('table tr')].map(row => [...row.cells].map(cell => cell.innerText))"
        ) or [[]]
        return [dict(zip(titles, row, strict=True)) for row in rows]

    def state(self) -> str:
        """Locust's state as the page shows it, such as RUNNING or STOPPED."""
        return self.page.locator("xpath=//p[text()='Status']/following-sibling::span").inner_text().upper()

    def failures(self) -> str:
        """The share of failed requests in the page's head, such as "3%"."""
        return self.page.locator("xpath=//p[text()='Failures']/following-sibling::span").inner_text()

    def told(self) -> str:
        """What the form that is open now says of what was filled in, once Start was pressed."""
        return self.page.locator("form").get_by_role("alert").inner_text()

    def wait_for_stop(self) -> None:
        """Waits until the run has ended and the page shows that."""
        wait_until(lambda: self.state() == "STOPPED", RUN_DEADLINE_S)

    def download(self, link: str, folder: Path) -> str:
        """Follows a link of the tab "Download Data" whose text holds this; returns the file's text."""
        self.show("Download Data")
        with self.page.expect_download() as download:
            self.page.get_by_role("link", name=link).click()
        return saved(download.value, folder)


def saved(download: Download, folder: Path) -> str:
    """The text of what was downloaded."""
    path = folder / download.suggested_filename
    download.save_as(path)
    return path.read_text(encoding="utf-8")
