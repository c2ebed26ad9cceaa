"""The charts of a comparison, as SVG files: drawn from the summary and the records, the same for the same records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.compare import figures
from experiments.compare.records import YOUNGEST_S, RunRecords
from experiments.compare.summary import ComparisonSummary, TopologyFigures
from experiments.page.charts import (
    BLUE,
    DARK,
    GREY,
    ORANGE,
    PREDICTOR_COLOURS,
    PREDICTOR_PATTERNS,
    SKY,
    VERMILION,
    new_figure,
    note_at,
    put_legends,
    whole_steps,
)
from experiments.page.page import Sheet, Target

if TYPE_CHECKING:  # not before something is drawn
    from matplotlib.axes import Axes

BAR, THEORY, POST = 0.34, 0.16, 0.2
GAP = 0.05
MOST_LEVEL = 6
"""Names of more deployments than these stand upright below their bars."""

HEADROOM = 1.15
"""Room above the curves for the note on the first failure."""


def draw_rates(summary: ComparisonSummary, target: Target, sheet: Sheet) -> None:
    """Bars: rate at first failure per topology, with the repeats' range, theory's range and the post's figures."""
    with new_figure((sheet.width_inches, 4.4), target) as figure:
        axes = figure.subplots()
        upright = len(summary.topologies) > MOST_LEVEL
        for index, topology in enumerate(summary.topologies):
            _draw_rate(axes, index, topology, turned=90 if upright else 0)
        between = " / " if upright else " /\n"
        names = [f"{each.topology.replace(' / ', between)}\n{each.slots} slots" for each in summary.topologies]
        axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0)
        axes.set_xlim(-0.7, len(names) - 0.3)
        axes.set_ylabel("requests sent per second")
        axes.set_title("Rate at first failure")
        axes.yaxis.grid(True, color="#E5E5E5")
        axes.set_axisbelow(True)
        put_legends(figure, [axes], sheet)


def _draw_rate(axes: Axes, index: int, topology: TopologyFigures, turned: int) -> None:
    """Side by side: the measured bar, theory's range as a band with its median, the post's bar.

    `turned`: by how many degrees the measured figure is.
    """
    from matplotlib.patches import Rectangle

    left = index - (BAR + THEORY + POST + 2 * GAP) / 2
    _draw_measured(axes, left + BAR / 2, topology, turned)
    if (theory := topology.theory.rate_per_s) is not None:
        start, end = left + BAR + GAP, left + BAR + GAP + THEORY
        height = theory.p95 - theory.p5
        band = Rectangle((start, theory.p5), THEORY, height, facecolor=ORANGE, edgecolor=DARK, lw=0.8)
        band.set_label("theory: 90 % of runs")
        axes.add_patch(band)
        axes.hlines(theory.median, start, end, color="black", lw=2, label="theory: median")
    if (rate := topology.post.rate_at_failure_per_s) is not None:
        middle = left + BAR + THEORY + 2 * GAP + POST / 2
        axes.bar(middle, rate, POST, color=GREY, hatch="//", edgecolor="white", label="the post's figure")
        axes.annotate(f"{rate:.1f}", (middle, rate), (0, 3), textcoords="offset points", ha="center")


def _draw_measured(axes: Axes, middle: float, topology: TopologyFigures, turned: int) -> None:
    rate = topology.rate_at_first_failure_per_s
    if rate is None or topology.failed_at_once:
        words = "failed at once" if topology.failed_at_once else "no failure"
        axes.annotate(words, (middle, 0), (0, 6), textcoords="offset points", ha="center", rotation=90)
        return
    axes.bar(middle, rate.median, BAR, color=BLUE, label="measured" if rate.count == 1 else "measured: median")
    axes.annotate(f"{rate.median:.1f}", (middle, 0), (0, 6), textcoords="offset points", ha="center",
                  color="white", weight="bold", rotation=turned)  # fmt: skip
    if rate.count > 1:
        failures = [run.first_failure for run in topology.runs if run.first_failure]
        runs = [each.rate_at_first_failure_per_s for each in failures if not each.is_at_once]
        axes.vlines(middle, rate.low, rate.high, color="black", lw=1.5, label="measured: range", zorder=4)
        axes.plot([middle] * len(runs), runs, "o", ms=4, mfc="white", mec="black", label="measured: each run",
                  zorder=5)  # fmt: skip


