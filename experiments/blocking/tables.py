"""The tables of a blocking run for a terminal of 80 columns; the report shows the same cells in HTML."""

from collections.abc import Iterator
from itertools import groupby

from rich.table import Table

from experiments.blocking.figures import PointFigures
from experiments.blocking.pairs import Goodput, Pair, SlotsApart
from experiments.blocking.summary import BlockingSummary
from experiments.page.tables import new_table
from experiments.page.text import NONE, percent_text

POINT_COLUMNS = ("Slots", "Per s", "Held, ms", "Erlangs", "Refused", "95 % interval", "Erlang B", "Inside")
GOODPUT_COLUMNS = (
    "Topology", "Offered\nper s", "Refused", "95 %\ninterval", "Erlang\nB", "Good\nper s", "95 %\ninterval", "Theory",
)  # fmt: skip
PAIR_COLUMNS = ("Refused", "Requests", "Fewer\nrefused", "Per\nslot", "Slots\napart", "95 % interval", "Verdict")
NAME_WIDTH = 14


def points_table(summary: BlockingSummary) -> Table:
    """The points of numbers of slots."""
    title = f"Refused share of Poisson arrivals{beside(summary)}"
    return new_table(title, POINT_COLUMNS, [map(point_cells, points) for _, points in by_name(summary)])


def beside(summary: BlockingSummary) -> str:
    """What stands beside the measured figures."""
    return "" if summary.settings.why_no_theory else ", beside Erlang B at the same load"


def by_name(summary: BlockingSummary) -> list[tuple[str, list[PointFigures]]]:
    """The points of each topology, or of each number of slots."""
    return [(name, list(points)) for name, points in groupby(summary.points, key=subject)]


def subject(point: PointFigures) -> str:
    """What the point is of."""
    return point.topology or f"{point.slots} slots"


def point_cells(point: PointFigures) -> list[str]:
    """One row of the table."""
    return [
        str(point.slots),
        f"{point.arrival_rate_per_s:.1f}",
        f"{point.holding_time_s * 1000:.1f}",
        f"{point.offered_load_erlangs:.2f}",
        f"{point.refused_share * 100:.2f} %",
        f"{point.low * 100:.2f}-{point.high * 100:.2f}",
        percent_text(point.erlang_b, 2),
        inside_cell(point),
    ]


def inside_cell(point: PointFigures) -> str:
    """Whether Erlang B lies in the interval; NONE where theory does not apply."""
    if point.invalid:
        return "invalid"
    return {True: "yes", False: "no", None: NONE}[point.inside]


def goodput_table(summary: BlockingSummary) -> Table:
    """Refused share and goodput of each topology and load, beside theory."""
    title = f"Goodput under the same Poisson arrivals{beside(summary)}"
    groups = groupby(goodput_rows(summary), key=lambda cells: cells[0])
    rows = [list(cells) for _, cells in groups]
    return new_table(title, GOODPUT_COLUMNS, rows, text=(0,), folds=(0,), max_width=NAME_WIDTH)


def goodput_rows(summary: BlockingSummary) -> Iterator[list[str]]:
    """One row for each topology and load."""
    if summary.comparison is not None:
        for point, good in zip(summary.points, summary.comparison.goodput, strict=True):
            yield _goodput_cells(point, good)


def _goodput_cells(point: PointFigures, good: Goodput) -> list[str]:
    return [
        point.topology,
        f"{point.arrival_rate_per_s:.1f}",
        f"{point.refused_share * 100:.1f} %",
        f"{point.low * 100:.1f}-{point.high * 100:.1f}",
        percent_text(point.erlang_b) if not point.invalid else "invalid",
        f"{good.goodput_per_s:.1f}",
        f"{good.low_per_s:.1f}-{good.high_per_s:.1f}",
        NONE if good.theory_per_s is None else f"{good.theory_per_s:.1f}",
    ]


def pair_table(pair: Pair) -> Table:
    """How many slots apart two topologies are, at each load and together."""
    title = f"{pair.topology} beside {pair.against}: slots apart, by the same arrivals"
    groups = [[pair_cells(f"{100 * load.aimed_blockings[0]:.0f} %", load) for load in pair.loads], pair_rows(pair)]
    return new_table(title, PAIR_COLUMNS, groups, text=(0, 6))


def pair_rows(pair: Pair) -> list[list[str]]:
    """The loads about the first failures together, and those beyond."""
    parts = {"below 10 %": pair.saturation, "10 % and more": pair.beyond}
    return [[*pair_cells(name, part)[:-1], part.verdict] for name, part in parts.items() if part is not None]


def pair_cells(load: str, part: SlotsApart) -> list[str]:
    """One row: verdicts are of several loads together, not of each."""
    return [
        load,
        str(part.arrivals),
        f"{part.refused_less:+d}",
        f"{part.requests_per_slot:.1f}",
        f"{part.slots:+.2f}",
        f"{part.low:.2f} to {part.high:.2f}",
        "",
    ]
