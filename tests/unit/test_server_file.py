"""The server file: what it may hold, what is said of what it may not, and what its placeholders become."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from json_files import JsonFileError
from server_file import KEYS, OWN, PAYLOAD_LIMIT_BYTES, Place, Server, fill, find, read

PLACE = Place("predict1", "127.0.0.1", (9001, 9002, 9003))


def server(folder: Path, **document: Any) -> Server:
    """The server of a file with this document."""
    path = folder / "my-server.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return read(path)


def refusal(folder: Path, **document: Any) -> str:
    """What is told about a file with this document: one line that names the file."""
    with pytest.raises(JsonFileError) as caught:
        server(folder, **document)
    told = str(caught.value)
    assert told.startswith(str(folder / "my-server.json"))
    assert len(told.splitlines()) == 1
    return told


def test_read_defaults_are_those_of_the_rigs_own_predictor(tmp_path: Path) -> None:
    """Who gives a command only has a server that is asked and checked as the rig's own."""
    mine = server(tmp_path, command="serve --port {port}")
    assert mine.command == ("serve", "--port", "{port}")
    assert mine.cwd == tmp_path
    same = (
        "path",
        "health",
        "payload",
        "content_type",
        "headers",
        "env",
        "capacity",
        "ready_within_s",
        "hooks",
        "next",
    )
    assert [getattr(mine, name) for name in same] == [getattr(OWN, name) for name in same]


def test_read_command_is_split_as_a_shell_would_and_given_to_none(tmp_path: Path) -> None:
    """Quotes hold words together; what a shell would expand stays as it is."""
    assert server(tmp_path, command="serve 'a b' $HOME *.py '{\"x\": 1}'").command == (
        "serve", "a b", "$HOME", "*.py", '{"x": 1}'
    )  # fmt: skip
    assert server(tmp_path, command=["serve", "a b"]).command == ("serve", "a b")


def test_fill_replaces_placeholders_and_nothing_else() -> None:
    """Braces of JSON, and names that are no placeholder, stay."""
    text = '{name} {host}:{port} {port2} {port3} {port9} {"port": 1} {other} {{port}}'
    assert fill(text, PLACE.values()) == (
        'predict1 127.0.0.1:9001 9002 9003 {port9} {"port": 1} {other} {9001}'
    )  # fmt: skip


def test_ports_needed_is_the_highest_that_is_named(tmp_path: Path) -> None:
    """Wherever it is named; one at least."""
    assert server(tmp_path, command="serve").ports_needed == 1
    assert server(tmp_path, command="serve {port2}", env={"METRICS": "{port3}"}).ports_needed == 3


def test_payload_is_read_byte_for_byte(tmp_path: Path) -> None:
    """Whatever it holds; the name is relative to the server file's folder."""
    (tmp_path / "score.bin").write_bytes(b"\x00\xff\r\n{")
    assert server(tmp_path, payload="score.bin", content_type="image/png").payload == b"\x00\xff\r\n{"


PATHS = ["/", "/v1/models/t:predict", "/a%20b", "/s?x=1&y=a/b?c", "//x/y", "/a;b=c", "/-/healthz", "/a.b/..c", "/a//"]
NO_PATHS = [
    "",
    "a",
    "/a b",
    "/a%2fb",
    "/a%zz",
    "/s?x=[1]",
    "/s#f",
    "/a/../b",
    "/a/.",
    "/.?x=1",
    "/s?",
    '/a"',
    "/é",
    "/a\n",
]


@pytest.mark.parametrize("path", PATHS)
def test_path_is_one_that_every_client_sends_as_it_stands(tmp_path: Path, path: str) -> None:
    """Loads, router and health checks have clients of their own; they must not differ in what they ask."""
    assert server(tmp_path, path=path).path == path
    assert requests.Request("GET", f"http://127.0.0.1{path}").prepare().path_url == path


@pytest.mark.parametrize("path", NO_PATHS)
def test_path_that_a_client_would_write_otherwise_is_refused(tmp_path: Path, path: str) -> None:
    """What would be escaped, normalized or dropped on the way."""
    assert "path is" in refusal(tmp_path, path=path)


def test_header_values_come_from_the_environment_when_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's own text never holds them, nor does what was read of it."""
    monkeypatch.setenv("MY_KEY", "s3cret")
    mine = server(tmp_path, headers={"Authorization": "Bearer {env:MY_KEY}"})
    assert "s3cret" not in repr(mine)
    assert mine.header_values() == {"Authorization": "Bearer s3cret"}
    bare = server(tmp_path, headers={"X-Key": " {env:MY_KEY} "})
    assert bare.header_values() == {"X-Key": "s3cret"}  # else a client's error would show what it refuses to send
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(JsonFileError, match=r"my-server\.json: headers: Authorization: the variable MY_KEY is not set"):
        mine.header_values()
    monkeypatch.setenv("MY_KEY", "a\r\nX-Other: b")
    with pytest.raises(JsonFileError, match="MY_KEY holds what no header may"):
        mine.header_values()


@pytest.mark.parametrize("word", ['{"port": 1}', "{model}", "{print}", "${PORT}", "{port9}", "{}"])
def test_braces_that_are_no_misspelt_placeholder_stay(tmp_path: Path, word: str) -> None:
    """JSON, awk and the shell have braces, too."""
    assert server(tmp_path, command=["serve", word]).command == ("serve", word)


