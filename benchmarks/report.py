"""A run's tables as markdown, and the generated part of docs/performance.md. Reads records, measures nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import DIRECT, ROUTER
from benchmarks.documents import document, replace_generated, table
from benchmarks.figures import Measurements, Range, cpu_us, rate_per_s, targets
from benchmarks.records import RunFolder, Target
from cli import Parser
from experiments.results.folders import PROJECT

DOCUMENT = document("performance")
CHART = "performance.svg"
SHOWN_VERSIONS = ("python", "flask", "gunicorn", "gevent", "geventhttpclient", "requests", "haproxy", "wrk", "ray")


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
    measured = Measurements(folder.measurements())
    about = folder.about()
    parts = [_about(about)]
    if measured.all:
        parts += [_rates(measured), _ratios(measured), _costs(measured)]
    parts += [_skipped(about.get("skipped", {}))]
    if folder.ways():
        parts += [ways_table(folder.ways())]
    all_targets = targets(measured) + folder.targets()
    if all_targets:
        parts += [_targets(all_targets)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(about: dict[str, Any]) -> str:
    machine, versions = about["machine"], about["versions"]
    known = [f"{name} {versions[name]}" for name in SHOWN_VERSIONS if name in versions]
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}. "
        f"Versions: {', '.join(known)}."
    )


def _rates(measured: Measurements) -> str:
    """Throughput: the median of the repeats, and their range."""
    head = ["answers per second", "POST, 1 connection", "8 connections", "64 connections", "GET, 8"]
    loads = [("POST", 1), ("POST", 8), ("POST", 64), ("GET", 8)]
    rows = [
        [name, *(_text(measured.aggregate(name, count, rate_per_s, method), ",.0f") for method, count in loads)]
        for name in measured.contenders()
    ]
    return table(head, rows)


def _ratios(measured: Measurements) -> str:
    """The router's throughput by each peer's; empty without router or peer."""
    peers = [name for name in measured.contenders() if name not in (ROUTER, DIRECT)]
    if not peers or ROUTER not in measured.contenders():
        return ""
    rows = []
    for name in peers:
        found = [measured.ratio(ROUTER, name, count, rate_per_s) for count in (1, 8, 64)]
        rows.append([name, *("" if each is None else each.text(_ratio_form(each)) for each in found)])
    return table([f"the {ROUTER}'s answers per second by those of", "1 connection", "8", "64"], rows)


def _ratio_form(found: Range) -> str:
    """How a ratio is written: two significant digits, or more."""
    return ".2f" if found.median < 1 else ".1f" if found.median < 10 else ".0f"


def _costs(measured: Measurements) -> str:
    """What each contender adds to going direct, and what it uses."""
    head = ["", "added p50, ms, 1 connection", "added p99, ms", "p50, ms, 64", "p99, ms, 64", "CPU per request, us, 8",
            "memory (PSS), MiB", "failed"]  # fmt: skip
    rows = []
    for name in measured.contenders():
        figures = [
            _text(measured.added(name, 1, lambda one: one.p50_ms), ".2f"),
            _text(measured.added(name, 1, lambda one: one.p99_ms), ".2f"),
            _text(measured.aggregate(name, 64, lambda one: one.p50_ms), ".1f"),
            _text(measured.aggregate(name, 64, lambda one: one.p99_ms), ".1f"),
            _text(measured.aggregate(name, 8, cpu_us), ",.0f"),
            _text(measured.aggregate(name, 64, lambda one: one.pss_mib), ".0f"),
        ]
        failed = sum(one.errors for one in measured.all if one.contender == name)
        rows.append([name, *figures, f"{failed:,}"])
    return table(head, rows)


def ways_table(rates: dict[str, list[float]]) -> str:
    """Returns the table of the ways of forwarding, without a server in front."""
    rows = [[way, Range.of(found).text()] for way, found in rates.items()]
    return table(["forwarding alone, by", "requests per second, 8 at a time"], rows)


def _targets(all_targets: Sequence[Target]) -> str:
    rows = [
        [one.name, one.figure, one.target, "yes" if one.reached else "**no**", f"`{one.command}`"]
        for one in all_targets
    ]
    return table([f"target of the {ROUTER}", "measured", "to reach", "reached", "command"], rows)


def _skipped(skipped: dict[str, str]) -> str:
    return "\n".join(f"Not measured in this run: {name}: {reason}." for name, reason in skipped.items())


def _text(found: Range | None, form: str) -> str:
    return "" if found is None else found.text(form)
