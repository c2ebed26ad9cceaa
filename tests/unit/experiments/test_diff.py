"""Two runs side by side: what differs in the settings, and which differences of figures are called more than chance."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.diff import Difference, figures_table, footnote, judge, opening, settings_that_differ
from experiments.experiment import Figure
from experiments.results.statistics import RunStats
from experiments.theory.first_failure import Spread
from tests.command_lines import assert_mistake
from tests.unit.experiments.blocking.test_blocking import simulated, write_run
from tests.unit.experiments.failover.hand_written import write_folder

THEORY = Spread(21.2, 18.5, 23.4)


def figure(values: Sequence[float], theory: Spread | None = THEORY, subject: str = "3active") -> Figure:
    """A figure with these values over the repeats."""
    ordered = sorted(values)
    stats = RunStats(ordered[len(ordered) // 2], ordered[0], ordered[-1], len(ordered))
    return Figure(subject, "RPS", 30, stats, theory)


def rows(a: list[Figure], b: list[Figure]) -> list[list[str]]:
    """The cells of the table of figures, row by row."""
    columns = [list(map(str, column.cells)) for column in figures_table(a, b).columns]
    return [list(row) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize(
    ("a", "b", "theory", "word"),
    [
        ([22.3], [19.9], THEORY, "no"),
        ([25.0], [18.0], THEORY, "not decided"),
        ([19.0, 19.1, 19.2, 19.3], [20.0, 20.1, 20.2, 20.3], THEORY, "yes"),
        ([19.0, 19.1, 19.2, 19.3], [20.0, 20.1, 20.2, 20.3], None, "yes"),
        ([19.0, 20.1, 19.2], [20.0, 20.1, 20.2], None, "not decided"),
        ([19.0, 20.1, 19.2, 19.3], [20.0, 20.1, 20.2, 20.3], None, "no"),
    ],
)
def test_diff_calls_a_difference_only_where_it_is_more_than_chance(
    a: list[float], b: list[float], theory: Spread | None, word: str
) -> None:
    """The table's word follows the verdict on two topologies of equal slots."""
    [row] = rows([figure(a, theory)], [figure(b, theory)])
    assert row[-1] == word


def test_diff_gives_b_less_a_with_its_sign() -> None:
    """The difference says which way it went."""
    [row] = rows([figure([22.0])], [figure([20.5])])
    assert row == ["3active", "RPS", "22.0", "20.5", "-1.50", "no"]


def test_diff_shows_a_topology_of_one_run_in_one_line() -> None:
    """However many figures it has: none of them has a difference or a verdict."""
    alone = [replace(figure([5.0], subject="single"), name=name) for name in ("RPS", "users", "time")]
    both = [figure([22.0])]
    assert rows([*both, *alone], both)[1:] == [["single", "only in A", "-", "-", "-", "-"]]
    assert [row[:2] for row in rows(both, [*alone, *both])] == [["3active", "RPS"], ["single", "only in B"]]


def test_diff_at_unlike_settings_expects_what_theory_expects() -> None:
    """Equal slots at another pace: theory knows of the difference, so beyond chance it is one; repeats decide too."""
    faster = figure([40.0], theory=Spread(40.1, 37.0, 43.0))
    assert judge(figure([21.0]), faster) == "yes"
    assert judge(figure([21.0]), figure([40.0])) == "not decided"
    assert judge(figure([1.0], theory=None), figure([1.0])) == "not decided", "without theory for one of them"


def test_diff_judges_both_sides_alike() -> None:
    """Whichever run is called A, the verdict is the same."""
    a, b = figure([25.0]), figure([18.0])
    assert judge(a, b) == judge(b, a)


def test_diff_marks_verdicts_across_different_settings() -> None:
    """No verdict on runs that were not run alike stands without its mark."""
    table = figures_table([figure([22.0])], [figure([20.5])], "engine")
    assert list(table.columns[-1].cells) == ["no*"]
    assert str(table.columns[-1].header).endswith("chance*")
    assert str(table.title).endswith("of runs that were not run alike")


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


def test_settings_that_only_shape_chance_leave_runs_alike() -> None:
    """More repeats or another seed of the same setting are no other setting; an engine is."""
    by_chance = [Difference("repeats", "1", "3"), Difference("seed", "1", "2")]
    assert opening([]) == "Settings, machine and versions are the same."
    assert opening(by_chance).startswith("A and B were run alike")
    assert footnote(by_chance) == ""
    unlike = [*by_chance, Difference("engine", "flask", "haproxy"), Difference("service_time_s", "1", "0.5")]
    assert opening(unlike) == "A and B were not run alike. They differ in: engine, service_time_s."
    assert footnote(unlike).startswith("* A verdict across different settings (engine, service_time_s)")


def test_diff_of_gaps_to_erlang_never_calls_chance_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Theory expects the same gap, none, whatever the seed: points far apart are not decided, near ones no."""
    points = {seed: simulated(10, 62.0, arrivals=300, seed=seed) for seed in range(12)}
    verdicts = set()
    for seed, records in points.items():
        (tmp_path / str(seed)).mkdir()
        write_run(tmp_path / str(seed), [records])
        if seed:
            assert main(["diff", str(tmp_path / "0"), str(tmp_path / str(seed))]) == 0
            out = capsys.readouterr().out
            verdicts |= {line.split()[-1] for line in out.splitlines() if "gap to Erlang B" in line}
    assert verdicts <= {"no", "decided"}
    gaps = [Figure("10 slots", "gap", 10, RunStats(g, g, g, 1), Spread(0.0, -0.5, 0.5)) for g in (-1.0, 1.0)]
    assert judge(*gaps) == "not decided"


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
    assert "gap to Erlang B, %" in out
    first = out.splitlines()[3]
    assert first == "A and B were not run alike. They differ in: service_time_s."
    assert "across different settings (service_time_s)" in out
    assert "More than chance: yes where" in out
    assert max(len(line) for line in out.splitlines()[2:]) <= 80


def test_diff_of_equal_runs_finds_no_settings_that_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same run twice: nothing differs."""
    write_run(tmp_path, [simulated(10, 62.0)])
    assert main(["diff", str(tmp_path), str(tmp_path)]) == 0
    assert "Settings, machine and versions are the same." in capsys.readouterr().out


def test_diff_of_failover_runs_sets_losses_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The scorecard's figures and the requests lost per fault, of five repeats each."""
    folders = [write_folder(tmp_path / side, {"2active": [lost] * 5}) for side, lost in (("a", 0), ("b", 3))]
    assert main(["diff", *map(str, folders)]) == 0
    told = capsys.readouterr().out
    [lost] = [line.split() for line in told.splitlines() if "lost: crash" in line]
    assert lost[-4:] == ["0.00", "3.00", "+3.00", "yes"]
    [recovery] = [line.split() for line in told.splitlines() if "Disaster recovery" in line]
    assert recovery[-1] == "no"


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
