"""The router file: what it may hold, and what is said of what it may not."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.testbed.routers.router_file import RouterFile, fill, find, read
from json_files import JsonFileError


def router(folder: Path, **document: Any) -> RouterFile:
    """The router of a file with this document, beside a template."""
    (folder / "mine.conf.j2").write_text("", encoding="utf-8")
    path = folder / "mine.json"
    keys = {"command": "mine {config}", "config": "mine.conf.j2"} | document
    path.write_text(json.dumps({key: value for key, value in keys.items() if value != ()}), encoding="utf-8")
    return read(path)


def refusal(folder: Path, **document: Any) -> str:
    """What is told about a file with this document: one line that names the file."""
    with pytest.raises(JsonFileError) as caught:
        router(folder, **document)
    told = str(caught.value)
    assert told.startswith(str(folder / "mine.json"))
    assert len(told.splitlines()) == 1
    return told.removeprefix(str(folder / "mine.json"))


def test_read_whole_file_is_what_it_says(tmp_path: Path) -> None:
    """Commands are split as a shell would; what is left out has its default."""
    mine = router(
        tmp_path, command="serve -g 'a b;' {config}", restart=["kick", "{pid}"], install="apt install mine",
        version="serve -v", health="/ready", env={"HOME": "{folder}"}, stop_within_s=3,
    )  # fmt: skip
    assert (mine.name, mine.command, mine.restart) == ("mine", ("serve", "-g", "a b;", "{config}"), ("kick", "{pid}"))
    assert (mine.config, mine.config_name) == (tmp_path.resolve() / "mine.conf.j2", "mine.conf")
    assert (mine.health, mine.version, mine.env) == ("/ready", ("serve", "-v"), {"HOME": "{folder}"})
    assert (mine.stop_within_s, mine.ready_within_s) == (3, 30)
    plain = router(tmp_path)
    assert (plain.health, plain.restart, plain.install, plain.version) == (None, None, "", ())


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"comand": "x"}, ": unknown key 'comand': did you mean 'command'? Known are "),
        ({"command": ()}, ": command is missing: give a list of words, or a text"),
        ({"config": ()}, ": config is missing: give the name of a Jinja2 template"),
        ({"command": ""}, ': command is "": give a list'),
        ({"command": "x 'y"}, ': command is "x \'y" (No closing quotation): give a list'),
        ({"command": ["x", 1]}, ': command is ["x", 1]: give a list'),
        ({"command": "x\0y"}, ": command is "),
        ({"command": "x {confg}"}, ": command: {confg} is unknown: did you mean {config}?"),
        ({"restart": "kill {PID}"}, ": restart: {PID} is unknown: did you mean {pid}?"),
        ({"env": {"HOME": "{foldr}"}}, ": env: {foldr} is unknown: did you mean {folder}?"),
        ({"env": {"A=B": "x"}}, ': env is {"A=B": "x"}: give an object'),
        ({"config": "other.j2"}, ': config is "other.j2": no such file in '),
        ({"config": 3}, ": config is 3: give the name"),
        ({"health": "ready"}, ': health is "ready": give a path'),
        ({"install": "a\nb"}, ': install is "a\\nb": give one line'),
        ({"ready_within_s": 0}, ": ready_within_s is 0: give seconds"),
        ({"ready_within_s": True}, ": ready_within_s is true: give seconds"),
        ({"stop_within_s": float("nan")}, ": stop_within_s is NaN: give seconds"),
    ],
)
def test_read_refuses_in_one_line(tmp_path: Path, document: dict[str, Any], told: str) -> None:
    """The bad value, its place, and what is accepted."""
    assert refusal(tmp_path, **document).startswith(told)


def test_find_unknown_name_names_the_nearest(tmp_path: Path) -> None:
    """A name is one of the folder's files, a path any file."""
    router(tmp_path)
    assert find("mine", tmp_path) == (tmp_path / "mine.json").resolve()
    assert find(str(tmp_path / "mine.json"), Path("/nowhere")) == (tmp_path / "mine.json").resolve()
    with pytest.raises(JsonFileError, match="unknown router 'mien': did you mean 'mine'"):
        find("mien", tmp_path)


def test_fill_replaces_placeholders_and_nothing_else() -> None:
    """Braces of a configuration language stay."""
    values = {"folder": "/f", "config": "/f/c", "port": "1"}
    assert fill("{folder} {config}:{port} {pid} ${config} {other} {'port': 2}", values) == (
        "/f /f/c:1 {pid} $/f/c {other} {'port': 2}"
    )  # fmt: skip
