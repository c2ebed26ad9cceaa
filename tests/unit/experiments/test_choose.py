"""`python -m experiments choose`: what it prints and leaves, and how it tells a mistake."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import choose
from experiments.__main__ import main
from experiments.answer.measured import Measured
from experiments.failover.experiment import make_parser as failover_parser
from tests.command_lines import assert_mistake
from tests.harness.server_records import QUEUEING, SERVER

pytestmark = pytest.mark.usefixtures("few_years")  # what is tested here does not hang on how many

ROOT = Path(__file__).resolve().parents[3]


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
        (
            ["--rate", "12"],
            "To measure it: python -m experiments failover --topologies '{path}' --rate 12 --service-time 1",
        ),
        (["--load-time", "30"], "--rate 8.6 --service-time 1 --load-time 30"),
        (
            ["--rate", "400"],
            "failover cannot measure it: argument --rate: '400': give requests per second, above 0 and at",
        ),
        (["--service-time", "10"], "failover cannot measure it: argument --service-time: '10': give seconds from 0 to"),
        (["--load-time", "1h"], "failover cannot measure it: argument --load-time: '3600': give seconds from 0 to 600"),
    ],
)
def test_choose_says_how_the_written_deployment_is_measured_or_why_it_is_not(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command can be pasted, whatever the path; what failover does not take is said in its own words."""
    path = tmp_path / "my [own] mine.json"
    assert main(["choose", "--json", *arguments, "--write", str(path)]) == 0
    printed = capsys.readouterr().err
    assert told.format(path=path) in printed
    _, _, command = printed.partition("To measure it: ")
    if command:
        own = failover_parser().parse_args(shlex.split(command)[4:])
        assert (own.topologies, own.rate) == ([str(path)], 12 if "12" in arguments else 8.6)


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("mine.json", "--rate 8.6 --server mine.json\n"),
        (None, "Its predictors are the run's servers: name them in its"),
    ],
)
def test_choose_deployment_of_a_run_of_a_server_is_measured_with_that_server(
    server: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with the rig's own predictors; where the run's topologies named several, theirs is to do so too."""
    monkeypatch.setattr(choose, "_measured", lambda *_: Measured("results/run", {}, server=server))
    assert main(["choose", "--json", "--write", str(tmp_path / "own.json")]) == 0
    assert told in capsys.readouterr().err


def test_preflight_gives_the_mean_and_of_a_server_that_queues_what_it_answered_per_second() -> None:
    """As a run's record of the same preflight does."""
    own = replace(QUEUEING, preflight=replace(QUEUEING.preflight, mean_s=0.26, answers_per_s=4.4))
    inputs = choose.of_preflight(own, "mine.json").inputs
    assert (inputs["service_time"].value, inputs["saturation"].value) == (0.26, 4.4)
    assert "saturation" not in choose.of_preflight(SERVER, "mine.json").inputs


def test_choose_page_and_written_topology_may_share_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is looked at before the file stands in it."""
    assert main(["choose", "--json", "--out", str(tmp_path), "--write", str(tmp_path / "mine.json")]) == 0
    assert {path.name for path in tmp_path.iterdir()} >= {"choose.html", "choose.json", "mine.json"}
    assert "Page: " in capsys.readouterr().err


@pytest.mark.parametrize("below", ["", "new"])
def test_choose_out_that_can_be_no_folder_is_told_before_the_answer(
    below: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed, measured or written in vain."""
    (tmp_path / "file").touch()
    out, topology = tmp_path / "file" / below, tmp_path / "mine.json"
    told = f"argument --out: {out}: {tmp_path / 'file'} is a file: give a new folder"
    assert_mistake(main, ["choose", "--out", str(out), "--write", str(topology)], told, capsys)
    assert not topology.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate", "0"], "argument --rate: '0'"),
        (["--target", "100"], "argument --target: '100'"),
        (["--rate", "900000"], "argument --target: 99.9: 1000 predictors refuse more than 0.1 % of 900000 requests/s"),
        (["--write", "mine.txt"], "argument --write: 'mine.txt': give a name that ends in .json"),
        (["--write", "a,b.json"], "argument --write: 'a,b.json': give a name without commas and outer spaces"),
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
