"""What several files here begin with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from routing.state_file import StateFile
from tests.unit.routing.dispatchers import Bench, MakeBench, Step
from tests.unit.routing.state_files import INITIAL, in_service


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A topology file in its initial state, written by hand, in a folder of its own."""
    path = tmp_path / "folder" / "mine.json"
    path.parent.mkdir()
    path.write_text(INITIAL)
    return path


@pytest.fixture
def warnings() -> list[str]:
    """What the router has warned of."""
    return []


@pytest.fixture
def state(path: Path, warnings: list[str]) -> Iterator[StateFile]:
    """The topology file as a router holds it, whose warnings go into `warnings`."""
    with in_service(path, warnings) as state:
        yield state


@pytest.fixture
def bench() -> Iterator[MakeBench]:
    """Makes benches; after the test every slot of each must be back and no request left in flight."""
    made: list[Bench] = []

    def make(*upstreams: Step | list[Step], **options: Any) -> Bench:
        made.append(Bench(*upstreams, **options))
        return made[-1]

    yield make
    gevent.sleep(0.005)  # what was told to stop may stop
    for one in made:
        assert one.loads() == [0] * len(one.upstreams)
        assert one.dispatcher.requests_in_flight() == 0
        assert all(upstream.ended == len(upstream.fresh) for upstream in one.upstreams.values())
