"""The installer of the real model servers; no registry is asked here."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_lines import assert_has_help, assert_mistake
from tools import servers


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the requirements of one server, and a cache beside it."""
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / "requirements-tiny.txt").write_text("tiny==1.0\n", encoding="utf-8")
    monkeypatch.setattr(servers, "SERVERS", tmp_path / "servers")
    monkeypatch.setattr(servers, "LINKS", tmp_path / "servers" / ".env")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "servers"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the installer starts, none of which runs: each makes the folder that venv would."""
    commands: list[list[str]] = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(words)
        servers.environment("tiny").mkdir(parents=True, exist_ok=True)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def main(arguments: list[str]) -> int:
    """The program, with these arguments."""
    return servers.run_subcommand("tools.servers", servers.COMMANDS, arguments)


def test_install_makes_an_environment_and_the_link_that_the_file_names(
    folder: Path, started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """venv, then pip with the pinned versions; the link leads there, and where and how large is said."""
    assert main(["install", "tiny"]) == 0
    place = servers.environment("tiny")
    assert started[0] == [sys.executable, "-m", "venv", str(place)]
    assert started[1][-2:] == ["-r", str(folder / "requirements-tiny.txt")]
    assert (folder / ".env" / "tiny").resolve() == place.resolve()
    assert capsys.readouterr().out == f"tiny: 0 MiB in {place}\n"


def test_install_what_is_there_stays(started: list[list[str]]) -> None:
    """A whole environment is made once; the link is there again if it was lost."""
    servers.install("tiny")
    (servers.LINKS / "tiny").unlink()
    servers.install("tiny")
    assert len(started) == 2
    assert (servers.LINKS / "tiny").is_dir()


def test_install_other_versions_have_another_environment(folder: Path, started: list[list[str]]) -> None:
    """A changed pin is never served by what was installed before; the link goes over to the new one."""
    before = servers.install("tiny")
    (folder / "requirements-tiny.txt").write_text("tiny==1.1\n", encoding="utf-8")
    after = servers.install("tiny")
    assert before != after
    assert len(started) == 4
    assert (servers.LINKS / "tiny").resolve() == after.resolve()


def test_install_that_was_interrupted_is_begun_again(started: list[list[str]]) -> None:
    """A folder without the mark of a whole installation is no environment."""
    half = servers.environment("tiny")
    (half / "bin").mkdir(parents=True)
    servers.install("tiny")
    assert len(started) == 2
    assert not (half / "bin").exists()


def test_install_that_pip_cannot_do_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip has said why; the installer names the server and what ended how, and makes no link."""
    monkeypatch.setattr(subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, 3))
    assert main(["install", "tiny"]) == 1
    assert "tiny could not be installed" in capsys.readouterr().err
    assert not servers.LINKS.exists()


def test_install_unknown_name_is_refused_before_anything_starts(
    started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names what there is; nothing is installed, the known name beside it neither."""
    assert_mistake(main, ["install", "tiny", "tino"], "unknown server 'tino': give one of tiny", capsys)
    assert started == []


@pytest.mark.parametrize("name", ["", "install", "table"])
def test_help_has_an_example_and_fits(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command's help."""
    assert_has_help(main, name, "-m tools.servers", capsys, monkeypatch)
