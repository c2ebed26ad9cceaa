"""The course of one fault from second to second, topologies below each other on the same axes, as an SVG file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from experiments.failover.records import OVERSIZE, DomainPlan, FailoverSettings, FaultRun, SteadyRequest
from experiments.failover.windows import Window, WindowFigures, window_figures, windows
from experiments.page.charts import BLUE, DARK, GREEN, ORANGE, PURPLE, SKY, VERMILION, new_figure, put_legends
from experiments.page.page import Sheet, Target

TIMELINE = "timeline.svg"
FAULT = "crash"
"""The fault that is shown where it was measured."""

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
class Course:
    """One fault's window in one run."""

    run: FaultRun
    window: Window
    plan: DomainPlan
    figures: WindowFigures


@dataclass(frozen=True)
class Mark:
    """A moment of the course, in seconds from the fault."""

    at_s: float
    kind: str
    who: str


def shown_courses(runs: Sequence[FaultRun], settings: FailoverSettings) -> list[Course]:
    """The courses that are drawn: of a crash where there is one, with a standby and with the fewest slots."""
    courses = _courses(runs, settings)
    if not courses:
        return []
    fault = FAULT if any(course.window.fault == FAULT for course in courses) else courses[0].window.fault
    first: dict[str, Course] = {}
    for course in courses:
        if course.window.fault == fault:
            first.setdefault(course.plan.name, course)
    kept = sorted(first.values(), key=lambda course: course.plan.slots)[:1]
    kept += [course for course in first.values() if course.plan.standbys and course not in kept][:1]
    kept += [course for course in first.values() if course not in kept][: 2 - len(kept)]
    return sorted(kept, key=list(first.values()).index)


def _courses(runs: Sequence[FaultRun], settings: FailoverSettings) -> list[Course]:
    """Every window whose generator kept to its plan, by topology as in the settings, and by repeat."""
    plans = {plan.name: plan for plan in settings.topologies}
    courses = [
        Course(run, window, plans[run.run.topology], window_figures(window, run, plans[run.run.topology], settings))
        for run in runs
        for window in windows(run.actions, settings)
    ]
    order = list(plans)
    return sorted((c for c in courses if c.figures.valid), key=lambda c: (order.index(c.plan.name), c.run.run.repeat))


def sentences(courses: Sequence[Course]) -> list[str]:
    """What the pictures show, in words."""
    return [f"{course.plan.name}, run {course.run.run.repeat}: {_sentence(course.figures)}." for course in courses]


def _sentence(figures: WindowFigures) -> str:
    parts = [f"{figures.lost or 'none'} of {figures.offered} requests lost"]
    if figures.response_s is not None:
        parts.append(f"the router reacted after {figures.response_s:.2f} s")
    if figures.standby_answer_s is not None:
        parts.append(f"the standby answered after {figures.standby_answer_s:.2f} s")
    if figures.recovery_s is not None:
        parts.append(f"as many slots as planned were back after {figures.recovery_s:.2f} s")
    return ", ".join(parts)


def draw_timeline(courses: Sequence[Course], target: Target, sheet: Sheet) -> None:
    """Requests answered and lost, and below them who did what when; the same axes for all."""
    marks = [find_marks(course) for course in courses]
    heights = [inches for each in marks for inches in (REQUESTS_INCHES, MARK_INCHES * (len(each) + 1))]
    end_s = max(course.window.end_s - course.window.injected_s for course in courses)
    with new_figure((sheet.width_inches, sum(heights) + 0.9 * len(courses)), target) as drawn:
        all_axes = drawn.subplots(2 * len(courses), 1, sharex=True, height_ratios=heights)
        for place, course in enumerate(courses):
            above, below = all_axes[2 * place], all_axes[2 * place + 1]
            _draw_requests(above, course, end_s)
            _draw_marks(above, below, marks[place], end_s, sheet)
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


def _title(course: Course, sheet: Sheet) -> str:
    figures, targets = course.figures, " + ".join(course.window.targets) or "-"
    lost = f"{figures.lost} of {figures.offered} requests lost" if figures.lost else "no request lost"
    between = ",\n" if sheet.is_narrow else ", "
    return f"{course.plan.name}: {course.window.fault} of {targets}{between}{lost}"


