"""The benchmarks' own arithmetic: reading wrk, medians and ratios, targets, tables. Nothing is measured here."""

from pathlib import Path

import pytest

from benchmarks import documents, report, wrk
from benchmarks.__main__ import COMMANDS, main
from benchmarks.contenders import DIRECT, FLASK, NAIVE, ROUTER
from benchmarks.figures import Measured, Range, rate_per_s, targets
from benchmarks.records import Measurement, RunFolder, Target
from benchmarks.state_writes import WriteWatch
from cli import CommandError, UsageError
from tests.command_lines import assert_has_help, assert_mistake

PRINTED = """Running 3s test @ http://127.0.0.1:1/predict
  100 requests in 2.00s, 2.34MB read
BENCH {"requests": 100, "us": 2000000, "errors": [0, 1, 0, 2, 1], "p50_us": 1500, "p99_us": 9000, "max_us": 12000}
"""


def measurement(contender: str, rate: float, repeat: int = 1, connections: int = 8, p50_ms: float = 1.0) -> Measurement:
    """A burst of one second without failures."""
    return Measurement(contender, "POST", connections, repeat, 1.0, int(rate), 0, p50_ms, 2 * p50_ms, 0.5, 30.0)


def test_parse_reads_what_the_script_prints() -> None:
    """Counts, times in ms, and all kinds of errors together."""
    assert wrk.parse(PRINTED) == wrk.Burst(100, 2.0, 4, 1.5, 9.0, 12.0)


def test_parse_without_a_result_says_what_wrk_printed() -> None:
    """A script that did not run to its end is no burst of zero requests."""
    with pytest.raises(CommandError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_script_sends_the_body_by_post_and_none_by_get(tmp_path: Path) -> None:
    """The Lua script of each method is complete: no place is left unfilled."""
    post = wrk.write_script(tmp_path, "POST", tmp_path / "sample.json").read_text()
    get = wrk.write_script(tmp_path, "GET").read_text()
    assert 'wrk.method = "POST"' in post
    assert f'io.open("{tmp_path}/sample.json")' in post
    assert 'if "" ~= ""' in get
    assert "@" not in post + get


def test_rate_counts_good_answers_only() -> None:
    """Throughput is answers with success per second, not requests sent."""
    assert Measurement("x", "POST", 1, 1, 2.0, 100, 20, 1, 1, 1, 1).rate_per_s == 40.0


def test_range_shows_its_ends_only_where_there_are_some() -> None:
    """One repeat has no range."""
    assert Range.of([3000.0, 1000.0, 2000.0]).shown() == "2,000 (1,000 to 3,000)"
    assert Range.of([0.5]).shown(".2f") == "0.50"


def test_ratio_is_taken_within_each_repeat() -> None:
    """A machine that is slow for one repeat is slow for both: the ratio does not see it."""
    measured = Measured(
        [measurement(ROUTER, 2000, 1), measurement(NAIVE, 500, 1), measurement(ROUTER, 1000, 2),
         measurement(NAIVE, 250, 2), measurement(ROUTER, 999, 3)]
    )  # fmt: skip
    assert measured.ratio(ROUTER, NAIVE, 8, rate_per_s) == Range(4.0, 4.0, 4.0)
    assert measured.ratio(ROUTER, FLASK, 8, rate_per_s) is None


def test_targets_are_judged_by_the_median() -> None:
    """Reached and missed are told apart, and a contender that was not measured is no target."""
    found = targets(
        Measured(
            [measurement(ROUTER, 2000), measurement(NAIVE, 600), measurement(FLASK, 3000),
             measurement(ROUTER, 900, connections=1, p50_ms=1.4), measurement(DIRECT, 9000, connections=1, p50_ms=0.5)]
        )
    )  # fmt: skip
    assert [(one.figure, one.reached) for one in found] == [("3.3", False), ("0.67", True), ("0.90", True)]


def test_markdown_of_a_run_holds_machine_rates_targets_and_who_was_skipped(tmp_path: Path) -> None:
    """The tables come from the records alone, so any run can be told again."""
    folder = RunFolder.make(tmp_path / "run")
    folder.note_skipped("ray serve", "ray is not installed")
    for one in (measurement(ROUTER, 2000), measurement(NAIVE, 400)):
        folder.add(one)
    folder.add_target(Target("memory", "+0.10 MiB", "flat", True, "python -m benchmarks memory"))
    folder.add_way("requests.Session", 1, 1500.0)
    text = report.markdown(RunFolder(tmp_path / "run"))
    assert "| requests.Session | 1,500 |" in text
    assert "| router |  | 2,000 |" in text
    assert "| naive |  | 5.0 |  |" in text
    assert "Not measured in this run: ray serve: ray is not installed." in text
    assert "| memory | +0.10 MiB | flat | yes | `python -m benchmarks memory` |" in text
    assert "| 5.0 | at least 4 | yes |" in text
    assert "cores" in text


def test_report_replaces_the_generated_part_and_nothing_else(tmp_path: Path) -> None:
    """What people wrote around the tables stays; a document without the marks is left alone."""
    document = tmp_path / "performance.md"
    begin = f"{documents.BEGIN}python -m benchmarks report -->"
    document.write_text(f"before\n{begin}\nold\n{documents.END}\nafter\n")
    documents.replace_generated(document, "new")
    assert document.read_text() == f"before\n{begin}\n\nnew\n{documents.END}\nafter\n"
    document.write_text("nothing")
    with pytest.raises(UsageError, match="marks"):
        documents.replace_generated(document, "new")


def test_writes_in_a_second_counts_the_fullest_window() -> None:
    """The limit holds in any second, not on average."""
    watch = WriteWatch(Path(__file__))
    watch.moments_s = [0.0, 0.9, 1.5, 1.6, 1.7, 5.0]
    assert watch.most_in_a_second() == 4


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_has_an_example_in_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command shows one that can be typed."""
    assert_has_help(main, name, "-m benchmarks", capsys, monkeypatch)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no command: give throughput or "),
        (["fast"], "unknown command 'fast'"),
        (["throughput", "--contenders", "nginx"], "--contenders: 'nginx': give some of direct, haproxy"),
        (["throughput", "--connections", "2"], "--connections: '2': give some of 1, 8, 64"),
        (["memory", "--requests", "0"], "--requests: '0'"),
        (["report", "no-such-folder"], "no run of a benchmark stands there"),
    ],
)
def test_command_line_mistake_is_one_line_and_status_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bad value, where it stands, what is accepted; nothing is started."""
    assert_mistake(main, arguments, told, capsys)


def test_missing_program_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without wrk or HAProxy nothing is measured, and one line says how to get them."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["throughput"]) == 2
    assert capsys.readouterr().err.strip().endswith("install with: apt-get install wrk haproxy")
