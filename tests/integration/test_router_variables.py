"""The two variables at the top of router.py: what they select, and what saving them does to the running router."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.processes import (
    START_DEADLINE_S,
    Load,
    Stage,
    ask,
    assert_mistake,
    loads,
    run_router,
    side_files,
    wait_until,
)
from tests.harness.stubs import ports_of

ANY_PORTS = ("--port", "0", "--admin-port", "0")
SERVICE_TIME_S = 0.1


def set_variable(tree: Path, name: str, value: str) -> int:
    """Save router.py with another value, in place as an editor does; returns the line's number."""
    script = tree / "router.py"
    text = with_variable(script.read_text(), name, value)
    script.write_text(text)
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(f"{name} = "))


def with_variable(text: str, name: str, value: str) -> str:
    """Return router.py's text with another value."""
    text, replaced = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value}", text)
    assert replaced == 1
    return text


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("topology", "3", "0 (single), 1 (2active), 2 (3active)"),
        ("node_threshold", '"10"', "a whole number, 1 or more"),
    ],
)
def test_command_wrong_value_of_a_variable_is_told_with_its_line(
    stage: Stage, name: str, value: str, accepted: str
) -> None:
    """A wrong value in router.py is shown with its line and what is accepted. More of them: tests/test_variables.py."""
    tree = stage.tree([stage.reserve_port() for _ in range(3)])
    line = set_variable(tree, name, value)
    assert_mistake(run_router(*ANY_PORTS, tree=tree), f"router.py, line {line}: ", name, accepted)


def test_command_missing_variable_is_told_in_one_line(stage: Stage) -> None:
    """A variable that was deleted is missed by name."""
    tree = stage.tree([stage.reserve_port() for _ in range(3)])
    script = tree / "router.py"
    script.write_text(re.sub(r"(?m)^topology = .*\n", "", script.read_text()))
    assert_mistake(run_router(*ANY_PORTS, tree=tree), "router.py", "topology", "missing", "0 (single)")


@pytest.mark.parametrize(("value", "name", "number"), [("0", "single", 1), ("1", "2active", 3), ("2", "3active", 3)])
def test_command_variable_selects_the_topology(stage: Stage, value: str, name: str, number: int) -> None:
    """0, 1 and 2 are single, 2active and 3active, as in the post; the command says which it serves."""
    tree = stage.tree(ports_of(stage.stubs(3)))
    set_variable(tree, "topology", value)
    router = stage.router(None, tree=tree)
    picture = router.picture()
    assert (picture["topology"], len(picture["predictors"])) == (name, number)
    assert picture["file"] == str(tree / "topology" / f"{name}.json")
    assert f"router: topology {name} " in router.output()


def test_variable_saved_under_load_changes_the_topology_and_back_without_a_loss(stage: Stage) -> None:
    """Saving another value of `topology` takes the running router there, and no request is lost on the way."""
    stubs = stage.stubs(3, SERVICE_TIME_S)
    tree = stage.tree(ports_of(stubs))
    single, two = (tree / "topology" / f"{name}.json" for name in ("single", "2active"))
    initial = single.read_bytes(), two.read_bytes()
    router = stage.router(None, tree=tree)
    with Load(router.url, rate_per_s=30) as load:
        wait_until(lambda: load.answered_by("predict1"))
        set_variable(tree, "topology", "1")
        wait_until(lambda: router.picture()["topology"] == "2active")
        there_at_s = time.monotonic()
        wait_until(lambda: load.answered_by("predict1", there_at_s) and load.answered_by("predict2", there_at_s))
        wait_until(lambda: single.read_bytes() == initial[0] and max(loads(two)) > 0)
        set_variable(tree, "topology", "0")
        wait_until(lambda: router.picture()["topology"] == "single")
        back_at_s = time.monotonic()
        wait_until(lambda: load.answered_by("predict1", back_at_s))
        wait_until(lambda: two.read_bytes() == initial[1])
    assert load.lost() == []
    assert load.answered_by("predict2", back_at_s) == []
    assert router.stop() == 0
    assert (single.read_bytes(), two.read_bytes()) == initial
    assert side_files(single) == []


def test_variable_saved_with_requests_in_flight_counts_them_on_both_sides(stage: Stage) -> None:
    """The old topology ends its requests, and the new one gives their predictor only what room they leave."""
    stubs = stage.stubs(3)
    tree = stage.tree(ports_of(stubs))
    single, two = (tree / "topology" / f"{name}.json" for name in ("single", "2active"))
    initial = single.read_bytes(), two.read_bytes()
    router = stage.router(None, tree=tree)
    stubs[0].holding = True
    sent = stage.hold(router, 2)
    wait_until(lambda: loads(single) == [2])
    set_variable(tree, "topology", "1")
    wait_until(lambda: router.picture()["topology"] == "2active")
    assert router.loads() == [2, 0, 0]
    assert {ask(router.url).predictor for _ in range(3)} == {"predict2"}
    assert loads(single) == [2]
    stubs[0].let_go()
    assert {exchange.answer().status for exchange in sent} == {200}
    wait_until(lambda: (single.read_bytes(), two.read_bytes()) == initial)
    assert router.loads() == [0, 0, 0]


