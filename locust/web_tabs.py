"""Tabs with a table on Locust's web page: what a tab is, and how its rows reach the page.

Locust's page asks for /stats/requests every 2 s while a test runs, and once when it is loaded; the rows travel
in that answer.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify, request
from locust.runners import STATE_CLEANUP, STATE_RUNNING, STATE_SPAWNING, STATE_STOPPING

MAX_ROWS = 500  # as Locust's own tables

Cells = dict[str, str | int]


@dataclass(frozen=True)
class Tab:
    """A tab: its key and title, its columns (key -> heading), and its rows as they are now."""

    key: str
    title: str
    columns: dict[str, str]
    rows: Callable[[], list[Cells]]


def add_tabs(web_ui: Any, tabs: Sequence[Tab], refresh: Callable[[bool], None]) -> None:
    """Adds the tabs to Locust's page, before it is served.

    Args:
        web_ui: Locust's.
        tabs: in the order of the page.
        refresh: brings up to date what the rows are made of; called at each poll, with whether another will follow.
    """
    web_ui.template_args["extended_tabs"] = [{"key": tab.key, "title": tab.title} for tab in tabs]
    web_ui.template_args["extended_tables"] = [
        {"key": tab.key, "structure": [{"key": key, "title": title} for key, title in tab.columns.items()]}
        for tab in tabs
    ]

    def add_rows(response: Response) -> Response:
        if request.endpoint != "locust.request_stats" or not response.is_json:
            return response
        stats = response.get_json()
        if stats.get("state") in (STATE_STOPPING, STATE_CLEANUP):
            stats["state"] = STATE_RUNNING  # else the page ceases to ask, and never learns that the run has stopped
        refresh(stats.get("state") in (STATE_SPAWNING, STATE_RUNNING))
        stats["extended_stats"] = [{"key": tab.key, "data": tab.rows()} for tab in tabs]
        return jsonify(stats)  # a new response: Locust keeps its own for the next polls

    web_ui.app.after_request(add_rows)


def clock(epoch_s: float) -> str:
    """Returns the time of day, as in "14:05:59"."""
    return time.strftime("%H:%M:%S", time.localtime(epoch_s))
