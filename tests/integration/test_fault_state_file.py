"""The live topology file under faults of its disk and its readers: requests go on, one warning, and it recovers.

What one write does is tested in tests/test_state_file.py.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.harness.measurements import record
from tests.harness.processes import Load, Router, Stage, statuses, wait_until
from tests.harness.raw_http import Bench, RouterUnder, bench, is_whole
from tests.harness.stubs import StubPredictor, ports_of

PADDING_BYTES = 8192
LIMIT_BYTES = 4096
CANNOT = "cannot be written"
AGAIN = "can be written again"
LEAST_CHANGES = 24
TMPFS_KIB = 64

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's prlimit or mount")


class Faulty(NamedTuple):
    """A router with a fault at hand: what brings it about, and what ends it."""

    router: Router
    path: Path
    stubs: list[StubPredictor]
    begin: Callable[[], object]
    end: Callable[[], object]


def warnings(router: Router, text: str) -> int:
    """How many lines on stderr hold this text."""
    return sum(text in line for line in router.errors().splitlines())


def assert_survives(faulty: Faulty, name: str) -> None:
    """Check that nobody notices: no request lost, one warning for all writes, and the file right after it."""
    router, path, stubs, begin, end = faulty
    with Load(router.url) as load:
        wait_until(lambda: len(load.answers) > 6)
        initial_errors = router.errors()
        begin()
        wait_until(lambda: warnings(router, CANNOT) == 1)
        seen = len(load.answers)
        wait_until(lambda: len(load.answers) > seen + LEAST_CHANGES)
        assert warnings(router, AGAIN) == 0
        end()
        wait_until(lambda: warnings(router, AGAIN) == 1)
        stubs[0].go_down()
        wait_until(lambda: statuses(path) == [False, True, True])
        stubs[0].go_up()
        wait_until(lambda: statuses(path) == [True, True, True])
    told = warnings(router, CANNOT)
    record(f"state file: {name}", lost=len(load.lost()), of=len(load.answers), warnings=told)
    assert load.lost() == []
    assert all(is_whole(answer) for answer in load.answers)
    assert told == 1
    assert initial_errors == ""
    assert "Traceback" not in router.errors()
    wait_until(lambda: all(entry["load"] == 0 for entry in json.loads(path.read_bytes()).values()))


def assert_restored(router: Router, path: Path, initial: bytes) -> None:
    """Check that a polite stop leaves the file as it was, and nothing beside it."""
    assert router.stop() == 0
    assert path.read_bytes() == initial
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def padded(path: Path) -> bytes:
    """Give the topology file a long key of the user's own, so that it outgrows what the router prints."""
    document = json.loads(path.read_bytes())
    document["predict1"]["note"] = "x" * PADDING_BYTES
    path.write_text(json.dumps(document, indent=4))
    return path.read_bytes()


@linux_only
def test_state_file_size_limit_reached_is_survived(stage: Stage) -> None:
    """RLIMIT_FSIZE below the file's size: requests unaffected, one warning, recovers when the limit is gone."""
    stubs = stage.stubs(3, 0.2)
    path = stage.topology("3active", ports_of(stubs))
    initial = padded(path)
    router = stage.router(path, "--hold-down", "1")
    before = resource.prlimit(router.pid, resource.RLIMIT_FSIZE)

    def limit(most: int) -> None:
        resource.prlimit(router.pid, resource.RLIMIT_FSIZE, (most, before[1]))

    assert_survives(Faulty(router, path, stubs, lambda: limit(LIMIT_BYTES), lambda: limit(before[0])), "RLIMIT_FSIZE")
    assert_restored(router, path, initial)


