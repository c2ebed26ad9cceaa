"""What every command line of the project owes its users."""

import contextlib
from collections.abc import Callable, Sequence

import pytest

WIDTH = 80
Main = Callable[[Sequence[str]], int]


def assert_mistake(main: Main, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Checks for a user's mistake: exit status 2, and one line on stderr; no usage block, no traceback."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def assert_helpful(text: str, command: str) -> None:
    """Checks for an example that can be typed, and for lines that fit."""
    assert "example" in text
    assert f"python {command}" in text.partition("example")[2]
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


def assert_has_help(
    main: Main, name: str, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks the help of the command of this name, or for no name the list of all; however wide the terminal is."""
    monkeypatch.setenv("COLUMNS", "200")
    with contextlib.suppress(SystemExit):
        assert main([*([name] if name else []), "--help"]) == 0
    assert_helpful(capsys.readouterr().out, f"{command} {name}".rstrip())
