"""Two runs side by side: what differs in the settings, and which differences of figures are called more than chance."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.blocking import report as blocking_report
from experiments.blocking.experiment import EXPERIMENT as BLOCKING
from experiments.diff import (
    Difference,
    JudgedFigure,
    figures_table,
    footnotes,
    judge_figures,
    notes,
    opening,
    settings_that_differ,
)
from experiments.experiment import Figure, read_finished
from experiments.failover.metrics import METRICS
from experiments.failover.report import figures
from experiments.failover.window_metrics import SECONDS
from experiments.results.statistics import RunStats, aggregate
from experiments.results.store import as_json
from experiments.theory.first_failure import Spread
from tests.command_lines import assert_mistake
from tests.harness.server_records import QUEUEING, SERVER
from tests.unit.experiments.blocking.test_blocking import simulated, write_run
from tests.unit.experiments.failover.hand_written import summary_of, write_folder

KEPT_RUNS = Path(__file__).resolve().parents[2] / "frozen" / "runs"
FORM_OF_LABEL = {metric.label.strip(): metric.form for metric in METRICS}
THEORY = Spread(21.2, 18.5, 23.4)


def figure(values: Sequence[float], theory: Spread | None = None, subject: str = "3active") -> Figure:
    """A figure with these values over the repeats."""
    stats = aggregate(values)
    assert stats is not None
    return Figure(subject, "RPS", 30, stats, theory, values=values)


def judge_one(a: Figure, b: Figure, margin_percent: float = 10.0) -> JudgedFigure:
    """The judgement of one figure alone."""
    [judged] = judge_figures({("", ""): a}, {("", ""): b}, margin_percent).values()
    return judged


def rows(a: list[Figure], b: list[Figure], unlike: str = "") -> list[list[str]]:
    """The cells of the table of figures, row by row."""
    in_a, in_b = ({(each.subject, each.name): each for each in side} for side in (a, b))
    columns = figures_table(in_a, in_b, judge_figures(in_a, in_b, 10.0), unlike).columns
    return [list(row) for row in zip(*(map(str, column.cells) for column in columns), strict=True)]


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        ([19.0, 19.1, 19.2, 19.3], [22.0, 22.1, 22.2, 22.3], "different"),
        ([19.0, 19.1, 19.2, 19.3], [20.0, 20.1, 20.2, 20.3], "equal"),
        ([19.0, 22.1, 19.2, 25.0], [20.0, 22.1, 18.2, 20.3], "not decided"),
        ([19.0, 19.1, 19.2], [22.0, 22.1, 22.2], "not decided"),
        ([0.0] * 5, [0.0] * 5, "equal"),
        ([19.0], [25.0], "not decided"),
    ],
)
def test_diff_judges_by_repeats(a: list[float], b: list[float], word: str) -> None:
    """Different and equal both need repeats: four of each for the one, three for the other; A and B are alike in it."""
    assert judge_one(figure(a), figure(b)).verdict == judge_one(figure(b), figure(a)).verdict == word


def test_diff_judges_by_a_figures_own_margin() -> None:
    """Where a figure has a margin, in its own unit, the relative one does not count."""
    a, b = figure([0.0, 1.0, 0.0, 1.0, 0.0]), figure([1.0, 0.0, 1.0, 0.0, 1.0])
    assert judge_one(a, b).verdict == "not decided"
    assert judge_one(replace(a, margin=1.5), replace(b, margin=1.5)).verdict == "equal"
    assert judge_one(figure([20.0] * 4), figure([21.0] * 4), margin_percent=2.0).verdict == "different"


def test_diff_holds_a_relative_margin_to_what_is_measured_at_all() -> None:
    """10 % of a small time, or of a few requests, is less than the rig can tell: nearer ones are equal."""
    a, b = figure([0.03, 0.04, 0.03, 0.04]), figure([0.07, 0.08, 0.07, 0.08])
    assert judge_one(a, b).verdict == "different"
    assert judge_one(replace(a, least_margin=0.1), replace(b, least_margin=0.1)).verdict == "equal"
    assert judge_one(replace(figure([20.0, 20.1] * 2), least_margin=0.1), figure([20.9, 21.0] * 2)).verdict == "equal"


def test_diff_of_failover_runs_has_the_least_margins_of_its_pairs(tmp_path: Path) -> None:
    """Every time is held to 0.1 s, delayed requests to the margin of lost ones; shares to nothing."""
    found = {each.name: each for each in figures(summary_of(write_folder(tmp_path / "run", {"2active": [0, 1]})))}
    times = [each.least_margin for name, each in found.items() if FORM_OF_LABEL.get(name) is SECONDS]
    assert len(times) > 5
    assert set(times) == {0.1}
    assert (found["Delayed per fault"].least_margin, found["delayed: crash"].least_margin) == (0.5, 0.5)
    assert found["Impact: capacity lost"].least_margin == 0.0


def test_diff_of_single_runs_goes_by_theory_and_says_so() -> None:
    """With too few repeats, how far single runs vary by theory is all there is: marked, and explained below."""
    near, far = (
        judge_one(figure([22.3], THEORY), figure([19.9], THEORY)),
        judge_one(figure([25.0], THEORY), figure([18.0], THEORY)),
    )
    assert (near.verdict, far.verdict) == ("not decided", "different")
    assert far.low == pytest.approx(-7 - 3.465, abs=0.01)
    assert rows([figure([25.0], THEORY)], [figure([18.0], THEORY)])[0][-1] == "different~"
    assert "".join(footnotes([], {("", ""): far})).startswith("~ Too few repeats")
    assert not any(note.startswith("~") for note in footnotes([], {("", ""): judge_one(figure([1.0]), figure([2.0]))}))


def test_diff_gives_b_less_a_with_its_sign() -> None:
    """Means, the difference with its direction, and its interval."""
    [row] = rows([figure([22.0, 22.2, 21.8, 22.1])], [figure([20.5, 20.3, 20.4, 20.6])])
    assert row == ["3active", "RPS", "22.0", "20.4", "-1.57", "-1.80, -1.35", "equal"]


def test_diff_shows_a_topology_of_one_run_in_one_line() -> None:
    """However many figures it has: none of them has a difference or a verdict."""
    alone = [replace(figure([5.0], subject="single"), name=name) for name in ("RPS", "users", "time")]
    both = [figure([22.0])]
    assert rows([*both, *alone], both)[1:] == [["single", "only in A", "-", "-", "-", "-", "-"]]
    assert [row[:2] for row in rows(both, [*alone, *both])] == [["3active", "RPS"], ["single", "only in B"]]


def test_diff_does_not_judge_what_it_has_no_repeats_of() -> None:
    """A median of several runs whose values are not given has no verdict."""
    bare = Figure("3active", "RPS", 30, RunStats(20.0, 19.0, 21.0, 5))
    assert rows([bare], [bare])[0][-3:] == ["-", "-", "-"]


def test_diff_of_single_runs_without_theory_says_once_that_they_decide_nothing() -> None:
    """No column of "not decided": a dash for each verdict, and one sentence below the table."""
    a, b = figure([19.0]), figure([25.0])
    assert rows([a], [b]) == [["3active", "RPS", "19.0", "25.0", "+6.00", "-", "-"]]
    few = {("", ""): judge_one(a, b)}
    assert [note for note in footnotes([], few) if "Too few repeats decide nothing" in note]
    assert list(footnotes([], {("", ""): judge_one(figure([19.0] * 3), figure([25.0] * 3))})) == []


def test_diff_of_many_figures_corrects_for_chance() -> None:
    """Twenty figures of equal runs: some are different by themselves in most diffs, hardly ever after correction."""
    rng, before, after = np.random.default_rng(37), 0, 0
    for _ in range(100):
        a, b = (
            {("3active", str(number)): figure(list(rng.normal(20, 2, 5))) for number in range(20)} for _ in range(2)
        )
        judged = judge_figures(a, b, margin_percent=0.1).values()
        before += any(each.p_value <= 0.05 for each in judged)
        after += any(each.verdict == "different" for each in judged)
    assert before >= 40
    assert after <= 10


def test_diff_says_what_many_figures_bring_by_chance() -> None:
    """How many would be different by chance, which are by themselves, and from how many repeats on any could be."""
    a = {("3active", str(number)): figure([19.0, 19.1, 19.2, 19.3, 19.4 + number / 10]) for number in range(20)}
    b = {**a, ("3active", "3"): figure([25.0, 25.1, 25.2, 25.3, 25.4])}
    told = list(notes(judge_figures(a, b, 10.0)))
    assert told[0].startswith("Of 20 figures that could differ, chance alone would make about 1 different")
    assert told[1] == "Different by themselves, not decided among so many: 3active: 3."
    assert told[2] == "Among so many figures repeats alone can show a difference from 6 of each on."
    constant = {("3active", str(number)): figure([1.0] * 5) for number in range(20)}
    assert list(notes(judge_figures(constant, constant, 10.0))) == [], "what never varies cannot differ by chance"


def test_diff_marks_verdicts_across_different_settings() -> None:
    """No verdict on runs that were not run alike stands without its mark."""
    [row] = rows([figure([22.0] * 4)], [figure([20.5] * 4)], "engine")
    assert row[-1] == "equal*"


def test_settings_that_differ_are_named_by_their_place() -> None:
    """Dotted names where nested; a topology that only one run has is not looked into; moments are left out."""
    a = {
        "topologies": [{"name": "single", "slots": 10}, {"name": "3active", "slots": 30}],
        "started_at": "1", "versions": {"flask": "3.1", "locust": "2"}, "repeats": 1,
    }  # fmt: skip
    b = {
        "topologies": [{"name": "2active", "slots": 30}, {"name": "3active", "slots": 20}],
        "started_at": "2", "versions": {"flask": "3.2", "locust": "2"}, "repeats": 3,
    }  # fmt: skip
    assert settings_that_differ(a, b) == [
        Difference("topologies", "single, 3active", "2active, 3active"),
        Difference("topologies.3active.slots", "30", "20"),
        Difference("versions.flask", "3.1", "3.2"),
        Difference("repeats", "1", "3"),
    ]


def test_preflights_of_one_server_are_no_other_setting() -> None:
    """Its figures are measured anew before each run; another file, command or capacity is another setting."""
    a = as_json({"server": SERVER})
    b = as_json({"server": replace(QUEUEING, file="fastapi.json", capacity=4)})
    assert settings_that_differ(a, b) == [Difference("server.capacity", "None", "4")]


def test_settings_that_only_shape_chance_leave_runs_alike() -> None:
    """More repeats or another seed of the same setting are no other setting; an engine is."""
    by_chance = [Difference("repeats", "1", "3"), Difference("seed", "1", "2")]
    assert opening([]) == "Settings, machine and versions are the same."
    assert opening(by_chance).startswith("A and B were run alike")
    assert list(footnotes(by_chance, {})) == []
    unlike = [*by_chance, Difference("engine", "flask", "haproxy"), Difference("service_time_s", "1", "0.5")]
    assert opening(unlike) == "A and B were not run alike. They differ in: engine, service_time_s."
    [told] = footnotes(unlike, {})
    assert told.startswith("* A verdict across different settings (engine, service_time_s)")


def test_diff_of_gaps_to_erlang_hardly_ever_calls_chance_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same system with another seed: the verdict rests on the interval of each point."""
    points = {seed: simulated(10, 62.0, arrivals=300, seed=seed) for seed in range(12)}
    verdicts = []
    for seed, records in points.items():
        (tmp_path / str(seed)).mkdir()
        write_run(tmp_path / str(seed), [records])
        if seed:
            assert main(["diff", str(tmp_path / "0"), str(tmp_path / str(seed))]) == 0
            out = capsys.readouterr().out
            verdicts += [line.split()[-1] for line in out.splitlines() if line.startswith(" 10 slots")]
    assert {*verdicts} <= {"decided~", "different~"}
    assert verdicts.count("different~") <= 1, "of 11, at 5 %"