def draw_timeline(records: RunRecords, predictors: Sequence[str], target: Target, sheet: Sheet) -> None:
    """One run over time: offered rate and failures, users, load per predictor; the first failure marked.

    `predictors`: their names in the order in which they are stacked.
    """
    with new_figure((sheet.width_inches, 7.2 + sheet.is_narrow), target) as figure:
        rate_axes, users_axes, load_axes = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1.4, 3))
        _draw_offered(rate_axes, records)
        _draw_users(users_axes, records)
        _draw_loads(load_axes, records, predictors)
        load_axes.set_xlabel("seconds since the swarm's start")
        load_axes.set_xlim(left=0)
        _mark_first_failure((rate_axes, users_axes, load_axes), records)
        _note_promotions(load_axes, records)
        run = records.run
        between = "\n" if sheet.is_narrow else " "
        rate_axes.set_title(f"{run.topology}, run {run.repeat}:{between}offered rate, users and load per predictor")
        for axes, steps in ((rate_axes, 6), (users_axes, 3), (load_axes, 6)):
            axes.set_ylim(0, axes.get_ylim()[1] * HEADROOM)
            axes.yaxis.set_major_locator(whole_steps(steps))
            axes.yaxis.grid(True, color="#E5E5E5")
            axes.set_axisbelow(True)
        load_axes.xaxis.set_major_locator(whole_steps(10))
        figure.align_ylabels()
        put_legends(figure, [rate_axes, users_axes, load_axes], sheet)


def _draw_offered(axes: Axes, records: RunRecords) -> None:
    origin = figures.start_s(records)
    sent = [request.sent_at_s for request in records.requests]
    counts = figures.per_second(sent, origin)
    axes.stairs(counts, color=SKY, fill=True, alpha=0.55, label="sent in each second")
    moments = [float(second) for second in range(1, len(counts) + 1)]
    if (failure := records.first_failure) is not None:
        moments = [moment for moment in moments if moment < failure.elapsed_s] + [failure.elapsed_s]
    trailing = figures.trailing_rates_per_s(sent, origin, [moment for moment in moments if moment >= YOUNGEST_S])
    if trailing:
        axes.plot(*zip(*trailing, strict=True), color=BLUE, lw=2, label="sent, over the last 10 s")
    failures = [request.sent_at_s + request.latency_s for request in records.requests if request.failed]
    failed = [(second + 0.5, count) for second, count in enumerate(figures.per_second(failures, origin)) if count]
    if failed:
        axes.plot(*zip(*failed, strict=True), "X", ms=8, color=VERMILION, mec="black", mew=0.6, clip_on=False,
                  label="failed in that second")  # fmt: skip
    axes.set_ylabel("requests/s")


def _draw_users(axes: Axes, records: RunRecords) -> None:
    """Users by the records, until the first failure: after it the swarm is being stopped."""
    origin, failure = figures.start_s(records), records.first_failure
    ended = sorted((request.sent_at_s + request.latency_s - origin, request.users) for request in records.requests)
    if failure is not None:
        ended = [(s, users) for s, users in ended if s < failure.elapsed_s] + [(failure.elapsed_s, failure.users)]
    if ended:
        axes.step(*zip(*ended, strict=True), where="post", color=DARK, label="users")
    axes.set_ylabel("users")


def _draw_loads(axes: Axes, records: RunRecords, predictors: Sequence[str]) -> None:
    origin = figures.start_s(records)
    samples = [each for each in (*records.loads, *figures.samples_at_failure(records)) if each.time_s >= origin]
    times_s, loads, slots = figures.loads_over_time(sorted(samples, key=lambda each: each.time_s), origin)
    base = [0] * len(times_s)
    for number, name in enumerate(name for name in predictors if name in loads):
        top = [below + load for below, load in zip(base, loads[name], strict=True)]
        colour = PREDICTOR_COLOURS[number % len(PREDICTOR_COLOURS)]
        pattern = PREDICTOR_PATTERNS[number % len(PREDICTOR_PATTERNS)]
        axes.fill_between(times_s, base, top, step="post", fc=colour, hatch=pattern, ec="white", lw=0, label=name)
        axes.step(times_s, top, where="post", color="white", lw=0.8)  # between it and the next
        base = top
    axes.step(times_s, slots, where="post", color="black", lw=1.5, ls="--", label="slots in rotation")
    axes.set_ylabel("requests in flight")


def _note_promotions(axes: Axes, records: RunRecords) -> None:
    for event in records.events:
        if event.event == "promoted":
            at_s = event.time - figures.start_s(records)
            axes.axvline(at_s, color="black", lw=0.8, ls="--")
            note_at(axes, at_s, f"{event.predictor} promoted", "black")


def _mark_first_failure(all_axes: Sequence[Axes], records: RunRecords) -> None:
    failure = records.first_failure
    if failure is None:
        return
    for axes in all_axes:
        axes.axvline(failure.elapsed_s, color=VERMILION, lw=1.5, ls=":")
    text = f"first failure ({failure.cause}): {failure.rate_text}, {failure.users} users"
    note_at(all_axes[0], failure.elapsed_s, text, VERMILION)
