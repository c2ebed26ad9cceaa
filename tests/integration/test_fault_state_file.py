"""The live topology file under faults of its disk and its readers: requests go on, one warning, and it recovers.

What one write does is tested in tests/unit/routing/test_state_file_writing.py.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness.deployment import Deployment
from tests.harness.load import SERVICE_TIME_S
from tests.harness.measurements import record
from tests.harness.stage import Stage
from tests.harness.stubs import ports_of
from tests.harness.waiting import wait_until

PADDING_BYTES = 8192
LIMIT_BYTES = 4096
CANNOT = "cannot be written"
AGAIN = "can be written again"
LEAST_CHANGES = 24
TMPFS_KIB = 64

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's prlimit or mount")


def warnings(deployed: Deployment, text: str) -> int:
    """How many lines on stderr hold this text."""
    return sum(text in line for line in deployed.router.errors().splitlines())


def assert_survives(deployed: Deployment, name: str, begin: Callable[[], object], end: Callable[[], object]) -> None:
    """Checks that nobody notices: no request lost, one warning for all writes, and the file right after it."""
    with deployed.load() as load:
        wait_until(lambda: len(load.answers) > 6)
        initial_errors = deployed.router.errors()
        begin()
        wait_until(lambda: warnings(deployed, CANNOT) == 1)
        seen = len(load.answers)
        wait_until(lambda: len(load.answers) > seen + LEAST_CHANGES)
        assert warnings(deployed, AGAIN) == 0
        end()
        wait_until(lambda: warnings(deployed, AGAIN) == 1)
        deployed.stubs[0].go_down()
        wait_until(lambda: deployed.statuses() == [False, True, True])
        deployed.stubs[0].go_up()
        wait_until(lambda: deployed.statuses() == [True, True, True])
    told = warnings(deployed, CANNOT)
    record(f"state file: {name}", lost=len(load.lost()), of=len(load.answers), warnings=told)
    assert load.lost() == []
    assert all(answer.is_whole for answer in load.answers)
    assert told == 1
    assert initial_errors == ""
    assert "Traceback" not in deployed.router.errors()
    wait_until(lambda: deployed.loads() == [0, 0, 0])


def assert_restored(deployed: Deployment) -> None:
    """Checks that a polite stop leaves the file as it was, and nothing beside it."""
    path = deployed.path
    assert deployed.router.stop() == 0
    assert path.read_bytes() == deployed.initial
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def deploy(stage: Stage, *options: str, prefix: Sequence[str] = ()) -> Deployment:
    """Starts a router with a hold-down of 1 s before three actives."""
    return stage.deploy("3active", "--hold-down", "1", *options, service_time_s=SERVICE_TIME_S, prefix=prefix)


def deploy_padded(stage: Stage, folder: Path | None = None) -> Deployment:
    """The same on a topology file in this folder that has a long value of the user's own."""
    stubs = stage.stubs(3, SERVICE_TIME_S)
    path = padded(stage.topology("3active", ports_of(stubs), folder))
    return stage.deploy(path, "--hold-down", "1", stubs=stubs)


def padded(path: Path) -> Path:
    """Gives the topology file a long value of the user's own, so that it outgrows what the router prints."""
    document = json.loads(path.read_bytes())
    document["predict1"]["region"] = "x" * PADDING_BYTES
    path.write_text(json.dumps(document, indent=4))
    return path


@linux_only
def test_state_file_size_limit_reached_is_survived(stage: Stage) -> None:
    """RLIMIT_FSIZE below the file's size: requests unaffected, one warning, recovers when the limit is gone."""
    deployed = deploy_padded(stage)
    pid = deployed.router.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    def limit(most: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, before[1]))

    assert_survives(deployed, "RLIMIT_FSIZE", lambda: limit(LIMIT_BYTES), lambda: limit(before[0]))
    assert_restored(deployed)


