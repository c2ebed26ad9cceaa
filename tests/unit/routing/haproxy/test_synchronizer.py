"""What HAProxy did, as the balancer hears it, and what HAProxy is then told."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from routing.balancer import Balancer
from routing.counters import Counters
from routing.haproxy.configuration import PROMOTABLE
from routing.haproxy.process import why_unsupported
from routing.haproxy.runtime import ServerStats, Stats
from routing.haproxy.synchronizer import Synchronizer
from routing.rotation import Found
from routing.topology import parse

ENTRIES = {"a": True, "b": True, "c": False}
FITTING = "HAProxy version 2.6.12-1\nOPTIONS = USE_PCRE2=1"


class Setting:
    """A synchronizer of two actives and a standby, whose HAProxy does what a test says."""

    def __init__(self, **of_the_standby: object) -> None:
        document: dict[str, dict[str, object]]
        document = {name: {"status": status, "port": 1 + n} for n, (name, status) in enumerate(ENTRIES.items())}
        document["c"] |= of_the_standby
        self.balancer = Balancer(parse(json.dumps(document), Path("own.json"), 2), 0.0, hold_down_s=5.0)
        self.counters = Counters(latency=None)
        self.synchronizer = Synchronizer(self.balancer, self.counters)
        self.servers = {name: ServerStats() for name in ENTRIES}
        self.refused = {"saturated": 0}

    def update(self, now: float, **changes: dict[str, object]) -> list[str]:
        """Lets the synchronizer see these figures changed; returns its orders."""
        for name, fields in changes.items():
            self.servers[name] = replace(self.servers[name], **fields)  # type: ignore[arg-type]
        self.synchronizer.update(Stats(dict(self.servers), dict(self.refused)), now)
        orders = self.synchronizer.commands(now)
        self.synchronizer.confirm()
        return orders

    def events(self) -> list[str]:
        """The balancer's events so far."""
        return [f"{event.event} {event.predictor}" for event in self.balancer.events]


@pytest.fixture
def setting() -> Setting:
    """A synchronizer as at the start."""
    return Setting()


GONE = {"up": False, "found": Found.NOTHING, "reason": "connection refused"}


@pytest.fixture
def cold() -> Setting:
    """The same, whose standby is cold and does not run."""
    setting = Setting(standby="cold")
    setting.update(0.5, c=GONE)
    return setting


def served(number: int) -> dict[str, int]:
    """Answers by class of status."""
    return {"2xx": number, "3xx": 0, "4xx": 0, "5xx": 0}


def test_synchronizer_with_nothing_new_orders_nothing(setting: Setting) -> None:
    """HAProxy starts as its configuration says, which is the balancer's plan."""
    assert setting.update(1.0) == []
    assert setting.events() == []


def test_synchronizer_active_down_promotes_the_standby(setting: Setting) -> None:
    """The failed one is out of rotation, and the standby's weight puts it into HAProxy's choice."""
    orders = setting.update(1.0, a={"up": False, "reason": "connection refused"})
    assert setting.events() == ["ejected a", "promoted c"]
    assert sorted(orders) == ["set server pool/a weight 0", "set server pool/c weight 1"]


def test_synchronizer_standby_that_was_given_a_request_is_promoted(setting: Setting) -> None:
    """HAProxy gave it one for want of room; roles and the file follow."""
    assert setting.update(1.0, c={"given": 1, "load": 1}) == ["set server pool/c weight 1"]
    assert setting.events() == ["promoted c"]
    assert setting.balancer.predictors["c"].load == 1


def test_synchronizer_standby_that_stepped_back_rests(setting: Setting) -> None:
    """For a hold-down it replaces failures only; what it got before HAProxy heard of that is no new need."""
    setting.update(1.0, c={"given": 1})
    assert setting.update(7.0) == ["set server pool/c weight 0", "set server pool/c.spare weight 2"]
    assert setting.update(7.1, c={"given": 2}) == []
    assert setting.update(13.0) == ["set server pool/c.spare weight 1"]
    assert setting.events() == ["promoted c", "demoted c"]


def test_synchronizer_orders_that_were_not_carried_out_are_given_again(setting: Setting) -> None:
    """HAProxy may not answer for a moment; nothing it has to know is forgotten."""
    setting.balancer.drain("b", 1.0)
    assert setting.synchronizer.commands(1.0) == setting.synchronizer.commands(1.1) != []


def test_synchronizer_new_process_starts_with_what_was_ordered(setting: Setting) -> None:
    """A drained predictor gets nothing from the first request on, its stand-in serves; later orders are told apart."""
    setting.balancer.drain("b", 1.0)
    assert setting.synchronizer.restart(1.0) == {"a": 1, "b": 0, "c": 1, "c.spare": 1}
    setting.balancer.drain("a", 1.1)
    assert setting.synchronizer.commands(1.1) == ["set server pool/a weight 0"]