def test_diff_of_two_runs_prints_both_tables_in_80_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the records of two runs to the terminal; settings, figures, and what the last column means."""
    points = [simulated(10, 62.0), simulated(10, 62.0, seed=6)]
    for name, records in zip("ab", points, strict=True):
        (tmp_path / name).mkdir()
        write_run(tmp_path / name, [records])
    changed = json.loads((tmp_path / "b" / "settings.json").read_text()) | {"seed": 6, "service_time_s": 1.25}
    (tmp_path / "b" / "settings.json").write_text(json.dumps(changed))
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines() if line.startswith(" seed")] == [["seed", "1", "6"]]
    assert " gap to " in out
    first = out.splitlines()[3]
    assert first == "A and B were not run alike. They differ in: service_time_s."
    assert "across different settings (service_time_s)" in out
    assert "Different: chance alone" in " ".join(out.split())
    assert max(len(line) for line in out.splitlines()[2:]) <= 80


def test_routers_of_deployments_that_one_run_has_are_no_difference() -> None:
    """One of the same name in both is: by its version, its template."""
    nginx, envoy = ({"name": name, "version": "1"} for name in ("nginx", "envoy"))
    a = {"topologies": [{"name": "2active / nginx", "router": "nginx"}], "routers": [nginx]}
    b = {"topologies": [*a["topologies"], {"name": "2active / envoy", "router": "envoy"}], "routers": [nginx, envoy]}
    assert [each.name for each in settings_that_differ(a, b)] == ["topologies"]
    newer = {**b, "routers": [nginx | {"version": "2"}, envoy]}
    assert [each.name for each in settings_that_differ(a, newer)] == ["topologies", "routers.nginx.version"]


def test_diff_of_equal_runs_finds_no_settings_that_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same run twice: nothing differs."""
    write_run(tmp_path, [simulated(10, 62.0)])
    assert main(["diff", str(tmp_path), str(tmp_path)]) == 0
    assert "Settings, machine and versions are the same." in capsys.readouterr().out


