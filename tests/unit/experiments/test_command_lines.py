"""The command line: mistakes are one line with exit status 2 before anything is started."""

import json
from pathlib import Path

import pytest

from cli import UsageError
from experiments.__main__ import main
from experiments.compare.run import recent
from experiments.testbed.topologies import find_topology
from tests.command_lines import assert_mistake

TOPOLOGIES = Path(__file__).resolve().parents[3] / "topology"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no command: give compare or "),
        (["comprae"], "unknown command 'comprae': give compare or "),
        (["compare", "--repeats", "0"], "--repeats: '0': give a whole number"),
        (["compare", "--spawn-rate", "nan"], "--spawn-rate: 'nan': give users per second"),
        (["compare", "--spawn-rate", "-1"], "--spawn-rate: '-1'"),
        (["compare", "--service-time", "10"], "--service-time: '10': give seconds from 0"),
        (["compare", "--run-time", "soon"], "--run-time: 'soon'"),
        (["compare", "--users", "1.5"], "--users: '1.5'"),
        (["compare", "--threshold", "0"], "--threshold: '0'"),
        (["compare", "--engine", "haproxy"], "--engine: experiments choose by the router: give --router haproxy"),
        (["failover", "--engine"], "argument --engine: experiments choose by the router: give --router NAME"),
        (["compare", "--router", "ngnix"], "unknown router 'ngnix': did you mean 'nginx'? give one of "),
        (["compare", "--router", "flaks"], "the path of a JSON file; flask and haproxy are this project's"),
        (["compare", "--router", ","], "argument --router: no router is named"),
        (["compare", "--router", "flask,flask"], "argument --router: 'flask' stands there twice"),
        (["failover", "--router", "nginx", "--topologies", "2cold"], "--router: nginx: '2cold' has a cold standby"),
        (["failover", "--router", "nginx", "--hold-down", "3"], "--hold-down: nginx has none, this project's router"),
        (["failover", "--router", "nginx", "--until-decided"], "--until-decided: the claims are about this project's"),
        (["failover", "--router", "flask,haproxy", "--until-decided"], "--until-decided: the claims are about"),
        (["blocking", "--router", "flask,haproxy"], "--router: several are compared by topologies: give --topologies"),
        (["failover", "--faults", "flood"], "unknown fault 'flood': give none, crash"),
        (["failover", "--rate", "0"], "--rate: '0'"),
        (["failover", "--loads", "storm"], "unknown load 'storm': give calm, n+1"),
        (["failover", "--loads", "n+1", "--rate", "9"], "--rate: it sets the rate of calm"),
        (["failover", "--loads", "n+1", "--topologies", "single"], "no topology has a second predictor"),
        (["failover", "--service-time", "0"], "--service-time: 0: the load is reckoned from it"),
        (["failover", "--load-time", "-1"], "--load-time: '-1': give seconds from 0 to 600"),
        (["failover", "--margin-lost", "x"], "--margin-lost: 'x'"),
        (
            ["failover", "--until-decided", "--most-time", "soon"],
            "--most-time: 'soon' is not a time: give one like 15m",
        ),
        (["failover", "--most-time", "9m"], "--most-time: it bounds --until-decided"),
        (["failover", "--until-decided", "--repeats", "3"], "--repeats: --until-decided finds their number"),
        (["failover", "--until-decided", "--topologies", "single,2only"], "the claims are about 3active"),
        (["failover", "--until-decided", "--topologies", "3active"], "give these and another topology"),
        (["failover", "--window", "-1"], "--window: '-1'"),
        (["failover", "--topologies", "4active"], "unknown topology '4active'"),
        (["compare", "--no-such-option"], "--no-such-option"),
        (
            ["compare", "--topologies", "4active"],
            "unknown topology '4active': give 2active, 2cold, 2hosts, 2only, 2region, 3active, ",
        ),
        (["compare", "--topologies", ","], "no topology is named"),
        (["compare", "--topologies", "single,single"], "'single' stands there twice"),
        (["blocking", "--service-time", "0"], "--service-time: 0 makes more than"),
        (["blocking", "--service-time", "0.001"], "give 0.085 or more"),
        (["blocking", "--arrivals", "0"], "--arrivals: '0': give a whole number"),
        (["blocking", "--seed", "x"], "--seed: 'x'"),
        (["blocking", "--slots", "10"], "--slots"),
        (["diff", "a"], "B"),
        (["report"], "folder"),
        (["report", "no-such-folder"], "no-such-folder: no run stands there"),
    ],
)
def test_command_line_mistake_is_one_line_and_status_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bad value, where it stands, what is accepted; no usage block, no traceback."""
    assert_mistake(main, arguments, told, capsys)


def test_compare_into_a_folder_with_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Records of two comparisons are never mixed."""
    (tmp_path / "x").touch()
    assert main(["compare", "--out", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["single", "2active", "3active"])
def test_find_topology_reads_the_posts_files(name: str) -> None:
    """The three topologies are known by name."""
    topology = find_topology(name, TOPOLOGIES)
    assert topology.name == name
    assert set(topology.capacities(10).values()) == {10}


def test_find_topology_that_a_router_runs_on_is_as_planned(tmp_path: Path) -> None:
    """A standby that the running router has promoted is a standby by plan; a file that was edited since counts."""
    planned = {"a": {"status": True, "load": 0, "port": "1"}, "b": {"status": False, "load": 0, "port": "2"}}
    live = {"a": planned["a"] | {"status": False, "load": 3}, "b": planned["b"] | {"status": True}}
    (tmp_path / "mine.json").write_text(json.dumps(live))
    (tmp_path / ".mine.json.router").write_text(json.dumps({"pid": 1, "initial": json.dumps(planned)}))
    assert find_topology("mine", tmp_path).roles() == {"a": "active", "b": "standby"}
    (tmp_path / "mine.json").write_text(json.dumps(live | {"c": planned["a"]}))
    assert find_topology("mine", tmp_path).roles() == {"a": "standby", "b": "active", "c": "active"}


def test_find_topology_copy_has_new_addresses_and_keeps_the_rest(tmp_path: Path) -> None:
    """The copy is on other ports, of the same type, on the host where one is named, idle; all else stays."""
    mine = tmp_path / "mine.json"
    entries = {
        "predict1": {"status": True, "load": 4, "port": "9696", "capacity": 3, "region": "A"},
        "predict2": {"status": False, "load": 0, "port": 9697, "host": "127.0.0.2"},
    }
    mine.write_text(json.dumps(entries), encoding="utf-8")
    topology = find_topology(str(mine), TOPOLOGIES)
    copy = tmp_path / "topology" / "copy.json"
    topology.write_copy(copy, {"predict1": ("127.0.0.1", 20001), "predict2": ("192.0.2.1", 20002)})
    assert json.loads(copy.read_text()) == {
        "predict1": {"status": True, "load": 0, "port": "20001", "capacity": 3, "region": "A"},
        "predict2": {"status": False, "load": 0, "port": 20002, "host": "192.0.2.1"},
    }
    assert json.loads(mine.read_text()) == entries
    assert topology.capacities(10) == {"predict1": 3, "predict2": 10}
    assert topology.roles() == {"predict1": "active", "predict2": "standby"}
    assert topology.hosts() == {"predict2": "127.0.0.2"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "line 1 column 2: not valid JSON"),
        ("[]", "must be a JSON object"),
        ('{"predict1": {"load": 0, "port": "1"}}', "predict1: must have a status"),
        ('{"predict1": {"status": true, "port": "1", "capacity": 0}}', "capacity is 0"),
        ('{"predict1": {"status": true, "port": "1", "comand": "x"}}', "'comand': did you mean 'command'"),
        ('{"predict1": {"status": true, "port": "1", "host": "10.0.0.7"}}', "host is '10.0.0.7'"),
    ],
)
def test_find_topology_refuses_what_it_cannot_start(tmp_path: Path, text: str, told: str) -> None:
    """A file from which nothing can be started is named, with the reason, in one line."""
    path = tmp_path / "mine.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told) as raised:
        find_topology(str(path), TOPOLOGIES)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_recent_reads_whole_rows_of_the_last_seconds(tmp_path: Path) -> None:
    """Users and rate come from the end of the records; a row that is being written does not count."""
    path = tmp_path / "requests.csv"
    assert recent(path, 100.0) == (0, 0.0)
    rows = [f"{sent},1.0,GET,200,,predict1,{users}" for sent, users in ((80, 2), (95, 3), (97, 4), (98, 5))]
    path.write_text("sent_at_s,latency_s,method,status,reason,predictor,users\n" + "\n".join(rows) + "\n99.0,1")
    assert recent(path, 100.0) == (5, pytest.approx(3 / 5))
    path.write_text("run,sent_at_s,latency_s,users\n" + "1,90,1.0,7\n" * 20_000 + "1,97,1.0,8\n")
    assert recent(path, 100.0)[0] == 8, "by the columns' names, and from the end of a long file"
