"""When the live file is written: soon, status at once, and never more often than the limit. Real greenlets."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from routing import state_writer
from routing.state_writer import LOAD_PERIOD_S, StateWriter

PATIENCE_S = 20.0
SOON_S = 0.1  # the most that a change of load may wait


class Clock:
    """The monotonic clock; remembers what it told last."""

    def __init__(self) -> None:
        self.last_s = 0.0

    def monotonic(self) -> float:
        """Seconds, as time.monotonic gives them."""
        self.last_s = time.monotonic()
        return self.last_s


class Writes:
    """A writer whose writes are only noted, at the time that the pacing itself took for each."""

    def __init__(self, clock: Clock) -> None:
        self.times_s: list[float] = []
        self.during: Callable[[], object] = lambda: None
        self._clock = clock
        self.writer = StateWriter(self._note)

    def _note(self) -> None:
        self.times_s.append(self._clock.last_s)
        self.during()

    def change(self, what: str) -> None:
        """Tells the writer that the load, or a status, has changed."""
        {"load": self.writer.load_changed, "status": self.writer.status_changed}[what]()

    def gaps_s(self, apart: int) -> list[float]:
        """The times between each write and the one so many later."""
        return [later - earlier for earlier, later in zip(self.times_s, self.times_s[apart:], strict=False)]

    def wait_for(self, count: int) -> None:
        """Waits until so many have been made."""
        with gevent.Timeout(PATIENCE_S):
            while len(self.times_s) < count:
                gevent.sleep(0.002)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Writes]:
    """A started writer, stopped at the end."""
    clock = Clock()
    monkeypatch.setattr(state_writer, "time", clock)
    writes = Writes(clock)
    writes.writer.start()
    yield writes
    writes.writer.stop()


@contextmanager
def storm(*changes: Callable[[], None]) -> Iterator[None]:
    """Changes that come again and again, a thousand times a second, while the block runs."""

    def change_on() -> None:
        while True:
            for change in changes:
                change()
            gevent.sleep(0.001)

    stormy = [gevent.spawn(change_on) for _ in range(3)]
    try:
        yield
    finally:
        gevent.killall(stormy)


def test_state_writer_storm_of_changes_keeps_the_limit(writes: Writes) -> None:
    """However many changes of load and status come, no second has more than 20 writes."""
    with storm(writes.writer.load_changed, writes.writer.status_changed):
        writes.wait_for(20 + 5)
    gaps_s = writes.gaps_s(20)
    assert len(gaps_s) >= 5
    assert min(gaps_s) >= 1.0


def test_state_writer_load_changes_share_writes(writes: Writes) -> None:
    """Changes of load alone leave the load period between two writes, after one of status too: that finds room."""
    writes.writer.status_changed()
    writes.wait_for(1)
    with storm(writes.writer.load_changed):
        writes.wait_for(5)
    assert min(writes.gaps_s(1)) >= LOAD_PERIOD_S
    assert 1 / LOAD_PERIOD_S < 20


@pytest.mark.parametrize(
    ("first", "pending", "then", "within_s"),
    [
        ("load", "", "load", SOON_S),
        ("load", "", "status", LOAD_PERIOD_S / 2),
        ("status", "load", "status", LOAD_PERIOD_S / 2),
    ],
    ids=["load_soon", "status_at_once", "status_overtakes_load"],
)
def test_state_writer_change_right_after_a_write_is_written_in_time(
    writes: Writes, first: str, pending: str, then: str, within_s: float
) -> None:
    """A change of load is in the file within 100 ms; one of status at once, even while one of load waits."""

    def delay_s() -> float:
        made = len(writes.times_s)
        writes.change(first)
        writes.wait_for(made + 1)
        if pending:
            writes.change(pending)
            gevent.sleep(0.005)
        changed_s = time.monotonic()
        writes.change(then)
        writes.wait_for(made + 2)
        return writes.times_s[-1] - changed_s

    assert min(delay_s() for _ in range(3)) < within_s


def test_state_writer_changes_at_one_moment_share_one_write(writes: Writes) -> None:
    """A thousand changes at one moment are one write, and without changes there is none."""
    for _ in range(1000):
        writes.writer.load_changed()
    writes.wait_for(1)
    gevent.sleep(2 * LOAD_PERIOD_S)
    assert len(writes.times_s) == 1


def test_state_writer_change_during_a_write_is_written_after_it(writes: Writes) -> None:
    """What changes while a write is under way is not lost: another write follows."""

    def change_once() -> None:
        writes.during = lambda: None
        writes.writer.load_changed()

    writes.during = change_once
    writes.writer.load_changed()
    writes.wait_for(2)


def test_state_writer_stopped_writes_no_more(writes: Writes) -> None:
    """After the stop nothing is written."""
    writes.writer.status_changed()
    writes.wait_for(1)
    writes.writer.stop()
    writes.writer.status_changed()
    gevent.sleep(0.02)
    assert len(writes.times_s) == 1


def test_state_writer_stop_during_a_write_waits_for_its_end() -> None:
    """A write under way ends before the stop returns: a later one could overtake it and be overwritten."""
    seen = SimpleNamespace(begun=False, ended=False)

    def write_in_thread() -> None:
        seen.begun = True
        time.sleep(0.1)
        seen.ended = True

    writer = StateWriter(lambda: gevent.get_hub().threadpool.apply(write_in_thread))
    writer.start()
    writer.status_changed()
    with gevent.Timeout(PATIENCE_S):
        while not seen.begun:
            gevent.sleep(0.002)
    writer.stop()
    assert seen.ended


@pytest.mark.parametrize("change", ["load", "status"])
@pytest.mark.parametrize("turns", range(5))
def test_state_writer_stop_ends_at_any_moment_of_a_change(change: str, turns: int) -> None:
    """However many turns of the event loop after a change the stop comes, the writer ends: it is waited for."""
    writes = Writes(Clock())
    writes.writer.start()
    gevent.sleep(0.001)
    writes.change(change)
    for _ in range(turns):
        gevent.sleep(1e-6)  # woken by a timer, as those are with which the writer waits
    with gevent.Timeout(PATIENCE_S):
        writes.writer.stop()


def test_state_writer_stop_before_start_does_nothing() -> None:
    """A writer that was never started can be stopped."""
    StateWriter(lambda: None).stop()


def test_memory_is_written_to_its_end_though_who_asked_for_it_is_killed() -> None:
    """A stop kills the order's connection; the write under way must not overtake what the stop writes."""
    under_way, ended = Event(), Event()

    def remember() -> None:
        under_way.set()
        gevent.sleep(0.02)
        ended.set()

    writer = StateWriter(lambda: None, remember)
    asker = gevent.spawn(writer.remember_now)
    assert under_way.wait(PATIENCE_S)
    asker.kill()
    writer.stop()
    assert ended.is_set()
    under_way.clear()
    writer.remember_now()
    assert not under_way.is_set()
