"""A run's tables as markdown, and the generated parts of documents. Reads records, measures nothing."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contenders import DIRECT, ENGINE, HAPROXY, ROUTER
from benchmarks.figures import Measurements, Range, range_of, targets
from benchmarks.peers import PEERS
from benchmarks.records import CONNECTIONS, LOADS, THREADS, RunFolder, Target
from cli import Parser, UsageError
from experiments.results.folders import PROJECT

DOCUMENT = PROJECT / "docs" / "performance.md"
CHART = "performance.svg"
BEGIN, END = "<!-- generated: ", "<!-- end of the generated part -->"
SHOWN_VERSIONS = (
    "python", "flask", "gunicorn", "gevent", "geventhttpclient", "requests", "haproxy", *PEERS, "wrk", "ray"
)  # fmt: skip

Column = tuple[str, Callable[[str], Range | None], str]
"""A column's head, what finds a contender's figure, and its form."""


def main(arguments: Sequence[str]) -> None:
    """Prints the tables, or writes them with --write. Raises CommandError."""
    parser = Parser(
        prog="python -m benchmarks report",
        description="Tables and chart of a run, from its records.",
        epilog="example: python -m benchmarks report results/bench-20261122-013500",
    )
    parser.add_argument("run", type=Path, help="the run's folder, as in results/bench-20261122-013500")
    parser.add_argument("--write", action="store_true", help="put them into docs/performance.md, the chart beside it")
    options = parser.parse_args(arguments)
    folder = RunFolder(options.run)
    text = markdown(folder)
    if options.write:
        from benchmarks.chart import draw  # matplotlib takes a second to import

        draw(Measurements(folder.measurements()), DOCUMENT.with_name(CHART))
        replace_generated(DOCUMENT, f"![Throughput by contender]({CHART})\n\n{text}")
        print(f"written: {DOCUMENT.relative_to(PROJECT)}, {CHART}")
    else:
        print(text)


def markdown(folder: RunFolder) -> str:
    """Returns all tables of the run."""
    measured, about, ways = Measurements(folder.measurements()), folder.about(), folder.ways()
    all_targets = targets(measured) + folder.targets()
    parts = [_about(about)]
    if THREADS in about:
        parts += _of_routers(Measurements(measured.all, list(about[THREADS])), about[THREADS])
    elif measured.all:
        others = [name for name in measured.contenders() if name not in (ROUTER, DIRECT)]
        parts += [_rates(measured), _ratios(measured, ROUTER, others)]
        parts += [_ratios(measured, ENGINE, [HAPROXY, *PEERS, ROUTER]), _costs(measured)]
    skipped = about.get("skipped", {}).items()
    parts.append("\n".join(f"Not measured in this run: {name}: {reason}." for name, reason in skipped))
    if ways:
        parts.append(ways_table(ways))
    if all_targets:
        parts.append(_targets(all_targets))
    return "\n\n".join(part for part in parts if part) + "\n"


def replace_generated(path: Path, text: str) -> None:
    """Puts the text between the two marks of the document. Raises UsageError where they are missing."""
    whole = path.read_text(encoding="utf-8")
    before, begin, rest = whole.partition(BEGIN)
    command, newline, rest = rest.partition("\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{path}: the marks of the generated part are missing: {BEGIN}COMMAND --> and {END}")
    path.write_text(f"{before}{begin}{command}{newline}\n{text}\n{END}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def ways_table(rates: dict[str, list[float]]) -> str:
    """Returns the table of the ways of forwarding, without a server in front."""
    rows = [[way, _text(range_of(found), ",.0f")] for way, found in rates.items()]
    return table(["forwarding alone, by", "requests per second, 8 at a time"], rows)


def _about(about: dict[str, Any]) -> str:
    machine, versions = about["machine"], about["versions"]
    shown = dict.fromkeys([*SHOWN_VERSIONS, *about.get(THREADS, {})])
    known = [f"{name} {versions[name]}" for name in shown if name in versions]
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}. "
        f"Versions: {', '.join(known)}."
    )


def _rates(measured: Measurements) -> str:
    head = ["answers per second", "POST, 1 connection", "8 connections", "64 connections", "GET, 8"]
    rows = [
        [name, *(_text(measured.aggregate(name, count, "rate_per_s", method), ",.0f") for method, count in LOADS)]
        for name in measured.contenders()
    ]
    return table(head, rows)


def _ratios(measured: Measurements, one: str, others: Sequence[str]) -> str:
    """A contender's throughput by that of each of the others that took part; empty where nobody is to be compared."""
    names = measured.contenders()
    peers = [name for name in others if name in names]
    if not peers or one not in names:
        return ""
    rows = [[name, *(_ratio(measured.ratio(one, name, count)) for count in (1, 8, 64))] for name in peers]
    return table([f"answers per second of the {one} by those of", "1 connection", "8", "64"], rows)


