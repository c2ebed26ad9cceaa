"""The topology file's schema: the shipped files, what is accepted, and what is told about what is not."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from json_files import JsonFileError
from routing.topology import DEFAULT_HOST, Entry, Role, Topology, find, parse, read
from server_file import Server

FOLDER = Path(__file__).resolve().parents[3] / "topology"
FILE = Path("/folder/mine.json")
THRESHOLD = 10
P1 = {"status": True, "load": 0, "port": "9696"}
P2 = {"status": True, "load": 0, "port": "9697"}
P3 = {"status": True, "load": 0, "port": "9698"}
POSTS_STATES = {
    "single": {"predict1": P1},
    "2active": {"predict1": P1, "predict2": P2, "predict3": {**P3, "status": False}},
    "3active": {"predict1": P1, "predict2": P2, "predict3": P3},
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text("ab1._- /\n", max_size=4) | st.sampled_from(["predict1", "predict2"])
KEYS = ["status", "load", "port", "host", "capacity", "region", "standby", "path", "health", "command"]
NEARLY = st.sampled_from([True, False, 0, 1, 9696, "9696", "0", "65536", "x", 10**30, -1, 1.5, ""]) | ANY_JSON
ENTRIES = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), NEARLY, max_size=6) | ANY_JSON


def file_of(**fields: object) -> str:
    """The text of a file of one good predictor with these fields besides, or instead."""
    return json.dumps({"predict1": {**P1, **fields}})


def one(**fields: Any) -> Topology:
    """A topology of one good predictor with these fields besides, or instead."""
    return parse(file_of(**fields), FILE, THRESHOLD)


def refusal(text: str) -> str:
    """What is told about a file with this text, which must be one line and name the file."""
    with pytest.raises(JsonFileError) as caught:
        parse(text, FILE, THRESHOLD)
    told = str(caught.value)
    assert told.startswith(str(FILE))
    assert len(told.splitlines()) == 1
    return told


# The shipped files


@pytest.mark.parametrize("name", POSTS_STATES)
def test_shipped_file_is_the_posts_initial_state(name: str) -> None:
    """Names, fields, values, types and their order are exactly the post's."""
    text = (FOLDER / f"{name}.json").read_text()
    assert json.dumps(json.loads(text)) == json.dumps(POSTS_STATES[name])


def test_shipped_files_are_the_posts_three_and_an_example_of_regions() -> None:
    """None of the post's topologies is missing; beside them stands one with two regions."""
    assert {file.stem for file in FOLDER.glob("*.json")} >= {*POSTS_STATES, "2region"}
    regions = {entry.name: entry.region for entry in read(FOLDER / "2region.json", 10).entries}
    assert regions == {"predict1": "A", "predict2": "A", "predict3": "B", "predict4": "B"}


def test_shipped_files_have_a_cold_standby_and_none_at_all() -> None:
    """What the post's two actives are with a standby that is started when it is wanted, and without one."""
    cold, only = (
        {e.name: e.kind_of_standby for e in read(FOLDER / f"{n}.json", 10).entries} for n in ("2cold", "2only")
    )
    assert cold == {"predict1": None, "predict2": None, "predict3": "cold"}
    assert only == {"predict1": None, "predict2": None}


def test_read_2active_gives_entries_in_file_order() -> None:
    """A file without optional keys: the threshold is everyone's capacity, this machine everyone's host."""
    topology = read(FOLDER / "2active.json", 7)
    assert topology.name == "2active"
    assert topology.entries == (
        Entry("predict1", "127.0.0.1", 9696, 7, Role.ACTIVE),
        Entry("predict2", "127.0.0.1", 9697, 7, Role.ACTIVE),
        Entry("predict3", "127.0.0.1", 9698, 7, Role.STANDBY),
    )
    assert topology.document == POSTS_STATES["2active"]


# What is accepted


@pytest.mark.parametrize("port", ["9696", 9696, 1, 65535, "1", "65535"])
def test_parse_port_text_or_number_is_the_same_port(port: object) -> None:
    """A port from 1 to 65535 may be text, as in the post, or a number; the document keeps which."""
    topology = one(port=port)
    assert topology.entries[0].port == int(str(port))
    assert topology.document["predict1"]["port"] == port


def test_parse_optional_keys_are_taken() -> None:
    """host, capacity and region of an entry go before the defaults."""
    entry = one(host="10.0.0.7", capacity=3, region="eu").entries[0]
    assert (entry.host, entry.capacity, entry.region) == ("10.0.0.7", 3, "eu")
    assert entry.authority == "10.0.0.7:9696"


def test_parse_without_optional_keys_takes_defaults() -> None:
    """Neither host nor capacity nor region nor load needs to stand there."""
    entry = parse('{"p": {"status": true, "port": 9696}}', FILE, 4).entries[0]
    assert entry == Entry("p", DEFAULT_HOST, 9696, 4, Role.ACTIVE, region=None)


