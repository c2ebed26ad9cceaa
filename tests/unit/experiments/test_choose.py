"""`python -m experiments choose`: what it prints and leaves, and how it tells a mistake."""

import json
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.answer import costs
from tests.command_lines import assert_mistake

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def few_years(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here does not hang on how many."""
    monkeypatch.setattr(costs, "YEARS", 100)


def test_choose_json_is_one_object_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For programs: nothing else on standard output."""
    monkeypatch.chdir(tmp_path)
    assert (
        main(["choose", "--json", "--rate", "12", "--target", "99.9", "--service-time", "1", "--load-time", "30"]) == 0
    )
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert answer["sentence"].startswith("Take 4active: the cheapest that holds 99.9 % at 12 requests/s with one down")
    assert answer["inputs"]["load_time"] == {"value": 30.0, "unit": "s", "source": "given", "low": None, "high": None}
    assert answer["matters_most"] in answer["inputs"]
    assert list(tmp_path.iterdir()) == []


def test_choose_without_options_shows_the_posts_case_and_explains_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every input with its value and whose it is."""
    assert main(["choose", "--out", str(tmp_path / "run")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Take 3active: the cheapest that holds 99.9 % at 8.6 requests/s with one down" in printed
    assert "the greatest rate at failure in the post" in printed
    assert "Gartner" in printed
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"choose.html", "choose.json"}


def test_choose_writes_the_deployment_it_recommends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says how to measure it."""
    path = tmp_path / "mine.json"
    assert main(["choose", "--json", "--rate", "12", "--threshold", "7", "--write", str(path)]) == 0
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert f"python -m experiments failover --topologies {path} --rate 12 --service-time 1" in printed.err
    topology = json.loads(path.read_text(encoding="utf-8"))
    recommended = next(each for each in answer["sizes"] if each["deployment"] == answer["recommended"])
    assert len(topology) == recommended["predictors"]
    assert {entry["capacity"] for entry in topology.values()} == {7}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate", "0"], "argument --rate: '0'"),
        (["--target", "100"], "argument --target: '100'"),
        (["--rate", "900000"], "argument --target: 99.9: 1000 predictors refuse more than 0.1 % of 900000 requests/s"),
        (["--write", "mine.txt"], "argument --write: 'mine.txt': give a name that ends in .json"),
        (["no/such/run"], "no/such/run: no run stands there"),
        (["no/such/run", "--server", "fastapi"], "argument --server: no/such/run says what the server was"),
        (["--server", "no-such"], "unknown server 'no-such'"),
        (["--server", "fastapi", "--service-time", "1"], "argument --service-time"),
        (["--bogus"], "unrecognized arguments: --bogus"),
    ],
)
def test_choose_mistake_is_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The value, the place, the remedy; status 2."""
    assert_mistake(main, ["choose", *arguments], told, capsys)


def test_choose_run_of_another_experiment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A comparison has no faults."""
    run = ROOT / "tests" / "frozen" / "runs" / "compare"
    assert_mistake(main, ["choose", str(run)], "it is a run of compare: give one of failover", capsys)


@pytest.mark.parametrize(
    ("page", "arguments"),
    [
        ("README.md", []),
        ("docs/choosing.md", ["--rate", "12", "--target", "99.9", "--service-time", "1", "--load-time", "30"]),
    ],
)
def test_choose_prints_the_table_that_the_documentation_shows(
    page: str, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No figure of it is written by hand."""
    monkeypatch.undo()  # as many years as a user's
    assert main(["choose", "--markdown", *arguments]) == 0
    assert capsys.readouterr().out.strip() in (ROOT / page).read_text(encoding="utf-8")