@linux_only
def test_state_file_and_output_unwritable_are_survived(stage: Stage) -> None:
    """A disk that takes nothing, with the router's own output on it too: requests and failover go on."""
    router, _, stubs = bench(stage, "3active", "--hold-down", "1")
    before = resource.prlimit(router.pid, resource.RLIMIT_FSIZE)
    with Load(router.url) as load:
        wait_until(lambda: len(load.answers) > 6)
        resource.prlimit(router.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        stubs[0].go_down()
        wait_until(lambda: router.events("predict1") == ["ejected"])
        stubs[0].go_up()
        wait_until(lambda: router.events("predict1") == ["ejected", "readmitted"])
        seen = len(load.answers)
        wait_until(lambda: len(load.answers) > seen + LEAST_CHANGES)
    resource.prlimit(router.pid, resource.RLIMIT_FSIZE, before)
    record("state file and output: RLIMIT_FSIZE 0", lost=len(load.lost()), of=len(load.answers))
    assert load.lost() == []
    assert router.stop() == 0


def test_state_file_folder_renamed_is_survived(stage: Stage) -> None:
    """The folder is gone for a while: requests unaffected, one warning, right again when it is back."""
    router, path, stubs = bench(stage, "3active", "--hold-down", "1")
    initial, away = path.read_bytes(), path.parent.with_name("away")
    faulty = Faulty(router, path, stubs, lambda: path.parent.rename(away), lambda: away.rename(path.parent))
    assert_survives(faulty, "folder renamed")
    wait_until(lambda: path.read_bytes() == initial)
    assert_restored(router, path, initial)


def test_state_file_folder_removed_is_survived(stage: Stage) -> None:
    """The folder is removed with all in it, and made anew: the router writes the file again."""
    router, path, stubs = bench(stage, "3active", "--hold-down", "1")
    initial = path.read_bytes()
    faulty = Faulty(router, path, stubs, lambda: remove(path.parent), path.parent.mkdir)
    assert_survives(faulty, "folder removed")
    assert router.stop() == 0
    assert path.read_bytes() == initial


def remove(folder: Path) -> None:
    """Remove the folder, although the router writes into it."""
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
    """Run mount, where there is one."""
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess([], 1, "", str(error))


def fill(place: Path) -> None:
    """Leave no byte free, whatever the router does meanwhile."""
    with suppress(OSError), (place / "filler").open("ab", buffering=0) as filler:
        while True:
            filler.write(bytes(512))


def on_small_disk(stage: Stage, small_disk: Path) -> Bench:
    """Start a router whose topology file is on the small file system."""
    stubs = stage.stubs(3, 0.2)
    path = stage.topology("3active", ports_of(stubs), small_disk)
    padded(path)
    return Bench(stage.router(path, "--hold-down", "1"), path, stubs)


@linux_only
def test_state_file_disk_full_is_survived(stage: Stage, small_disk: Path) -> None:
    """A full tmpfs: requests unaffected, one warning, recovers when there is room again."""
    router, path, stubs = on_small_disk(stage, small_disk)
    filler = small_disk / "filler"
    assert_survives(Faulty(router, path, stubs, lambda: fill(small_disk), filler.unlink), "full tmpfs")
    wait_until(lambda: router.stop() == 0)
    assert [found.name for found in small_disk.iterdir()] == [path.name]


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
    stubs = stage.stubs(3, 0.2)
    path = stage.topology("3active", ports_of(stubs))
    initial = path.read_bytes()
    router = RouterUnder(stage, unprivileged, path, "--hold-down", "1")
    try:
        faulty = Faulty(router, path, stubs, lambda: path.parent.chmod(0o555), lambda: path.parent.chmod(0o755))
        assert_survives(faulty, "read-only folder")
        assert_restored(router, path, initial)
    finally:
        router.kill()


def test_state_file_folder_read_only_from_the_start_is_survived(stage: Stage, unprivileged: list[str]) -> None:
    """A router that may never write its file says so at the start, and serves."""
    stubs = stage.stubs(3, 0.2)
    path = stage.topology("3active", ports_of(stubs))
    path.parent.chmod(0o555)
    router = RouterUnder(stage, unprivileged, path)
    try:
        with Load(router.url) as load:
            wait_until(lambda: len(load.answers) > LEAST_CHANGES)
        assert load.lost() == []
        assert warnings(router, CANNOT) == 1
        assert len(router.errors().splitlines()) <= 2
        assert router.stop() == 0
    finally:
        path.parent.chmod(0o755)
        router.kill()
