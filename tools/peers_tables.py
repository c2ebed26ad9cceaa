"""The generated part of docs/peers.md, as Markdown, from pooled results alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean, median, mode
from typing import Any

from benchmarks.contenders import DIRECT
from experiments.failover.impacts import most_share_losing
from experiments.failover.windows import MOST_LATENESS_S
from experiments.page.text import NONE, join_words, percent_text
from tools.peers_figures import (
    CONNECTIONS,
    OWN,
    SATURATION,
    added_ms,
    compare,
    gaps,
    load_text,
    losses,
    per_fault,
    ratios,
    usual_beside,
)
from tools.peers_results import CONTROL, CONTROL_ON_HOSTS, HOSTS, Cell, Results
from tools.peers_text import WHOSE, count_text, full_name, joined, table, where_others_are_better

ORDER = (
    "crash", "refuse", "hang", "error", "truncated", "reset", "black hole", "host", "flapping", "double crash", "slow",
    "stall", "upgrade", "surge", "surge while down", SATURATION, "big input", "router restart", "router crash", CONTROL,
    CONTROL_ON_HOSTS,
)  # fmt: skip
"""The faults that are measured, in the order of the rows; others that runs have come before the windows without any."""

ROUTER_FAULTS = ("router restart", "router crash")
PICTURE = "peers.svg"


def page(results: Results, picture: str, beside: Sequence[str] = ()) -> str:
    """The whole generated part.

    Args:
        results: what was measured.
        picture: where the picture is, as seen from the page.
        beside: the routers that the others are put beside; empty: this project's.
    """
    comparisons = compare(results, beside or usual_beside(results))
    better = [*where_others_are_better(comparisons), *_not_compared(results)]
    parts = [
        _unfinished(results),
        _section("Where another router is better", better),
        _section("Requests lost", [f"![Requests lost per fault, by router]({picture})", "", *_lost(results)]),
        _section("Longest wait", _waits(results)),
        _section("Saturation", _saturation(results)) if SATURATION in results.faults else "",
        _section("The router's own restart and crash", _outages(results)) if _of_router(results) else "",
        _section("Throughput and added latency", _speeds(results)) if results.speeds else "",
        _section("Conditions", _conditions(results)),
    ]
    return "\n\n".join(part for part in parts if part)


def _unfinished(results: Results) -> str:
    """Which steps are missing; empty where none is."""
    missing = results.about.get("unfinished", [])
    names = join_words([f"`{name}`" for name in missing])
    return f"**Not finished:** all that follows is without {names} of the measurement's steps." if missing else ""


def _not_compared(results: Results) -> Iterator[str]:
    """The faults and loads in which a router could not be put beside others, for each router."""
    found = gaps(results, in_order(results.faults))
    texts = [f"{full_name(router)} in {join_words(places)}" for router, places in found.items() if places]
    if texts:
        yield ""
        yield f"Not compared, for want of any window or repeat that counts: {'; '.join(texts)}."


def _section(head: str, lines: Iterable[str]) -> str:
    return "\n".join([f"## {head}", "", *lines]).rstrip("\n")


def in_order(faults: Sequence[str]) -> list[str]:
    """The faults in the order of the rows."""
    last = ORDER.index(CONTROL)
    return sorted(faults, key=lambda name: ORDER.index(name) if name in ORDER else last - 0.5)


def _by_fault(results: Results, show: Callable[[Cell], str]) -> Iterator[str]:
    """A table with a row per fault and a column per router."""
    rows = (
        [f"**{fault}**", *(_shown(results.cell(router, fault), show) for router in results.routers)]
        for fault in in_order(results.faults)
    )
    return table(["fault", *map(_head, results.routers)], rows)


def _head(name: str) -> str:
    """The column's head: two lines, so that it is narrow, where a name alone could be taken for another's."""
    if name not in WHOSE:
        return name
    first, second = (WHOSE[name], "plain") if name not in OWN else (name, WHOSE[name])
    return f"{first}<br><sub>{joined(second)}</sub>"


def _shown(cell: Cell | None, show: Callable[[Cell], str]) -> str:
    return NONE if cell is None else show(cell)


def _lost(results: Results) -> Iterator[str]:
    usual = usual_windows(results)
    yield from _by_fault(results, _lost_cell)
    yield ""
    yield (
        "Lost of offered (at saturation besides the refused; offered see there), and below it the mean per fault, in "
        "brackets its 95 % interval. "
        f"{_windows(usual).capitalize()} per cell{_other_counts(results, usual)}. {_bounds(results)}"
    )


def _lost_cell(cell: Cell) -> str:
    lost, interval = losses(cell), per_fault(losses(cell))
    offered = "" if cell.fault == SATURATION else f" of {sum(cell.offered)}"
    text = joined(f"{sum(lost)}{offered}")
    if interval is None:
        return text
    below = joined(f"{count_text(fmean(lost))} ({_end(interval.low)}&ndash;{_end(interval.high)})")
    return f"{text}<br><sub>{below}</sub>"


def _end(value: float) -> str:
    """An end of an interval of counts."""
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def usual_windows(results: Results) -> int:
    """How many windows most cells have."""
    return mode([len(each.lost) for each in results.cells if each.lost] or [0])


def _other_counts(results: Results, usual: int) -> str:
    """The cells with other numbers of windows."""
    others = [each for each in results.cells if each.lost and len(each.lost) != usual]
    return (
        f"; {', '.join(f'{each.fault} behind `{each.router}` {len(each.lost)}' for each in others)}" if others else ""
    )


def _windows(count: int) -> str:
    return f"{count} window{'' if count == 1 else 's'}"


def _bounds(results: Results) -> str:
    """What the intervals are; and what is known where nothing was lost."""
    counts = sorted({len(each.lost) for each in results.cells if each.lost and not sum(losses(each))}, reverse=True)
    bounds = [f"with {_windows(count)} at most {percent_text(most_share_losing(count), 0)}" for count in counts]
    none = (
        f" Where none was lost, {join_words(bounds)} of such faults lose anything (95 % confidence)." if bounds else ""
    )
    return (
        "Intervals have whole windows as the independent units (Student's t, and no shorter than of as many losses "
        f"that come singly).{none} A router that recovers late has a longer window, and more offered in it."
    )


def _waits(results: Results) -> Iterator[str]:
    yield from _by_fault(
        results, lambda cell: joined(f"{max(cell.longest_wait_s):.2f} s") if cell.longest_wait_s else NONE
    )
    yield ""
    yield "The longest time from sending a request, a good or a lost one, to its answer or failure, of all windows."


def _saturation(results: Results) -> Iterator[str]:
    rows = []
    for router in results.routers:
        cell = results.cell(router, SATURATION)
        if cell is not None:
            offered, refused = sum(cell.offered), sum(cell.refused)
            shares = [
                f"{refused} of {offered} ({percent_text(refused / offered, 0)})",
                _middle(cell.refused_after_s, "{:.3f} s"),
            ]
            rows.append([full_name(router), *shares, f"{sum(losses(cell))} of {offered}"])
    yield from table(["router", "refused, of offered", "refused after (median)", "lost otherwise"], rows)


def _of_router(results: Results) -> list[str]:
    return [fault for fault in ROUTER_FAULTS if fault in results.faults]


def _outages(results: Results) -> Iterator[str]:
    present = _of_router(results)
    head = ["router", *(text for fault in present for text in (f"{fault}: lost", "outage as clients saw it"))]
    rows = [[full_name(router), *_outage_cells(results, router, present)] for router in results.routers]
    yield from table(head, rows)
    yield ""
    yield (
        "Outage: from the fault to the sending of the last request lost in its window; 0 where none was lost that was "
        "sent after it; not all in between need be lost. Median of the windows, and in brackets the longest."
    )


def _outage_cells(results: Results, router: str, faults: Sequence[str]) -> Iterator[str]:
    for fault in faults:
        cell = results.cell(router, fault)
        yield _shown(cell, lambda found: f"{sum(losses(found))} of {sum(found.offered)}")
        known = cell.outage_s if cell else []
        yield f"{median(known):.2f} s ({max(known):.2f})" if known else NONE


def _middle(values: Sequence[float], form: str) -> str:
    return form.format(median(values)) if values else NONE


def _range(values: Sequence[float], form: str) -> str:
    """The median, and in brackets the lowest and the highest."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    return f"{_middle(values, form)} ({form.format(low)} to {form.format(high)})" if values else NONE