@pytest.mark.usefixtures("no_answer")
def test_diff_of_failover_runs_sets_losses_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Requests lost per fault, of seven repeats each; a wider margin, given here, makes them equal."""
    folders = [
        str(write_folder(tmp_path / side, {"2active": [lost + repeat % 2 for repeat in range(7)]}))
        for side, lost in (("a", 0), ("b", 3))
    ]
    for margin, word in (([], "different"), (["--margin-percent", "500", "--margin-lost", "9"], "equal")):
        assert main(["diff", *folders, *margin]) == 0
        told = capsys.readouterr().out
        [lost] = [line.split() for line in told.splitlines() if "lost: crash" in line]
        assert lost[-6:] == ["0.43", "3.43", "+3.00", "+2.50,", "+3.50", word]


def test_diff_of_different_experiments_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures of different experiments mean different things."""
    for name in ("compare", "blocking"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text(json.dumps({"experiment": name}))
    arguments = ["diff", str(tmp_path / "compare"), str(tmp_path / "blocking")]
    assert_mistake(main, arguments, "is a run of 'compare' and", capsys)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (None, "no run stands there: it has no settings.json"),
        ("{", "not valid JSON"),
        ("[]", "experiment is '': accepted: compare, blocking, failover"),
        ('{"experiment": "dance"}', "experiment is 'dance': accepted: compare, blocking, failover"),
        ('{"experiment": "compare"}', "is missing; the record is damaged"),
    ],
)
def test_diff_of_what_is_no_run_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: str | None, told: str
) -> None:
    """The folder or file, what is wrong with it, one line, status 2."""
    if settings is not None:
        (tmp_path / "settings.json").write_text(settings)
    assert main(["diff", str(tmp_path), str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert str(tmp_path) in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["report", "diff"])
@pytest.mark.parametrize(
    ("run", "option", "told"),
    [
        ("compare", "--margin-slots", "--margin-slots: compare judges by no such margin: give --margin-percent"),
        ("compare", "--margin-lost", "--margin-lost: compare judges by no such margin"),
        ("blocking", "--margin-lost", "blocking judges by no such margin: give --margin-slots"),
        ("failover", "--margin-slots", "failover judges by no such margin: give --margin-availability, "),
    ],
)
def test_margin_that_an_experiment_does_not_judge_by_is_refused(
    command: str, run: str, option: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be ignored: the line names the margins that are not."""
    folders = [str(KEPT_RUNS / run)] * (2 if command == "diff" else 1)
    assert_mistake(main, [command, *folders, option, "3"], told, capsys)


@pytest.mark.parametrize(("command", "default"), [("report", "the run's"), ("diff", "A's"), ("failover", "0.25")])
def test_help_says_whose_margins_count_unless_given(
    command: str, default: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the records are no constants."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"in percentage points of availability (default: {default})" in told


def test_slots_apart_are_equal_within_the_margin_of_slots() -> None:
    """Two runs of topologies on one schedule: a tenth of a small difference is no margin."""
    settings, points = read_finished(BLOCKING, KEPT_RUNS / "blocking-topologies")
    apart = [each for each in blocking_report.figures(blocking_report.summarize(settings, points)) if
             each.name.startswith("slots apart")]  # fmt: skip
    assert [each.margin for each in apart] == [settings.margins.slots] * 2
