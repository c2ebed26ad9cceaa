"""The course of one fault from second to second, topologies below each other on the same axes, as an SVG file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from experiments.failover.records import OVERSIZE, FaultRun
from experiments.failover.summary import FailoverSummary
from experiments.failover.window_metrics import WindowFigures
from experiments.failover.windows import FaultWindow, WindowRecords, windows_of
from experiments.page.charts import BLUE, DARK, GREEN, ORANGE, PURPLE, SKY, VERMILION, new_figure, put_legends
from experiments.page.page import Sheet, Target

TIMELINE = "timeline.svg"
FAULT = "crash"
"""The fault that is drawn where it was measured."""

STEP_S = 0.5
BEFORE_S = 1.0
MARK_INCHES, REQUESTS_INCHES = 0.27, 1.5
NOTE_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}

MARKS = {
    "injected": (VERMILION, "X", "fault"),
    "ejected": (DARK, "v", "detected: ejected"),
    "promoted": (PURPLE, "^", "standby promoted"),
    "standby": (BLUE, "D", "standby's first answer"),
    "last lost": (VERMILION, "x", "last lost request"),
    "repair": (DARK, "s", "operator repairs"),
    "readmitted": (GREEN, "o", "readmitted"),
    "demoted": (ORANGE, "P", "failback: standby steps back"),
}
"""What is marked -> colour, shape and words."""


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


def select_courses(summary: FailoverSummary, runs: Sequence[FaultRun]) -> list[FaultCourse]:
    """The courses to draw: of a crash where there is one, with a standby and with the fewest slots."""
    courses = _valid_courses(summary, runs)
    faults = [course.window.fault for course in courses]
    fault = FAULT if FAULT in faults else next(iter(faults), "")
    first: dict[str, FaultCourse] = {}
    for course in courses:
        if course.window.fault == fault:
            first.setdefault(course.topology, course)
    smallest = min(first, key=lambda name: first[name].records.plan.slots, default="")
    drawn = sorted(first, key=lambda name: (name != smallest, not first[name].records.plan.standbys))[:2]
    return [course for name, course in first.items() if name in drawn]


def _valid_courses(summary: FailoverSummary, runs: Sequence[FaultRun]) -> list[FaultCourse]:
    """Every window in which the generator was on time, by topology, in the order of the summary."""
    courses = []
    for topology in summary.topologies:
        own = [run for run in runs if run.run.topology == topology.topology]
        records = [records for run in own for records in windows_of(run, summary.settings)]
        courses += [FaultCourse(*each) for each in zip(records, topology.windows, strict=True) if each[1].valid]
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
    lost = f"{figures.lost or 'none'} of {figures.offered} requests lost"
    return ", ".join([lost, *(f"{what} after {time_s:.2f} s" for what, time_s in moments if time_s is not None)])


def draw_timeline(courses: Sequence[FaultCourse], target: Target, sheet: Sheet) -> None:
    """Draws requests answered and lost, and below them the moments of the fault; the same axes for all."""
    marks = [find_marks(course) for course in courses]
    heights = [inches for each in marks for inches in (REQUESTS_INCHES, MARK_INCHES * (len(each) + 1))]
    end_s = max(course.window.length_s for course in courses)
    with new_figure((sheet.width_inches, sum(heights) + 0.9 * len(courses)), target) as drawn:
        all_axes = drawn.subplots(2 * len(courses), 1, sharex=True, height_ratios=heights)
        for number, course in enumerate(courses):
            above, below = all_axes[2 * number], all_axes[2 * number + 1]
            _draw_requests(above, course, end_s)
            _draw_marks(above, below, marks[number], end_s, sheet)
            above.set_title(_title(course, sheet), weight="bold", fontsize=10 if sheet.is_narrow else None)
        tallest = max(axes.get_ylim()[1] for axes in all_axes[::2])
        for axes in all_axes[::2]:
            axes.set_ylim(0, tallest)
        if sheet.is_narrow:
            put_legends(drawn, all_axes[:1], sheet)
        else:
            all_axes[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
        all_axes[-2].set_xlabel("seconds since the fault")
        all_axes[-1].set_xlim(-BEFORE_S, end_s)


def _title(course: FaultCourse, sheet: Sheet) -> str:
    figures, targets = course.figures, " + ".join(course.window.targets) or "-"
    lost = f"{figures.lost} of {figures.offered} requests lost" if figures.lost else "no request lost"
    between = ",\n" if sheet.is_narrow else ", "
    return f"{course.topology}: {course.window.fault} of {targets}{between}{lost}"


def _draw_requests(axes: Axes, course: FaultCourse, end_s: float) -> None:
    """Draws good and lost requests by the moment of sending, stacked."""
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
        (action.time_s, action.action, action.target)
        for action in records.run.actions
        if action.window == window.number and action.action in MARKS
    ]
    marks += [(event.time, event.event, event.predictor) for event in records.events if event.event in MARKS]
    marks += [(time_s, "standby", predictor) for time_s, predictor in records.standby_answers[:1]]
    marks += [(max(request.sent_at_s for request in records.lost), "last lost", "")] if records.lost else []
    marks.sort(key=lambda mark: (mark[0], list(MARKS).index(mark[1])))
    return [Mark(round(window.since_s(time_s), 3), kind, target) for time_s, kind, target in marks]