def _speeds(results: Results) -> Iterator[str]:
    measured = dict.fromkeys(each.router for each in results.speeds)
    names = [name for name in dict.fromkeys([DIRECT, *results.routers, *measured]) if name in measured]
    yield from table(
        ["answers per second", *map(load_text, CONNECTIONS),
         *(f"by that of `{DIRECT}`, {count}" for count in CONNECTIONS)],
        ([full_name(name), *_rates(results, name), *_ratios(results, name)] for name in names),
    )  # fmt: skip
    yield ""
    heads = [f"{figure}, {count}" for figure in ("p50", "p99") for count in CONNECTIONS]
    yield from table(
        ["added latency, ms", *heads], ([full_name(name), *_added(results, name)] for name in names if name != DIRECT)
    )
    yield ""
    yield (
        f"Medians of the repeats, in brackets the lowest and the highest. `{DIRECT}` asks the stubs without a router; "
        "ratios and added latencies are to it in the same repeat."
    )


def _rates(results: Results, name: str) -> Iterator[str]:
    for count in CONNECTIONS:
        speed = results.speed(name, count)
        yield _range(speed.rate_per_s, "{:,.0f}") if speed else NONE


def _ratios(results: Results, name: str) -> Iterator[str]:
    for count in CONNECTIONS:
        speed = results.speed(name, count)
        yield _middle(ratios(speed, results.speed(DIRECT, count)), "{:.2f}") if speed else NONE


