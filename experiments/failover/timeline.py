"""The course of one fault from second to second, topologies below each other on the same axes, as an SVG file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.failover.faults import FAULTS
from experiments.failover.faults.base import ROUTER
from experiments.failover.records import CALM, OVERSIZE, FaultRun
from experiments.failover.summary import FailoverSummary, LoadScorecard
from experiments.failover.window_metrics import WindowFigures
from experiments.failover.windows import FaultWindow, WindowRecords, windows_of
from experiments.page.charts import BLUE, DARK, GREEN, ORANGE, PURPLE, SKY, VERMILION, new_figure, put_legends
from experiments.page.page import Sheet, Target

if TYPE_CHECKING:  # not before something is drawn
    from matplotlib.axes import Axes

TIMELINE = "timeline.svg"
FAULT = "crash"
"""The fault that is shown first where it was measured."""

STEP_S = 0.5
BEFORE_S = 1.0
MARK_INCHES, REQUESTS_INCHES = 0.27, 1.5
NOTE_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}

AS_TEXT: Any = {"svg.fonttype": "none"}
"""Letters as text, not as outlines: there is a chart for each fault, and a page has to stay small."""

MARKS = {
    "injected": (VERMILION, "X", "fault"),
    "ejected": (DARK, "v", "detected: ejected"),
    "wanted": (ORANGE, "<", "cold standby wanted"),
    "promoted": (PURPLE, "^", "standby promoted"),
    "standby": (BLUE, "D", "standby's first answer"),
    "last lost": (VERMILION, "x", "last lost request"),
    "repair": (DARK, "s", "operator repairs"),
    "next": (DARK, "s", "the router's next process serves"),
    "readmitted": (GREEN, "o", "readmitted"),
    "demoted": (ORANGE, "P", "failback: standby steps back"),
}
"""What is marked -> colour, shape and words."""

NO_OPERATORS = {("repair", ROUTER): ("next", "")}
"""Action and target -> the mark and its target, where it is not the operator who acts."""


@dataclass(frozen=True)
class FaultCourse:
    """One fault's window in one run: what was recorded, and the figures of it in the summary."""

    records: WindowRecords
    figures: WindowFigures

    @property
    def window(self) -> FaultWindow:
        """The window."""
        return self.records.window

    @property
    def topology(self) -> str:
        """The topology's name."""
        return self.records.plan.name


class Mark(NamedTuple):
    """A moment of the course, in seconds from the fault; its kind is a key of MARKS."""

    at_s: float
    kind: str
    target: str
    """The predictors, the router or nothing."""


def select_courses(summary: FailoverSummary, runs: Sequence[FaultRun]) -> list[list[FaultCourse]]:
    """The courses to draw, of each load and fault those of two topologies; a crash comes first, the control never.

    Of the topologies that the load does not overload one with a standby, and the one with the fewest slots; where
    there are both, one behind this project's router and one behind another.
    """
    found: dict[tuple[str, str], list[FaultCourse]] = {}
    for course in _valid_courses(summary, runs):
        if not FAULTS[course.window.fault].is_control:
            found.setdefault((course.window.load, course.window.fault), []).append(course)
    loads = [load.load for load in summary.loads]
    faults = [FAULT, *FAULTS]
    order = sorted(found, key=lambda key: (loads.index(key[0]), faults.index(key[1])))
    return [_two_of(summary.loads[loads.index(key[0])], found[key]) for key in order]


def _two_of(load: LoadScorecard, courses: Sequence[FaultCourse]) -> list[FaultCourse]:
    first: dict[str, FaultCourse] = {}
    for course in courses:
        first.setdefault(course.topology, course)
    usual = {name: course for name, course in first.items() if not load.of(name).overloaded} or first
    smallest = min(usual, key=lambda name: usual[name].records.plan.slots)
    tells = usual[smallest].records.router_tells
    drawn = sorted(usual, key=lambda name: (name != smallest, _follows(usual[name].records, tells)))[:2]
    return [course for name, course in usual.items() if name in drawn]


def _follows(records: WindowRecords, tells: bool) -> tuple[bool, bool]:
    """Its place after the smallest: one comes first whose router tells of itself where that one's does not."""
    return records.router_tells is tells, not records.plan.standbys


def title_of(courses: Sequence[FaultCourse]) -> str:
    """Whose courses they are: the fault, and the load where it is not the calm one."""
    window = courses[0].window
    return window.fault if window.load == CALM else f"{window.fault}, load {window.load}"


def file_of(courses: Sequence[FaultCourse], number: int) -> str:
    """The name of their chart's file; the first shown has no fault in it."""
    words = re.sub(r"[^a-z0-9]+", "-", title_of(courses).lower()).strip("-")
    return f"timeline-{words}.svg" if number else TIMELINE


def _valid_courses(summary: FailoverSummary, runs: Sequence[FaultRun]) -> list[FaultCourse]:
    """Every window in which the generator was on time, by topology, in the order of the summary."""
    courses = []
    for topology in summary.topologies:
        own = [run for run in runs if run.run.topology == topology.topology]
        figures = {(each.repeat, each.injected_s): each for each in topology.windows}
        records = [records for run in own for records in windows_of(run, summary.settings)]
        pairs = ((each, figures[each.run.run.repeat, each.window.injected_s]) for each in records)
        courses += [FaultCourse(*each) for each in pairs if each[1].valid]
    return courses


def sentences(courses: Sequence[FaultCourse]) -> list[str]:
    """What the charts show, in words."""
    return [f"{course.topology}, run {course.figures.repeat}: {_sentence(course.figures)}." for course in courses]