def test_next_is_the_server_with_another_command(tmp_path: Path) -> None:
    """What the fault `upgrade` starts differs in what it says, and in nothing else."""
    mine = server(tmp_path, command="serve 1", path="/score", next={"command": "serve 2"})
    assert mine.next is not None
    assert (mine.next.command, mine.next.path, mine.next.cwd) == (("serve", "2"), "/score", tmp_path)


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        ({"comand": "x"}, ["unknown key 'comand'", "did you mean 'command'?"]),
        ({"zzz": "x"}, ["unknown key 'zzz'", "known are command, path, health"]),
        ({"command": ""}, ['command is ""', "a list of words"]),
        ({"command": "serve 'a"}, ["command is", "No closing quotation"]),
        ({"command": "serve {prot}"}, ["command is", "({prot} is unknown: did you mean {port}?)"]),
        ({"hooks": {"crash": "docker kill {nmae}"}}, ["hooks is", "did you mean {name}?"]),
        ({"command": ["serve", 1]}, ["command is", "a list of words"]),
        ({"command": ["serve", "a\0b"]}, ["command is", "a list of words"]),
        ({"command": ["serve", "\ud800"]}, ["command is", "a list of words"]),
        ({"path": "score"}, ['path is "score"', "begins with /"]),
        ({"path": "/a b"}, ['path is "/a b"', "begins with /"]),
        ({"health": 1}, ["health is 1", "or null"]),
        ({"payload": "missing.json"}, ["payload 'missing.json'", "No such file", "relative to"]),
        ({"payload": 1}, ["payload is 1", "name of a file"]),
        ({"cwd": "missing"}, ['cwd is "missing"', "a folder that exists"]),
        ({"cwd": "long" * 100}, ["cwd is", "a folder that exists"]),
        ({"headers": {"A": "{env:MY-KEY}"}}, ["headers is", "{env:NAME}"]),
        ({"headers": {"X-A": "1", "x-a": "2"}}, ["headers is", "no header twice"]),
        ({"headers": {"Host": "x"}}, ["headers is", "without Host"]),
        ({"headers": {"content-type": "x/y"}}, ["headers is", "Content-Type", "content_type is a key"]),
        ({"headers": {"A": "x\r\ny"}}, ["headers is"]),
        ({"headers": ["A"]}, ["headers is", "an object"]),
        ({"env": {"A": 1}}, ["env is", "variable -> text"]),
        ({"env": {"A": "\ud800"}}, ["env is", "variable -> text"]),
        ({"capacity": 0}, ["capacity is 0", "1 or more"]),
        ({"capacity": 10**30}, ["capacity is 1000", "at most 1000000"]),
        ({"capacity": True}, ["capacity is true"]),
        ({"ready_within_s": 0}, ["ready_within_s is 0", "above 0 and at most 3600"]),
        ({"ready_within_s": 10**400}, ["ready_within_s is 1000", "at most 3600"]),
        ({"health_interval_s": "1"}, ['health_interval_s is "1"']),
        ({"hooks": {"krash": "x"}}, ["hooks: unknown key 'krash': did you mean 'crash'?"]),
        ({"hooks": {}}, ["hooks is {}", "start, stop, crash, hang, resume"]),
        ({"next": {"path": "/x"}}, ["next: unknown key 'path'"]),
        ({"next": 1}, ["next is 1"]),
    ],
)
def test_read_refuses_in_one_line(tmp_path: Path, document: dict[str, Any], parts: list[str]) -> None:
    """The value, the place and the remedy."""
    told = refusal(tmp_path, **document)
    assert [part for part in parts if part not in told] == []


def test_read_refuses_a_payload_larger_than_the_router_takes(tmp_path: Path) -> None:
    """The limit itself is taken."""
    (tmp_path / "big").write_bytes(bytes(PAYLOAD_LIMIT_BYTES))
    assert len(server(tmp_path, payload="big").payload or b"") == PAYLOAD_LIMIT_BYTES
    (tmp_path / "big").write_bytes(bytes(PAYLOAD_LIMIT_BYTES + 1))
    assert f"over {PAYLOAD_LIMIT_BYTES} bytes" in refusal(tmp_path, payload="big")


def test_read_refuses_a_payload_that_is_a_pipe(tmp_path: Path) -> None:
    """It would wait for who writes."""
    os.mkfifo(tmp_path / "pipe")
    assert "payload 'pipe': a pipe can be read once only" in refusal(tmp_path, payload="pipe")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(KEYS) | st.text(max_size=4),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_read_of_anything_gives_a_server_or_one_line(tmp_path: Path, document: dict[str, Any]) -> None:
    """Whatever stands there, no other error comes out."""
    path = tmp_path / "any.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    told = str(path)
    try:
        assert isinstance(read(path), Server)
    except JsonFileError as error:
        told = str(error)
    assert told.startswith(str(path))
    assert len(told.splitlines()) == 1


def test_find_takes_a_ready_made_name_or_a_path(tmp_path: Path) -> None:
    """A name with a slash is a path; what is neither is told with the names that there are."""
    (tmp_path / "mine.json").write_text("{}")
    assert find("mine", tmp_path) == find(str(tmp_path / "mine.json"), Path("/nowhere")) == tmp_path / "mine.json"
    for unknown in ("other", "a\0b", "a" * 300, "./mine", os.sep):
        with pytest.raises(JsonFileError, match="give one of mine, or the path of a JSON file"):
            find(unknown, tmp_path)