def _added(results: Results, name: str) -> Iterator[str]:
    for figure in ("p50_ms", "p99_ms"):
        for count in CONNECTIONS:
            speed = results.speed(name, count)
            yield _range(added_ms(speed, results.speed(DIRECT, count), figure), "{:.2f}") if speed else NONE


def _conditions(results: Results) -> Iterator[str]:
    about = results.about
    machine, versions = about["machine"], ", ".join(f"{name} {text}" for name, text in about["versions"].items())
    left_out = sum(each.left_out for each in results.cells)
    windows = sum(len(each.lost) for each in results.cells)
    yield f"- Measured on {about['begun']} by `make peers`: {windows} windows."
    missing = about.get("unfinished", [])
    if CONTROL_ON_HOSTS not in results.faults and not any(name.startswith(HOSTS) for name in missing):
        yield "- Not measured: the faults of whole hosts, which need root and network namespaces."
    yield (
        f"- Left out: {left_out} windows in which the fault was not proven to strike, or more than 1 % of the load "
        f"came over {MOST_LATENESS_S:g} s late: there the machine, not the router, may have lost requests."
    )
    yield f"- Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}."
    own, commits = (join_words([f"`{name}`" for name in names]) for names in (OWN, about["commits"]))
    yield f"- {own}: this project at {commits}, Python {about['python']}."
    yield f"- Versions: {versions}."
    if about["threads"]:
        threads = ", ".join(f"{name} {count}" for name, count in about["threads"].items())
        yield f"- Threads while throughput was measured: {threads}."
    yield f"- Settings: {_settings(about['settings'])}."


def _settings(values: dict[str, list[Any]]) -> str:
    """The settings in words; of one that differs by topology each value."""
    words = {
        "rate_per_s": "{} requests/s", "service_time_s": "a prediction takes {} s",
        "threshold": "{} slots per predictor",
        "window_s": "windows of {} s at least", "repair_after_s": "repair after {} s",
        "hold_down_s": "hold-down of this project's router {} s", "at_once": "{} runs side by side",
    }  # fmt: skip
    return ", ".join(
        text.format(join_words([f"{value:g}" for value in values[name]]))
        for name, text in words.items()
        if name in values
    )
