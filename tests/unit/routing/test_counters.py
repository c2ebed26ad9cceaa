"""Which refusal begins an episode, and which only goes on with one."""

from collections import Counter

from routing.counters import RefusalEpisodes

QUIET_S = 5.0


def episodes(*steps: tuple[float, str, int]) -> list[tuple[float, str]]:
    """When which episode began, where at each moment so many more requests were refused for that reason."""
    told, refused, found = RefusalEpisodes(QUIET_S), Counter[str](), list[tuple[float, str]]()
    for now, reason, more in steps:
        refused[reason] += more
        found += [(now, begun) for begun in told.begun(refused, now)]
    return found


def test_first_refusal_of_an_episode_is_told_once() -> None:
    """However many follow, and however long it goes on."""
    flood = [(float(second), "saturated", 200) for second in range(60)]
    assert episodes((0.0, "saturated", 0), *flood) == [(0.0, "saturated")]


def test_refusal_after_quiet_time_begins_another_episode() -> None:
    """Quiet counts from the last refusal, not from the first."""
    steps = [(0.0, "saturated", 1), (4.0, "saturated", 1), (8.9, "saturated", 1), (13.9, "saturated", 1)]
    assert episodes(*steps) == [(0.0, "saturated"), (13.9, "saturated")]


def test_each_reason_has_episodes_of_its_own() -> None:
    """Nobody up is news to whoever was told of saturation."""
    assert episodes((0.0, "saturated", 1), (1.0, "down", 1)) == [(0.0, "saturated"), (1.0, "down")]


def test_requests_that_failed_otherwise_begin_none() -> None:
    """A timeout or an unusable answer is no refusal."""
    assert episodes((0.0, "timeout", 3), (1.0, "bad_answer", 3)) == []
