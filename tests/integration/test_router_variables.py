"""The two variables at the top of router.py: what they select, and what saving them does to the running router."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.processes import ANY_PORTS, START_DEADLINE_S, assert_mistake, run_router
from tests.harness.project import loads, side_files
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

SERVICE_TIME_S = 0.1
ROOM = 60  # slots enough that the stubs, which are threads of this process, may stand still for a second


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("topology = 3", ["router.py, line {line}: ", "topology", "0 (single), 1 (2active), 2 (3active)"]),
        ('node_threshold = "10"', ["router.py, line {line}: ", "node_threshold", "a whole number, 1 or more"]),
        ("topology_ = 0", ["router.py", "topology", "missing", "0 (single)"]),
    ],
    ids=["wrong_topology", "wrong_threshold", "missing"],
)
def test_command_wrong_or_missing_variable_is_told(stage: Stage, written: str, parts: list[str]) -> None:
    """What is wrong is told with its line and what is accepted. More of it: tests/unit/routing/test_variables.py."""
    tree = stage.tree([stage.reserve_port() for _ in range(3)])
    name = written.split()[0].rstrip("_")
    text = re.sub(rf"(?m)^{name} = .*", written, tree.script.read_text())
    tree.script.write_text(text)
    line = text.splitlines().index(written) + 1
    assert_mistake(run_router(*ANY_PORTS, tree=tree.root), *(part.format(line=line) for part in parts))


@pytest.mark.parametrize(("value", "name", "number"), [(0, "single", 1), (1, "2active", 3), (2, "3active", 3)])
def test_command_variable_selects_the_topology(stage: Stage, value: int, name: str, number: int) -> None:
    """0, 1 and 2 are single, 2active and 3active, as in the post; the command says which it serves."""
    deployed = stage.deploy_tree(topology=value)
    snapshot = deployed.router.snapshot()
    assert (snapshot["topology"], len(snapshot["predictors"])) == (name, number)
    assert snapshot["file"] == str(deployed.tree.topology(name))
    assert f"router: topology {name} " in deployed.router.output()


def test_variable_saved_under_load_changes_the_topology_and_back_without_a_loss(stage: Stage) -> None:
    """Saving another value of `topology` takes the running router there, and no request is lost on the way."""
    deployed = stage.deploy_tree(service_time_s=SERVICE_TIME_S, node_threshold=ROOM)
    two = deployed.tree.topology("2active")
    initial = two.read_bytes()
    with deployed.load(rate_per_s=30) as load:
        wait_until(lambda: load.answered_by("predict1"))
        deployed.save(topology=1)
        deployed.wait_for_topology("2active")
        there_at_s = time.monotonic()
        wait_until(lambda: load.answered_by("predict1", there_at_s) and load.answered_by("predict2", there_at_s))
        wait_until(lambda: deployed.path.read_bytes() == deployed.initial and max(loads(two)) > 0)
        deployed.save(topology=0)
        deployed.wait_for_topology("single")
        back_at_s = time.monotonic()
        wait_until(lambda: load.answered_by("predict1", back_at_s))
        wait_until(lambda: two.read_bytes() == initial)
    assert load.lost() == []
    assert load.answered_by("predict2", back_at_s) == []
    assert deployed.router.stop() == 0
    assert (deployed.path.read_bytes(), two.read_bytes()) == (deployed.initial, initial)
    assert side_files(two) == []


def test_variable_saved_with_requests_in_flight_counts_them_on_both_sides(stage: Stage) -> None:
    """The old topology ends its requests, and the new one gives their predictor only what room they leave."""
    deployed = stage.deploy_tree()
    two = deployed.tree.topology("2active")
    initial = two.read_bytes()
    deployed.stubs[0].holding = True
    sent = deployed.send(2)
    wait_until(lambda: deployed.loads() == [2])
    deployed.save(topology=1)
    deployed.wait_for_topology("2active")
    assert deployed.router.loads() == [2, 0, 0]
    assert {deployed.fetch(None).predictor for _ in range(3)} == {"predict2"}
    assert deployed.loads() == [2]
    deployed.release_held()
    assert {exchange.answer().status for exchange in sent} == {200}
    deployed.wait_until_initial()
    wait_until(lambda: two.read_bytes() == initial)
    assert deployed.router.loads() == [0, 0, 0]


def test_variable_saved_while_the_router_starts_is_followed(stage: Stage) -> None:
    """A value saved after the router has read the variables, and before it serves, does not escape it."""
    ports = [stage.reserve_port() for _ in range(3)]
    tree = stage.tree(ports)
    with socket.create_server(("127.0.0.1", ports[0])) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(START_DEADLINE_S)
        starting = pool.submit(stage.router, None, tree=tree.root)
        probe, _ = listener.accept()  # the first health check: the topology has been chosen
        tree.save(topology=1)
        probe.close()
        router = starting.result()
    wait_until(lambda: router.snapshot()["topology"] == "2active")


def test_variable_threshold_saved_under_load_counts_what_is_in_flight(stage: Stage) -> None:
    """Saving another `node_threshold` holds at once, for the requests in flight too."""
    deployed = stage.deploy_tree()
    router = deployed.router
    sent = deployed.hold(4)
    assert router.loads() == [4]
    deployed.save(node_threshold=5)
    wait_until(lambda: router.predictors("capacity") == [5])
    assert "router: node_threshold 5, was 10; topology single as before" in router.output()
    assert router.loads() == [4]
    sent += deployed.hold(1)
    assert deployed.fetch(None).refusal() == (503, "saturated")
    wait_until(lambda: deployed.loads() == [5])
    deployed.release_held()
    assert {exchange.answer().status for exchange in sent} == {200}
    deployed.wait_until_initial()
    deployed.save(topology=2, node_threshold=7)
    wait_until(lambda: "router: node_threshold 7, was 5; topology 3active, was single\n" in router.output())


def test_events_survive_a_change_of_topology_which_is_one_itself(stage: Stage) -> None:
    """What happened under the topology of before stays, with its times; then stands what changed into what."""
    deployed = stage.deploy_tree()
    deployed.router.order("predict1", "drain")
    deployed.router.order("predict1", "ready")
    before = deployed.router.snapshot()["events"]
    assert [event["event"] for event in before] == ["drained", "ready"]
    deployed.save(topology=2)
    deployed.wait_for_topology("3active")
    deployed.save(topology=2, node_threshold=7)
    wait_until(lambda: deployed.router.predictors("capacity") == [7] * 3)
    events = deployed.router.snapshot()["events"]
    assert events[:2] == before
    assert [(event["event"], event["predictor"], event["reason"]) for event in events[2:]] == [
        ("topology", "", "changed from single to 3active"),
        ("topology", "", "3active as before; node_threshold changed from 10 to 7"),
    ]
    times = [event["time"] for event in events]
    assert times == sorted(times)


def test_variable_that_the_command_line_overrules_is_told_and_changes_nothing(stage: Stage) -> None:
    """Who saves router.py and sees nothing happen is told why."""
    tree = stage.tree([stage.reserve_port() for _ in range(3)])
    router = stage.router(tree.topology("single"), tree=tree.root)
    tree.save(topology=1)
    wait_until(lambda: "which the command line's options overrule" in router.output())
    assert router.snapshot()["topology"] == "single"


@pytest.mark.parametrize("value", ["7", "single"])
def test_variable_saved_with_a_wrong_value_warns_and_changes_nothing(stage: Stage, value: str) -> None:
    """A wrong value is told with its line while the router goes on; the next right one is followed."""
    deployed = stage.deploy_tree(service_time_s=SERVICE_TIME_S, node_threshold=ROOM)
    router = deployed.router
    with deployed.load() as load:
        wait_until(lambda: load.answers)
        line = deployed.save(topology=value)
        warning = f"router: warning: router.py, line {line}: topology = {value} is not accepted"
        wait_until(lambda: warning in router.errors() and router.errors().endswith("\n"))
        told = router.errors()
        assert "0 (single), 1 (2active), 2 (3active)" in told
        assert router.snapshot()["topology"] == "single"
        number = len(load.answers)
        wait_until(lambda: len(load.answers) > number + 6)
        assert router.errors() == told  # one line, not one for every look
        deployed.save(topology=2)
        deployed.wait_for_topology("3active")
    assert load.lost() == []


def test_variable_saved_with_a_topology_that_is_taken_warns_and_changes_nothing(stage: Stage) -> None:
    """Where the other topology's file belongs to another router, this one stays on its own."""
    deployed = stage.deploy_tree()
    other = stage.router(deployed.tree.topology("2active"), tree=deployed.tree.root)
    deployed.save(topology=1)
    wait_until(lambda: f"process {other.pid}" in deployed.router.errors())
    assert deployed.router.snapshot()["topology"] == "single"
    assert deployed.fetch(None).status == 200