def test_entry_authority_of_ipv6_host_has_brackets() -> None:
    """An IPv6 address stands in brackets in a URL (RFC 3986, 3.2.2)."""
    assert one(host="::1").entries[0].authority == "[::1]:9696"


def test_parse_standby_says_whether_it_is_cold() -> None:
    """A standby is warm unless its entry says "cold"; the warm ones are considered first, then in file order."""
    away = {"status": False}
    document = {"a": P1, "b": {**P2, **away, "standby": "cold"}, "c": {**P3, **away, "standby": "warm"}}
    topology = parse(json.dumps(document | {"d": {**P1, **away, "port": 1}}), FILE, THRESHOLD)
    assert [entry.kind_of_standby for entry in topology.entries] == [None, "cold", "warm", "warm"]
    assert [entry.name for entry in topology.backups] == ["c", "d", "b"]


def test_parse_entry_says_otherwise_than_the_server_file() -> None:
    """Path, health and capacity of an entry stand before those of the server, which stand before the threshold."""
    text = json.dumps({"a": {**P1, "path": "/score", "health": None, "capacity": 3}, "b": {**P1, "port": 1}})
    server = Server(path="/v1", health="/ok", capacity=7)
    entries = parse(text, FILE, THRESHOLD, server).entries
    assert [(e.server.path, e.server.health, e.capacity) for e in entries] == [("/score", None, 3), ("/v1", "/ok", 7)]
    assert [e.capacity for e in parse(text, FILE, THRESHOLD).entries] == [3, THRESHOLD]


@pytest.mark.parametrize(("key", "near"), [("heath", "health"), ("commnd", "command"), ("Capacity", "capacity")])
def test_parse_unknown_key_names_the_nearest_known_one(key: str, near: str) -> None:
    """Nothing that stands in a topology is ignored."""
    assert f"mine.json: predict1: unknown key '{key}': did you mean '{near}'?" in refusal(file_of(**{key: 1}))


def test_parse_same_port_on_other_hosts_is_accepted() -> None:
    """Two machines may use one port number."""
    text = json.dumps({"a": {**P1, "host": "10.0.0.1"}, "b": {**P1, "host": "10.0.0.2"}})
    assert [entry.host for entry in parse(text, FILE, THRESHOLD).entries] == ["10.0.0.1", "10.0.0.2"]


# What is refused


@pytest.mark.parametrize(
    ("fields", "place", "remedy"),
    [
        ({"status": "true"}, 'status is "true"', "true or false"),
        ({"status": 1}, "status is 1", "true or false"),
        ({"load": -1}, "load is -1", "a whole number, 0 or more"),
        ({"load": True}, "load is true", "a whole number, 0 or more"),
        ({"load": "0"}, 'load is "0"', "a whole number, 0 or more"),
        ({"load": 1.5}, "load is 1.5", "a whole number, 0 or more"),
        ({"capacity": 0}, "capacity is 0", "a whole number, 1 or more"),
        ({"capacity": None}, "capacity is null", "a whole number, 1 or more"),
        ({"port": 0}, "port is 0", "a port from 1 to 65535"),
        ({"port": "65536"}, 'port is "65536"', "a port from 1 to 65535"),
        ({"port": "http"}, 'port is "http"', "a port from 1 to 65535"),
        ({"port": "٩٦٩٦"}, "port is ", "a port from 1 to 65535"),
        ({"port": True}, "port is true", "a port from 1 to 65535"),
        ({"port": 9696.0}, "port is 9696.0", "a port from 1 to 65535"),
        ({"host": ""}, 'host is ""', "a host name or an IP address"),
        ({"host": "a/b"}, 'host is "a/b"', "a host name or an IP address"),
        ({"host": "a\nb"}, 'host is "a\\nb"', "a host name or an IP address"),
        ({"host": 7}, "host is 7", "a host name or an IP address"),
        ({"region": 7}, "region is 7", "a text"),
        ({"status": False, "standby": "hot"}, 'standby is "hot"', '"cold" or "warm"'),
        ({"status": False, "standby": None}, "standby is null", '"cold" or "warm"'),
    ],
)
def test_parse_wrong_value_tells_place_value_and_remedy(fields: dict[str, Any], place: str, remedy: str) -> None:
    """A wrong value is told in one line: file, predictor, key, value, and what is accepted."""
    told = refusal(file_of(**fields))
    assert f"{FILE}: predict1: {place}" in told
    assert f"give {remedy}" in told


