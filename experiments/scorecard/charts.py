"""The charts of a failover run, as SVG files: the scorecard, and the course of one fault from second to second."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from experiments.charts import BLUE, DARK, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, new_figure
from experiments.metrics import Repeats
from experiments.scorecard.metrics import Window, windows
from experiments.scorecard.records import OVERSIZE, FaultRun, Offered, Settings
from experiments.scorecard.summary import Summary

SCORECARD = "scorecard.svg"
TIMELINE = "timeline.svg"
COLUMNS = 4
STEP_S = 0.25
BEFORE_S = 1.0
NOTE_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}

PANELS = (
    ("capacity_in_region_per_s", "Production capacity,\nin region, requests/s"),
    ("capacity_out_of_region_per_s", "Production capacity,\nout of region, requests/s"),
    ("availability", "Platform availability,\nunplanned faults, %"),
    ("planned_availability", "Availability during\nplanned outages, %"),
    ("lost_per_fault", "Failure impact,\nrequests lost per fault"),
    ("worst_added_wait_s", "Failure impact,\nworst added wait, s"),
    ("recovery_s", "Disaster recovery\ntime, s"),
    ("response_s", "Incident response\ntime, s"),
)
MARKS = {
    "injected": (VERMILION, "fault"),
    "repair": (GREY, "operator's repair"),
    "ejected": (DARK, "detected: ejected"),
    "promoted": (PURPLE, "standby promoted"),
    "readmitted": (GREEN, "readmitted"),
    "demoted": (ORANGE, "failback: standby steps back"),
    "standby": (BLUE, "standby's first answer"),
    "last lost": (VERMILION, "last lost request"),
}


def draw_scorecard(summary: Summary, folder: Path) -> Path:
    """The post's chart of metrics, with measured figures: one panel per metric, one bar per topology."""
    rows = -(-len(PANELS) // COLUMNS)
    with new_figure((9.0, 3.0 * rows), folder / SCORECARD) as drawn:
        all_axes = drawn.subplots(rows, COLUMNS).flat
        for axes, (name, title) in zip(all_axes, PANELS, strict=True):
            values = [(each.topology, each.figures[name]) for each in summary.topologies]
            _draw_panel(axes, values, 100.0 if "availability" in name else 1.0)
            axes.set_title(title, fontsize=9)
    return folder / SCORECARD


def _draw_panel(axes: Axes, values: Sequence[tuple[str, Repeats | None]], factor: float) -> None:
    colours = (ORANGE, BLUE, GREEN, PURPLE, SKY)
    for place, (_, value) in enumerate(values):
        if value is None:
            axes.annotate("-", (place, 0), (0, 3), textcoords="offset points", ha="center")
            continue
        axes.bar(place, value.median * factor, 0.7, color=colours[place % len(colours)])
        axes.annotate(f"{value.median * factor:.4g}", (place, value.high * factor), (0, 3),
                      textcoords="offset points", ha="center", fontsize=8)  # fmt: skip
        if value.count > 1:
            axes.vlines(place, value.low * factor, value.high * factor, color="black", lw=1.5)
    axes.set_xticks(range(len(values)), [name for name, _ in values], fontsize=8, rotation=30)
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.set_ylim(0, max(axes.get_ylim()[1] * 1.15, 0.01))
    axes.tick_params(axis="y", labelsize=8)


def shown_window(runs: Sequence[FaultRun], settings: Settings) -> tuple[FaultRun, Window] | None:
    """The course that is drawn: the first crash of a topology with a standby, else of any, else any fault."""
    plans = {plan.name: plan for plan in settings.topologies}
    courses = [(run, window) for run in runs for window in windows(run.actions, settings)]

    def rank(course: tuple[FaultRun, Window]) -> tuple[bool, bool]:
        run, window = course
        return window.fault != "crash", not plans[run.run.topology].standbys

    return min(courses, key=rank, default=None)


def draw_timeline(run: FaultRun, window: Window, settings: Settings, folder: Path) -> Path:
    """One fault from second to second: what was answered and lost, and who did what when."""
    marks = _marks(run, window, settings)
    with new_figure((9.0, 4.6), folder / TIMELINE) as drawn:
        axes, steps = drawn.subplots(2, 1, sharex=True, height_ratios=(2, 2.4))
        _draw_requests(axes, run.requests, window)
        for height, (at_s, kind, who) in enumerate(marks):
            colour, label = MARKS[kind]
            for each in (axes, steps):
                each.axvline(at_s, color=colour, lw=1.2, ls=":" if kind in ("repair", "last lost") else "-")
            late = at_s > (window.end_s - window.injected_s) * 0.6
            text = f"{at_s:.2f} s  {label}{who and ': '}{who}"
            steps.annotate(text, (at_s, -height), (-5 if late else 5, 0), textcoords="offset points",
                           ha="right" if late else "left", va="center", fontsize=8.5, bbox=NOTE_BOX)  # fmt: skip
            steps.plot([at_s], [-height], "o", color=colour, ms=5)
        steps.set_ylim(-len(marks), 1)
        steps.set_yticks([])
        steps.spines["left"].set_visible(False)
        steps.set_xlabel("seconds since the fault")
        steps.set_xlim(-BEFORE_S, window.end_s - window.injected_s)
        axes.set_title(
            f"{run.run.topology}, run {run.run.repeat}: {window.fault} of {' + '.join(window.targets) or '-'}"
        )
    return folder / TIMELINE


def _draw_requests(axes: Axes, requests: Sequence[Offered], window: Window) -> None:
    """Good and lost requests by the moment of sending, stacked."""
    length = window.end_s - window.injected_s + BEFORE_S
    edges = [-BEFORE_S + STEP_S * step for step in range(int(length / STEP_S) + 2)]
    shown = [each for each in requests if each.kind != OVERSIZE]
    good = [each.sent_at_s - window.injected_s for each in shown if each.good]
    lost = [each.sent_at_s - window.injected_s for each in shown if not each.good]
    axes.hist([good, lost], bins=edges, stacked=True, color=[SKY, VERMILION], label=["answered", "lost"])
    axes.set_ylabel(f"requests per {STEP_S:g} s")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _marks(run: FaultRun, window: Window, settings: Settings) -> list[tuple[float, str, str]]:
    """The moments of the window: seconds from the fault, kind, who; in order of time."""
    plan = next(plan for plan in settings.topologies if plan.name == run.run.topology)
    marks = [(a.time_s, a.action, a.target) for a in run.actions if a.window == window.number and a.action in MARKS]
    last_s = max(window.end_s, window.recovered_s)
    marks += [(e.time, e.event, e.predictor) for e in run.events
              if e.event in MARKS and window.injected_s <= e.time <= last_s]  # fmt: skip
    inside = [each for each in run.requests if window.injected_s <= each.sent_at_s < window.end_s]
    answers = [(e.sent_at_s + e.latency_s, e.predictor) for e in inside if e.good and e.predictor in plan.standbys]
    if answers:
        marks.append((min(answers)[0], "standby", min(answers)[1]))
    lost = [each.sent_at_s for each in inside if not each.good and each.kind != OVERSIZE]
    if lost:
        marks.append((max(lost), "last lost", ""))
    return sorted((round(time_s - window.injected_s, 3), kind, who) for time_s, kind, who in marks)