@linux_only
def test_state_file_and_output_unwritable_are_survived(stage: Stage) -> None:
    """A disk that takes nothing, with the router's own output on it too: requests and failover go on."""
    deployed = deploy(stage)
    router, stub = deployed.router, deployed.stubs[0]
    before = resource.prlimit(router.pid, resource.RLIMIT_FSIZE)
    with deployed.load() as load:
        wait_until(lambda: len(load.answers) > 6)
        resource.prlimit(router.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        stub.go_down()
        wait_until(lambda: router.events("predict1") == ["ejected"])
        stub.go_up()
        wait_until(lambda: router.events("predict1") == ["ejected", "readmitted"])
        seen = len(load.answers)
        wait_until(lambda: len(load.answers) > seen + LEAST_CHANGES)
    resource.prlimit(router.pid, resource.RLIMIT_FSIZE, before)
    record("state file and output: RLIMIT_FSIZE 0", lost=len(load.lost()), of=len(load.answers))
    assert load.lost() == []
    assert router.stop() == 0


def test_state_file_folder_renamed_is_survived(stage: Stage) -> None:
    """The folder is gone for a while: requests unaffected, one warning, right again when it is back."""
    deployed = deploy(stage)
    folder, away = deployed.path.parent, deployed.path.parent.with_name("away")
    assert_survives(deployed, "folder renamed", lambda: folder.rename(away), lambda: away.rename(folder))
    deployed.wait_until_initial()
    assert_restored(deployed)


def test_state_file_folder_removed_is_survived(stage: Stage) -> None:
    """The folder is removed with all in it, and made anew: the router writes the file again."""
    deployed = deploy(stage)
    assert_survives(deployed, "folder removed", lambda: remove(deployed.path.parent), deployed.path.parent.mkdir)
    assert deployed.router.stop() == 0
    assert deployed.path.read_bytes() == deployed.initial


def remove(folder: Path) -> None:
    """Removes the folder, although the router writes into it."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for little; skips where nobody may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = mount("-t", "tmpfs", "-o", f"size={TMPFS_KIB}k", "tmpfs", str(place))
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def mount(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs mount, where there is one."""
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess([], 1, "", str(error))


def fill(place: Path) -> None:
    """Leaves no byte free, whatever the router does meanwhile."""
    with suppress(OSError), (place / "filler").open("ab", buffering=0) as filler:
        while True:
            filler.write(bytes(512))


@linux_only
def test_state_file_disk_full_is_survived(stage: Stage, small_disk: Path) -> None:
    """A full tmpfs: requests unaffected, one warning, recovers when there is room again."""
    deployed = deploy_padded(stage, small_disk)
    assert_survives(deployed, "full tmpfs", lambda: fill(small_disk), (small_disk / "filler").unlink)
    wait_until(lambda: deployed.router.stop() == 0)
    assert [found.name for found in small_disk.iterdir()] == [deployed.path.name]


@pytest.fixture
def unprivileged() -> list[str]:
    """What starts a program that folder permissions hold for: nothing, or for root one that takes the right away."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv to take that right away")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


def test_state_file_folder_read_only_is_survived(stage: Stage, unprivileged: list[str]) -> None:
    """A folder that the router may not write into, for a while."""
    deployed = deploy(stage, prefix=unprivileged)
    folder = deployed.path.parent
    assert_survives(deployed, "read-only folder", lambda: folder.chmod(0o555), lambda: folder.chmod(0o755))
    assert_restored(deployed)


def test_state_file_folder_read_only_from_the_start_is_survived(stage: Stage, unprivileged: list[str]) -> None:
    """A router that may never write its file says so at the start, and serves."""
    stubs = stage.stubs(3, SERVICE_TIME_S)
    path = stage.topology("3active", ports_of(stubs))
    path.parent.chmod(0o555)
    try:
        deployed = stage.deploy(path, stubs=stubs, prefix=unprivileged)
        with deployed.load() as load:
            wait_until(lambda: len(load.answers) > LEAST_CHANGES)
        assert load.lost() == []
        assert warnings(deployed, CANNOT) == 1
        assert len(deployed.router.errors().splitlines()) <= 2
        assert deployed.router.stop() == 0
    finally:
        path.parent.chmod(0o755)