BROKEN: list[tuple[list[str], list[str]]] = [
    (['{\n  "predict1" 7\n}'], [f"{FILE}, line 2 column 14: not valid JSON", "git checkout -- mine.json"]),
    (["", "{", '{"predict1": {"status": true'], ["not valid JSON", "git checkout -- mine.json"]),
    (['{"a": {"status": true, "port": 1}, "a": {"status": true, "port": 2}}'], ["the key 'a' stands twice"]),
    (['{"a": {"status": true, "port": 1, "status": false}}'], ["the key 'status' stands twice"]),
    (["[" * 100_000], ["nested too deep"]),
    (['{"a": {"status": true, "port": 1, "load": ' + "1" * 5000 + "}}"], ["git checkout"]),
    (["[]", "{}", "null", "3", '"predict1"'], ["must be a JSON object of predictors"]),
    (
        [f'{{"predict1": {entry}}}' for entry in ("[]", "null", "true", '"9696"')],
        ["predict1: must be an object with status, load, port"],
    ),
    (['{"predict1": {"port": "9696"}}'], ["predict1: status is missing: give "]),
    (['{"predict1": {"status": true, "load": 0}}'], ["predict1: port is missing: give "]),
    (
        [json.dumps({name: P1}) for name in ("", " ", "a b", "../a", "-a", "a\n", "ä", "a" * 65, "\ud800")],
        ["is not a predictor's name: letters, digits and . _ - only"],
    ),
    (
        [file_of(standby="cold"), file_of(standby="warm")],
        [f"{FILE}: predict1: standby is ", 'leave it out where "status" is true'],
    ),
    ([file_of(status=False)], ['no predictor is active: set "status": true for at least one']),
    (
        [json.dumps({"a": P1, "b": {**P1, "port": 9696, "host": "127.0.0.1"}})],
        ["b has a's port 9696: give each its own"],
    ),
]


@pytest.mark.parametrize(
    ("text", "parts"), [(text, parts) for texts, parts in BROKEN for text in texts], ids=lambda value: repr(value)[:40]
)
def test_parse_broken_file_is_told_with_the_place_and_the_remedy(text: str, parts: list[str]) -> None:
    """Whatever is wrong in a file is told in one line: what stands there, and how to mend or restore it."""
    told = refusal(text)
    assert [part for part in parts if part not in told] == []


def test_parse_long_value_is_told_short() -> None:
    """A huge value does not flood the terminal."""
    assert len(refusal(file_of(host="x" * 10_000))) < 200


# Reading and finding


def test_read_text_given_leaves_the_file_alone() -> None:
    """Text in place of the file's own is validated under the file's name."""
    assert read(FILE, THRESHOLD, json.dumps({"p": P1})).name == "mine"


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"\xff\xfe\x00", "it is not UTF-8 text")])
def test_read_missing_file_or_no_text_is_told(tmp_path: Path, content: bytes | None, said: str) -> None:
    """A file that is not there, or is not text, is named."""
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(JsonFileError, match=rf"mine\.json: cannot be read: {said}"):
        read(path, THRESHOLD)


@pytest.mark.parametrize("name", POSTS_STATES)
def test_find_name_gives_the_folders_file(name: str) -> None:
    """A known name stands for the file in the folder, as an absolute path."""
    assert find(name, FOLDER) == FOLDER / f"{name}.json"


def test_find_path_gives_that_file(tmp_path: Path) -> None:
    """A path stands for itself, links resolved, so that one file has one lock."""
    path = tmp_path / "mine.json"
    path.write_text("{}")
    link = tmp_path / "link.json"
    link.symlink_to(path)
    assert find(str(link), FOLDER) == path.resolve()


@pytest.mark.parametrize("name", ["4active", "", "/", ".", "../topology", "a\0b", "a" * 300])
def test_find_unknown_lists_the_known(name: str) -> None:
    """An unknown topology is named, and the known ones are listed."""
    with pytest.raises(JsonFileError) as caught:
        find(name, FOLDER)
    known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json")))
    assert str(caught.value).endswith(f"give one of {known}, or the path of a JSON file")
    assert repr(name) in str(caught.value)


# Whatever stands there


@st.composite
def damaged_files(draw: st.DrawFn) -> str:
    """A shipped file with a piece cut out or overwritten."""
    text = (FOLDER / "2active.json").read_text()
    start, length = draw(st.integers(0, 200)), draw(st.integers(0, 200))
    return text[:start] + draw(st.text('{}[]",:0123\n', max_size=3)) + text[start + length :]


NEARLY_RIGHT = st.dictionaries(NAMES, ENTRIES, min_size=1, max_size=3)
KINDS = {"text": st.text(), "json": ANY_JSON.map(json.dumps), "nearly right": NEARLY_RIGHT.map(json.dumps)}


@pytest.mark.parametrize("kind", [*KINDS, "damaged"])
@given(data=st.data())
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)  # busy or not
def test_parse_anything_gives_a_usable_topology_or_is_refused(kind: str, data: st.DataObject) -> None:
    """Whatever stands there: a usable topology comes out, or a JsonFileError of one line that names the file."""
    text = data.draw(KINDS.get(kind, damaged_files()))
    try:
        topology = parse(text, FILE, THRESHOLD)
    except JsonFileError:
        refusal(text)
    else:
        assert not all(entry.role.is_backup for entry in topology.entries)
        assert all(1 <= entry.port <= 65535 and entry.capacity >= 1 for entry in topology.entries)