def _ratio(found: Range | None) -> str:
    """A ratio with two significant digits, or more."""
    if found is None or found.median >= 10:
        return _text(found, ".0f")
    return _text(found, ".2f" if found.median < 1 else ".1f")


def _costs(measured: Measurements) -> str:
    """What each contender adds to going direct, and what it uses."""
    head = ["", "added p50, ms, 1 connection", "added p99, ms", "p50, ms, 64", "p99, ms, 64", "CPU per request, us, 8",
            "memory (PSS), MiB", "failed"]  # fmt: skip
    rows = []
    for name in measured.contenders():
        figures = [
            (measured.added(name, 1, "p50_ms"), ".2f"),
            (measured.added(name, 1, "p99_ms"), ".2f"),
            (measured.aggregate(name, 64, "p50_ms"), ".1f"),
            (measured.aggregate(name, 64, "p99_ms"), ".1f"),
            (measured.aggregate(name, 8, "cpu_us"), ",.0f"),
            (measured.aggregate(name, 64, "pss_mib"), ".0f"),
        ]
        rows.append([name, *(_text(found, form) for found, form in figures), f"{measured.failed(name):,}"])
    return table(head, rows)


def _of_routers(measured: Measurements, threads: Mapping[str, str]) -> list[str]:
    """The tables of a run of routers: rates beside going direct, latencies, what each uses."""
    rates: list[Column] = [
        (f"{n}", partial(measured.aggregate, connections=n, figure="rate_per_s"), ",.0f") for n in CONNECTIONS
    ]
    rates += [(f"by direct's, {n}", partial(measured.ratio, other=DIRECT, connections=n), ".2f") for n in CONNECTIONS]
    times: list[Column] = []
    for n in CONNECTIONS:
        times.append((f"p50, {n}", partial(measured.aggregate, connections=n, figure="p50_ms"), ".2f"))
        times.append((f"added p50, {n}", partial(measured.added, connections=n, figure="p50_ms"), ".2f"))
        times.append((f"p99, {n}", partial(measured.aggregate, connections=n, figure="p99_ms"), ".2f"))
    uses: list[Column] = [
        ("cores busy, 64", partial(measured.aggregate, connections=64, figure="cores"), ".2f"),
        ("CPU per request, us, 8", partial(measured.aggregate, connections=8, figure="cpu_us"), ",.0f"),
        ("memory (PSS), MiB, 64", partial(measured.aggregate, connections=64, figure="pss_mib"), ".0f"),
    ]
    others = {"threads": threads, "failed": {name: f"{measured.failed(name):,}" for name in measured.contenders()}}
    return [
        _columns(measured, "answers per second, POST, connections:", rates),
        _columns(measured, "ms, connections:", times),
        _columns(measured, "", uses, others),
    ]


def _columns(
    measured: Measurements, what: str, columns: Sequence[Column], texts: Mapping[str, Mapping[str, str]] = {}
) -> str:
    """A table of the contenders with these columns; then those of texts, by contender."""
    rows = [
        [name, *(_text(find(name), form) for _, find, form in columns), *(text[name] for text in texts.values())]
        for name in measured.contenders()
    ]
    return table([what, *(head for head, _, _ in columns), *texts], rows)


def _targets(all_targets: Sequence[Target]) -> str:
    rows = [
        [one.name, one.figure, one.target, "yes" if one.reached else "**no**", f"`{one.command}`"]
        for one in all_targets
    ]
    return table([f"target of the {ROUTER}", "measured", "to reach", "reached", "command"], rows)


def _text(found: Range | None, form: str) -> str:
    return "" if found is None else found.text(form)
