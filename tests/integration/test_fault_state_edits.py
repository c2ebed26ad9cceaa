"""The live topology file under the hands of others while the router runs on it: requests go on, the file recovers."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.harness.deployment import Deployment
from tests.harness.load import SERVICE_TIME_S
from tests.harness.measurements import record
from tests.harness.processes import ANY_PORTS, assert_mistake, run_router
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

JUNK = {
    "nothing": b"",
    "text": b"junk\n",
    "half": b'{"predict1": {"status": tr',
    "binary": bytes(range(256)) * 64,
    "other_json": b"[1, 2, 3]\n",
}


@pytest.fixture(scope="module")
def shared(shared_stage: Stage) -> Deployment:
    """One router for all tests that only change the file."""
    return shared_stage.deploy("3active", "--hold-down", "0.2", service_time_s=SERVICE_TIME_S)


def change_state(changed: Deployment) -> None:
    """Takes a predictor out and brings it back: the file must show both."""
    changed.stubs[0].go_down()
    wait_until(lambda: is_json(changed.path) and changed.statuses() == [False, True, True])
    changed.stubs[0].go_up()
    wait_until(lambda: changed.statuses() == [True, True, True])


def is_json(path: Path) -> bool:
    """Whether the file can be read as JSON now."""
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (OSError, ValueError):
        return False


def save_by_rename(path: Path) -> None:
    """Saves another plan as an editor does: a new file in the old one's place."""
    document = json.loads(path.read_bytes()) | {"predict9": {"status": True, "load": 0, "port": "1"}}
    edited = path.with_name("edited")
    edited.write_text(json.dumps(document))
    edited.rename(path)


EDITS: dict[str, Callable[[Path], object]] = {
    **{name: partial(Path.write_bytes, data=junk) for name, junk in JUNK.items()},
    "renamed": save_by_rename,
}


@pytest.mark.parametrize("name", EDITS)
def test_state_file_edited_while_running_is_replaced_and_kept_aside(shared: Deployment, name: str) -> None:
    """An edit, junk or not, harms no request; it is warned of once, set aside, and the plan in memory stands."""
    router, path = shared.router, shared.path
    told = len(router.errors().splitlines())
    with shared.load() as load:
        wait_until(lambda: len(load.answers) > 3)
        EDITS[name](path)
        wait_until(lambda: len(router.errors().splitlines()) > told)
        wait_until(lambda: is_json(path) and "predict9" not in json.loads(path.read_bytes()))
        change_state(shared)
    if name in JUNK:
        record(f"state file: junk ({name})", lost=len(load.lost()), of=len(load.answers), warnings=1)
    assert load.lost() == []
    assert len(router.errors().splitlines()) == told + 1
    assert "was changed while the router runs on it" in router.errors().splitlines()[-1]
    aside = path.with_name(f".{path.name}.edited").read_bytes()
    assert aside == JUNK[name] if name in JUNK else "predict9" in json.loads(aside)


def test_state_file_deleted_while_running_is_written_again(shared: Deployment) -> None:
    """A file that is removed comes back with the next change of state."""
    router, path = shared.router, shared.path
    with shared.load() as load:
        wait_until(lambda: len(load.answers) > 3)
        path.unlink()
        wait_until(lambda: is_json(path))
        change_state(shared)
    assert load.lost() == []
    assert "Traceback" not in router.errors()


def test_state_file_of_another_router_is_refused_with_its_holder(shared: Deployment) -> None:
    """A second router on the file, or on a link to it, ends with one line that names file and holder."""
    router, path = shared.router, shared.path
    wait_until(lambda: path.read_bytes() == shared.initial)
    link = path.with_name("other.json")
    link.symlink_to(path)
    with shared.load() as load:
        ended = [run_router("--topology", str(name), *ANY_PORTS) for name in (path, link)]
    for one in ended:
        assert_mistake(one, str(path), f"process {router.pid}", "stop")
    record("two routers, one file", exit_status=ended[0].returncode, lost=len(load.lost()), of=len(load.answers))
    assert load.lost() == []
    assert router.snapshot()["file"] == str(path)
    shared.wait_until_initial()
    link.unlink()