def _draw_requests(axes: Axes, course: Course, end_s: float) -> None:
    """Good and lost requests by the moment of sending, stacked."""
    shown = [each for each in course.run.requests if each.kind != OVERSIZE]
    good, lost = ([_since(each, course) for each in shown if each.good is good] for good in (True, False))
    edges = np.arange(-BEFORE_S, end_s + STEP_S / 2, STEP_S)
    answered, missed = np.histogram(good, edges)[0], np.histogram(lost, edges)[0]
    look: Any = {"align": "edge", "width": STEP_S, "edgecolor": "white"}
    axes.bar(edges[:-1], answered, color=SKY, lw=0.3, label="answered", **look)
    axes.bar(edges[:-1], missed, bottom=answered, color=VERMILION, hatch="////", lw=0, label="lost", **look)
    axes.set_ylabel(f"requests per {STEP_S:g} s")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.tick_params(labelbottom=True)


def _draw_marks(above: Axes, below: Axes, marks: Sequence[Mark], end_s: float, sheet: Sheet) -> None:
    """A row per moment, in words beside its sign; the moment also stands as a line in the requests.

    On a narrow page there is room for the last words only, and not to say who.
    """
    for height, mark in enumerate(marks):
        colour, sign, label = MARKS[mark.kind]
        above.axvline(mark.at_s, color=colour, lw=1.0, ls=":")
        below.vlines(mark.at_s, -height, 1, color=colour, lw=1.0, ls=":", zorder=1)
        late = mark.at_s > end_s * (0.5 if sheet.is_narrow else 0.6)
        words = label.rpartition(": ")[2] if sheet.is_narrow else f"{label}{mark.who and ': '}{mark.who}"
        note = below.annotate(
            f"{mark.at_s:.2f} s  {words}", (mark.at_s, -height), (-9 if late else 9, 0), textcoords="offset points",
            ha="right" if late else "left", va="center", bbox=NOTE_BOX, fontsize=9 if sheet.is_narrow else None,
        )  # fmt: skip
        note.set_in_layout(False)
        below.plot([mark.at_s], [-height], sign, color=colour, ms=8, mew=2 if sign == "x" else 0.5)
    below.set_ylim(-len(marks) + 0.4, 1)
    below.axis("off")


def find_marks(course: Course) -> list[Mark]:
    """The moments of the window, in order of time."""
    window, run = course.window, course.run
    marks = [(a.time_s, a.action, a.target) for a in run.actions if a.window == window.number and a.action in MARKS]
    last_s = max(window.end_s, window.recovered_s)
    marks += [(e.time, e.event, e.predictor) for e in run.events
              if e.event in MARKS and window.injected_s <= e.time <= last_s]  # fmt: skip
    marks += [*_first_answer(course), *_last_lost(course)]
    return [Mark(round(time_s - window.injected_s, 3), kind, who) for time_s, kind, who in sorted(marks, key=_by_time)]


def _by_time(mark: tuple[float, str, str]) -> tuple[float, int]:
    return mark[0], list(MARKS).index(mark[1])


def _first_answer(course: Course) -> list[tuple[float, str, str]]:
    """The standby's first good answer, by the figure's definition."""
    window, standbys = course.window, course.plan.standbys
    good = [(r.sent_at_s + r.latency_s, r.predictor) for r in course.run.requests if r.good and r.predictor in standbys]
    inside = sorted(answer for answer in good if window.injected_s <= answer[0] < window.end_s)
    return [(time_s, "standby", who) for time_s, who in inside[:1]]


def _last_lost(course: Course) -> list[tuple[float, str, str]]:
    window = course.window
    lost = [r.sent_at_s for r in course.run.requests if not r.good and r.kind != OVERSIZE]
    inside = [sent_s for sent_s in lost if window.injected_s <= sent_s < window.end_s]
    return [(max(inside), "last lost", "")] if inside else []


def _since(request: SteadyRequest, course: Course) -> float:
    return request.sent_at_s - course.window.injected_s