def test_synchronizer_failures_in_a_row_while_others_serve_eject(setting: Setting) -> None:
    """Three failed answers in a row take a predictor out, and its health checks alone do not bring it back."""
    setting.update(1.0, a={"sent_again": 2}, b={"answers": served(2)})
    assert setting.events() == []
    orders = setting.update(1.1, a={"sent_again": 3}, b={"answers": served(3)})
    assert "set server pool/a weight 0" in orders
    assert setting.update(2.0) == []
    assert setting.update(7.0)[0] == "set server pool/a weight 1"


def test_synchronizer_answers_cut_short_in_a_row_eject_although_haproxy_counts_them_as_served(setting: Setting) -> None:
    """Three of them; a whole one in between ends the row; they are no answers served."""
    setting.update(1.0, a={"errors": 2, "answers": served(2)}, b={"answers": served(2)})
    setting.update(1.1, a={"errors": 2, "answers": served(3)}, b={"answers": served(3)})
    setting.update(1.2, a={"errors": 4, "answers": served(5)}, b={"answers": served(4)})
    assert setting.events() == []
    assert "set server pool/a weight 0" in setting.update(1.3, a={"errors": 5, "answers": served(6)}, b={})
    counted = setting.balancer.predictors["a"]
    assert (counted.served, counted.failed) == (1, 5)


def test_synchronizer_answers_cut_short_long_after_they_began_eject_too(setting: Setting) -> None:
    """Each is counted as it begins, and its error at a later look; what was served never becomes less."""
    told = []
    for number in range(1, 4):
        setting.update(float(number), a={"answers": served(number), "load": 1}, b={"answers": served(number)})
        told.append(setting.balancer.predictors["a"].served)
        orders = setting.update(number + 0.5, a={"errors": number, "load": 0})
        told.append(setting.balancer.predictors["a"].served)
    assert "set server pool/a weight 0" in orders
    assert told == sorted(told)
    assert told[-1] <= 1


def test_synchronizer_answer_that_is_whole_ends_a_row_of_those_cut_short(setting: Setting) -> None:
    """More have begun than can still be on their way."""
    setting.update(1.0, a={"errors": 2, "answers": served(2), "load": 1}, b={"answers": served(1)})
    setting.update(2.0, a={"answers": served(4), "load": 1}, b={"answers": served(2)})
    setting.update(3.0, a={"errors": 4, "answers": served(6)}, b={"answers": served(3)})
    assert setting.events() == []


def test_synchronizer_failures_of_all_alike_or_not_in_a_row_eject_nobody(setting: Setting) -> None:
    """A good answer ends a row; where nobody serves, it may be the requests' fault."""
    setting.update(1.0, a={"sent_again": 2}, b={"answers": served(1)})
    setting.update(1.1, a={"answers": served(1)})
    setting.update(1.2, a={"sent_again": 4}, b={"answers": served(2)})
    setting.update(1.3, a={"answers": served(2)})
    setting.update(1.4, a={"sent_again": 13}, b={"sent_again": 9})
    assert setting.events() == []


def test_synchronizer_busy_everywhere_promotes_the_standby(setting: Setting) -> None:
    """Each active said so at the load that it holds, which is no failure; it stays while they are half full by that."""
    assert setting.update(1.0, a={"load": 1, "busy": 2}, b={"load": 1}) == ["set server pool/a weight 0"]
    assert setting.events() == []
    assert "set server pool/c weight 1" in setting.update(1.1, b={"busy": 1})
    setting.update(7.0, b={"load": 1}, a={"load": 1})
    setting.update(7.1, b={"load": 0})
    assert setting.events() == ["promoted c"]
    setting.update(12.2)
    assert setting.events() == ["promoted c", "demoted c"]


def test_synchronizer_busy_one_gets_nothing_for_a_moment(setting: Setting) -> None:
    """HAProxy asks nobody else after 429: until its next good answer, or for a second, others get the requests."""
    assert setting.update(1.0, a={"load": 1, "busy": 1}) == ["set server pool/a weight 0"]
    assert setting.update(1.9) == []
    assert setting.update(2.0) == ["set server pool/a weight 1"]
    setting.update(2.1, a={"busy": 2})
    assert setting.update(2.2, a={"answers": served(1)}) == ["set server pool/a weight 1"]


def test_synchronizer_nothing_but_busy_for_the_hold_down_ejects(setting: Setting) -> None:
    """However quickly it says so, while others serve."""
    for number in range(1, 7):
        setting.update(float(number), a={"busy": number}, b={"answers": served(number)})
    assert setting.events() == ["ejected a", "promoted c"]