def test_variable_saved_while_the_router_starts_is_followed(stage: Stage) -> None:
    """A value saved after the router has read the variables, and before it serves, does not escape it."""
    ports = [stage.reserve_port() for _ in range(3)]
    tree = stage.tree(ports)
    with socket.create_server(("127.0.0.1", ports[0])) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(START_DEADLINE_S)
        starting = pool.submit(stage.router, None, tree=tree)
        probe, _ = listener.accept()  # the first health check: the topology has been chosen
        set_variable(tree, "topology", "1")
        probe.close()
        router = starting.result()
    wait_until(lambda: router.picture()["topology"] == "2active")


def test_variable_threshold_saved_under_load_counts_what_is_in_flight(stage: Stage) -> None:
    """Saving another `node_threshold` holds at once, for the requests in flight too."""
    stubs = stage.stubs(3)
    tree = stage.tree(ports_of(stubs))
    single = tree / "topology" / "single.json"
    initial = single.read_bytes()
    router = stage.router(None, tree=tree)
    stubs[0].holding = True
    sent = stage.hold(router, 4)
    wait_until(lambda: stubs[0].held == 4)
    assert router.loads() == [4]
    set_variable(tree, "node_threshold", "5")
    wait_until(lambda: router.predictors("capacity") == [5])
    assert "router: node_threshold 5, was 10; topology single as before" in router.output()
    assert router.loads() == [4]
    sent += stage.hold(router, 1)
    wait_until(lambda: stubs[0].held == 5)
    assert ask(router.url).json()["reason"] == "saturated"
    wait_until(lambda: loads(single) == [5])
    stubs[0].let_go()
    assert {exchange.answer().status for exchange in sent} == {200}
    wait_until(lambda: router.loads() == [0] and single.read_bytes() == initial)
    script = tree / "router.py"
    script.write_text(with_variable(with_variable(script.read_text(), "topology", "2"), "node_threshold", "7"))
    wait_until(lambda: "router: node_threshold 7, was 5; topology 3active, was single\n" in router.output())


def test_variable_that_the_command_line_overrules_is_told_and_changes_nothing(stage: Stage) -> None:
    """Who saves router.py and sees nothing happen is told why."""
    tree = stage.tree(ports_of(stage.stubs(3)))
    router = stage.router(tree / "topology" / "single.json", tree=tree)
    set_variable(tree, "topology", "1")
    wait_until(lambda: "which the command line's options overrule" in router.output())
    assert router.picture()["topology"] == "single"


@pytest.mark.parametrize("value", ["7", "single"])
def test_variable_saved_with_a_wrong_value_warns_and_changes_nothing(stage: Stage, value: str) -> None:
    """A wrong value is told with its line while the router goes on; the next right one is followed."""
    tree = stage.tree(ports_of(stage.stubs(3, SERVICE_TIME_S)))
    router = stage.router(None, tree=tree)
    with Load(router.url) as load:
        wait_until(lambda: load.answers)
        line = set_variable(tree, "topology", value)
        warning = f"router: warning: router.py, line {line}: topology = {value} is not accepted"
        wait_until(lambda: warning in router.errors() and router.errors().endswith("\n"))
        told = router.errors()
        assert "0 (single), 1 (2active), 2 (3active)" in told
        assert router.picture()["topology"] == "single"
        number = len(load.answers)
        wait_until(lambda: len(load.answers) > number + 6)
        assert router.errors() == told  # one line, not one for every look
        set_variable(tree, "topology", "2")
        wait_until(lambda: router.picture()["topology"] == "3active")
    assert load.lost() == []


def test_variable_saved_with_a_topology_that_is_taken_warns_and_changes_nothing(stage: Stage) -> None:
    """Where the other topology's file belongs to another router, this one stays on its own."""
    tree = stage.tree(ports_of(stage.stubs(3)))
    other = stage.router(tree / "topology" / "2active.json", tree=tree)
    router = stage.router(None, tree=tree)
    set_variable(tree, "topology", "1")
    wait_until(lambda: f"process {other.pid}" in router.errors())
    assert router.picture()["topology"] == "single"
    assert ask(router.url).status == 200