def _sentence(figures: WindowFigures) -> str:
    moments = (
        ("the router reacted", figures.response_s),
        ("the standby answered", figures.standby_answer_s),
        ("as many slots as planned were back", figures.recovery_s),
    )
    lost = f"{figures.lost or 'none'} of {figures.offered} requests lost, {figures.delayed or 'none'} delayed"
    return ", ".join([lost, *(f"{what} after {time_s:.2f} s" for what, time_s in moments if time_s is not None)])


def draw_timeline(courses: Sequence[FaultCourse], target: Target, sheet: Sheet) -> None:
    """Draws requests answered and lost, and below them the moments of the fault; the same axes for all."""
    marks = [find_marks(course) for course in courses]
    heights = [inches for each in marks for inches in (REQUESTS_INCHES, MARK_INCHES * (len(each) + 1))]
    end_s = max(course.window.length_s for course in courses)
    size_inches = (sheet.width_inches, sum(heights) + 0.9 * len(courses))
    with new_figure(size_inches, target, **AS_TEXT) as drawn:
        all_axes = drawn.subplots(2 * len(courses), 1, sharex=True, height_ratios=heights)
        for number, course in enumerate(courses):
            above, below = all_axes[2 * number], all_axes[2 * number + 1]
            _draw_requests(above, course, end_s)
            _draw_marks(above, below, marks[number], end_s, sheet)
            above.set_title(head_of(course, sheet), weight="bold", fontsize=10 if sheet.is_narrow else None)
        tallest = max(axes.get_ylim()[1] for axes in all_axes[::2])
        for axes in all_axes[::2]:
            axes.set_ylim(0, tallest)
        if sheet.is_narrow:
            put_legends(drawn, all_axes[:1], sheet)
        else:
            all_axes[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
        all_axes[-2].set_xlabel("seconds since the fault")
        all_axes[-1].set_xlim(-BEFORE_S, end_s)


def head_of(course: FaultCourse, sheet: Sheet) -> str:
    """The heading of a course's chart: topology, fault, whom it hit where these are predictors, and the losses."""
    figures, fault = course.figures, course.window.fault
    if figures.of_predictors:
        fault += f" of {' + '.join(figures.targets)}"
    lost = f"{figures.lost} of {figures.offered} requests lost" if figures.lost else "no request lost"
    between = ",\n" if sheet.is_narrow else ", "
    return f"{course.topology}: {fault}{between}{lost}"


def _draw_requests(axes: Axes, course: FaultCourse, end_s: float) -> None:
    """Draws good and lost requests by the moment of sending, stacked."""
    from matplotlib.ticker import MaxNLocator

    sent = [each for each in course.records.run.requests if each.kind != OVERSIZE]
    good, lost = (
        [course.window.since_s(each.sent_at_s) for each in sent if each.good is good] for good in (True, False)
    )
    edges = np.arange(-BEFORE_S, end_s + STEP_S / 2, STEP_S)
    answered, missed = np.histogram(good, edges)[0], np.histogram(lost, edges)[0]
    style: Any = {"align": "edge", "width": STEP_S, "edgecolor": "white"}
    axes.bar(edges[:-1], answered, color=SKY, lw=0.3, label="answered", **style)
    axes.bar(edges[:-1], missed, bottom=answered, color=VERMILION, hatch="////", lw=0, label="lost", **style)
    axes.set_ylabel(f"requests per {STEP_S:g} s")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.tick_params(labelbottom=True)


def _draw_marks(above: Axes, below: Axes, marks: Sequence[Mark], end_s: float, sheet: Sheet) -> None:
    """Draws a row per moment, in words beside its sign; the moment also stands as a line in the requests.

    On a narrow page there is room for the last words only, not for the target.
    """
    for height, mark in enumerate(marks):
        colour, sign, label = MARKS[mark.kind]
        above.axvline(mark.at_s, color=colour, lw=1.0, ls=":")
        below.vlines(mark.at_s, -height, 1, color=colour, lw=1.0, ls=":", zorder=1)
        late = mark.at_s > end_s * (0.5 if sheet.is_narrow else 0.6)
        words = label.rpartition(": ")[2] if sheet.is_narrow else f"{label}{mark.target and ': '}{mark.target}"
        note = below.annotate(
            f"{mark.at_s:.2f} s  {words}", (mark.at_s, -height), (-9 if late else 9, 0), textcoords="offset points",
            ha="right" if late else "left", va="center", bbox=NOTE_BOX, fontsize=9 if sheet.is_narrow else None,
        )  # fmt: skip
        note.set_in_layout(False)
        below.plot([mark.at_s], [-height], sign, color=colour, ms=8, mew=2 if sign == "x" else 0.5, clip_on=False)
    below.set_ylim(-len(marks) + 0.4, 1)
    below.axis("off")


def find_marks(course: FaultCourse) -> list[Mark]:
    """The moments of the window, in order of time."""
    window, records = course.window, course.records
    marks = [
        (action.time_s, *NO_OPERATORS.get((action.action, action.target), (action.action, action.target)))
        for action in records.run.actions
        if action.window == window.number and action.action in MARKS
    ]
    marks += [(event.time, event.event, event.predictor) for event in records.events if event.event in MARKS]
    marks += [(time_s, "standby", predictor) for time_s, predictor in records.standby_answers[:1]]
    marks += [(max(request.sent_at_s for request in records.lost), "last lost", "")] if records.lost else []
    marks.sort(key=lambda mark: (mark[0], list(MARKS).index(mark[1])))
    return [Mark(round(window.since_s(time_s), 3), kind, target) for time_s, kind, target in marks]