def test_synchronizer_counts_what_passed(setting: Setting) -> None:
    """Answers by class, refusals by reason, re-sends by the predictor that failed; also across two HAProxys."""
    setting.refused["saturated"] = 3
    setting.update(1.0, a={"answers": served(5), "resends": 1, "sent_again": 1})
    setting.synchronizer.restart(1.5)
    setting.refused["saturated"] = 1
    setting.update(2.0, a={"answers": served(2), "resends": 0, "sent_again": 0})
    assert setting.counters.answers == {("a", "2xx"): 7}
    assert setting.counters.resends == {"a": 1}
    assert setting.synchronizer.refused == setting.counters.refused == {"saturated": 4}
    assert (setting.balancer.predictors["a"].served, setting.balancer.predictors["a"].failed) == (7, 1)


def test_synchronizer_cold_standby_that_does_not_run_is_no_event(cold: Setting) -> None:
    """It is a plan, not a failure; HAProxy is told that it may do nothing, and has no other reason to use it."""
    assert cold.events() == []
    assert cold.balancer.predictors["c"].state == "cold"


def test_synchronizer_cold_standby_is_wanted_loads_and_serves(cold: Setting) -> None:
    """What HAProxy's checks find of its process is its state; when they pass, it is promoted at once."""
    cold.update(1.0, a=GONE)
    assert cold.balancer.predictors["c"].state == "wanted"
    cold.update(2.0, c={"found": Found.LOADING})
    assert cold.balancer.predictors["c"].state == "loading"
    cold.update(3.0, c={"found": Found.SILENT, "rising": True})
    assert cold.balancer.predictors["c"].state == "loading"
    assert "set server pool/c weight 1" in cold.update(3.1, c={"up": True, "rising": False})
    assert cold.events() == ["ejected a", "wanted c", "started c", "promoted c"]


def test_synchronizer_refusals_have_a_cold_standby_wanted_for_the_hold_down(cold: Setting) -> None:
    """HAProxy refused for want of room, though that was over when it was asked."""
    cold.refused["saturated"] = 2
    cold.update(10.0)
    cold.update(14.9)
    assert cold.balancer.predictors["c"].state == "wanted"
    cold.update(15.0)
    assert cold.events() == ["wanted c", "unwanted c"]


@pytest.mark.parametrize(
    ("description", "fault"),
    [
        (FITTING, None),
        (FITTING.replace("2.6.12", "3.2.0"), None),
        (FITTING.replace("2.6.12", "2.4.22"), "is version 2.4.22-1"),
        (FITTING.replace("2.6.12", "1.8.0"), "is version 1.8.0-1"),
        (FITTING.replace("USE_PCRE2=1", ""), "was built without PCRE2 or PCRE"),
        ("nginx 1.0", "does not say its version"),
    ],
)
def test_program_that_does_not_fit_is_named(description: str, fault: str | None) -> None:
    """2.6 or newer, with what the configuration needs."""
    assert why_unsupported(description) == fault


def test_synchronizer_moves_what_waits_on_who_is_down_as_far_as_others_have_slots(setting: Setting) -> None:
    """A standby that takes its place has slots too; who is up, or drained, keeps its requests."""
    setting.update(1.0, a={"load": 2, "given": 2}, b={"load": 1, "given": 1})
    assert setting.synchronizer.movable() == {}
    setting.balancer.drain("b", 1.5)
    setting.update(2.0)
    assert setting.synchronizer.movable() == {}
    setting.update(3.0, a={"up": False})
    assert setting.events()[-1] == "ejected a"
    assert setting.synchronizer.movable() == {"a": 2}
    setting.update(4.0, c={"load": 1, "given": 1})
    assert setting.synchronizer.movable() == {"a": 1}
    setting.update(5.0, c={"load": 2, "given": 2})
    assert setting.synchronizer.movable() == {}


def test_synchronizer_that_follows_another_counts_what_came_since_and_keeps_its_orders(setting: Setting) -> None:
    """What the other one counted is not counted again; a weight that it set is changed where it must be another."""
    setting.update(1.0, a={"load": 2, "given": 7, "answers": served(5)})
    told = json.loads(json.dumps(setting.synchronizer.counted.remember()))
    following = Setting()
    following.synchronizer.resume(Stats.recall(told, ENTRIES), {"a": 0, "b": 1, "c": 0, "c.spare": PROMOTABLE})
    orders = following.update(2.0, a={"load": 1, "given": 8, "answers": served(7)})
    assert orders == ["set server pool/a weight 1"]
    a = following.balancer.predictors["a"]
    assert (a.served, a.load, following.counters.answers["a", "2xx"]) == (2, 1, 2)
    assert following.events() == []


def test_stats_recalled_from_what_cannot_be_read_are_those_of_a_new_haproxy() -> None:
    """Memory may be of another version."""
    new = Stats({name: ServerStats() for name in ENTRIES}, {})
    for told in (None, {"servers": 3, "refused": []}, {"servers": {"a": {"given": "7", "answers": {"2xx": None}}}}):
        assert Stats.recall(told, ENTRIES) == new
