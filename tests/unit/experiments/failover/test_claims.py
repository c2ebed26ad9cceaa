"""The verdicts on what the post claims."""

import dataclasses

import pytest

from experiments.failover.claims import (
    CLAIMS,
    FAILS,
    HOLDS,
    NOT_DECIDED,
    TIE,
    Claim,
    describe,
    judge,
    judge_claims,
    too_few,
)
from experiments.failover.metrics import METRIC
from experiments.failover.pairs import PairVerdict
from experiments.theory.verdicts import Verdict
from tests.unit.experiments.failover.test_pairs import PAIR

CLAIM = Claim("3-active is best", "3active", ("availability",))
BOTH = Claim("3-active costs least", "3active", ("lost_per_fault", "delayed_per_fault"))
BETTER, WORSE, EQUAL, OPEN = Verdict.BETTER, Verdict.WORSE, Verdict.EQUAL, Verdict.NOT_DECIDED


def pair(verdict: Verdict, other: str = "2active", figure: str = "availability", more: int | None = 3) -> PairVerdict:
    """A verdict on 3active beside another."""
    return dataclasses.replace(
        PAIR, a="3active", b=other, figure=figure, verdict=verdict, difference=0.01, low=0.001, high=0.02,
        margin=0.0025, more_repeats=more if verdict is OPEN else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (BETTER, BETTER, HOLDS),
        (BETTER, WORSE, FAILS),
        (OPEN, WORSE, FAILS),
        (BETTER, EQUAL, TIE),
        (EQUAL, EQUAL, TIE),
        (OPEN, BETTER, NOT_DECIDED),
        (OPEN, EQUAL, NOT_DECIDED),
    ],
)
def test_claim_goes_by_the_verdicts_on_its_topology_and_every_other(
    first: Verdict, second: Verdict, verdict: str
) -> None:
    """Better than all holds, worse than one does not, equal to the best ties; one open pair leaves it open."""
    found = judge(CLAIM, "calm", [pair(first, "single"), pair(second, "2active")])
    assert found is not None
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("lost", "delayed", "verdict"),
    [
        (EQUAL, BETTER, HOLDS),
        (EQUAL, EQUAL, TIE),
        (BETTER, WORSE, FAILS),
        (BETTER, OPEN, NOT_DECIDED),
    ],
)
def test_claim_in_two_figures_needs_both(lost: Verdict, delayed: Verdict, verdict: str) -> None:
    """Better in one and not worse in the other is better; worse in one is worse."""
    pairs = [pair(lost, figure="lost_per_fault"), pair(delayed, figure="delayed_per_fault")]
    found = judge(BOTH, "calm", pairs)
    assert found is not None
    assert found.verdict == verdict
    assert judge(BOTH, "calm", pairs[:1]) is None, "one figure alone says nothing of both"


def test_claim_says_in_words_what_it_is_judged_by() -> None:
    """Equal within the margin, better by how much, and how many repeats more would do."""
    tie = judge(CLAIM, "calm", [pair(EQUAL), pair(BETTER, "single")])
    assert tie is not None
    assert tie.sentence == (
        "platform availability: 3active is no better than 2active (equal within 0.25 points) and better than single by "
        "1.00 points (90 % interval 0.10 to 2.00 points)."
    )
    still_open = judge(CLAIM, "calm", [pair(OPEN, more=3), pair(OPEN, "single", more=7)])
    assert still_open is not None
    assert still_open.more_repeats == 7
    assert still_open.sentence.endswith("; 7 repeats more would do, by the spread so far.")
    never = judge(CLAIM, "calm", [pair(OPEN, more=None), pair(OPEN, "single", more=7)])
    assert never is not None
    assert never.more_repeats is None


def test_interval_is_of_the_amount_that_the_sentence_names() -> None:
    """Better by 9 in a figure of which less is better: 8 to 11, without a sign, whichever stands first."""
    for pair_, words in ((PAIR, "worse than 2active"), (PAIR.of("2active"), "better than single")):
        told = describe(pair_, METRIC["lost_per_fault"])
        assert told == f"{words} by 9.00 requests (90 % interval 8.00 to 11.00 requests)"
    open_ = dataclasses.replace(PAIR, verdict=OPEN, low=-2.0, high=1.0)
    assert describe(open_, METRIC["lost_per_fault"]).endswith("(90 % interval -2.00 to 1.00 requests)")


def test_claim_of_too_few_repeats_names_no_number_that_would_do() -> None:
    """A spread that nobody measured says nothing of how many repeats would do."""
    once = judge(CLAIM, "calm", [dataclasses.replace(pair(OPEN, more=2), repeats=1)])
    assert once is not None
    assert once.sentence.endswith("; no verdict on fewer than 3 repeats.")


def test_runs_too_few_for_any_verdict_are_told_once_with_the_remedy() -> None:
    """Below three repeats nothing can be decided; from three on, and where nothing is compared, nothing is said."""
    once, twice, thrice = ([dataclasses.replace(pair(OPEN), repeats=n)] for n in (1, 2, 3))
    assert too_few(once).startswith("One run of each topology decides neither who is better nor whether")
    assert too_few(twice).startswith("2 runs of each topology decide neither")
    assert "--until-decided" in too_few(once)
    assert (too_few(thrice), too_few([])) == ("", "")


def test_remedy_behind_other_routers_is_one_that_they_do_not_refuse() -> None:
    """--until-decided is about the post's claims, which nobody judges there."""
    once = too_few([dataclasses.replace(pair(OPEN), repeats=1)], are_judged=False)
    assert once.startswith("One run of each topology decides nothing about who is better: ")
    assert once.endswith("(--repeats 5).")


def test_claim_is_judged_under_each_load_and_turned_to_its_topology() -> None:
    """Pairs stand in the order of the table; what is worse for the other is better for the claim's."""
    surge = dataclasses.replace(PAIR, figure="surge_availability")
    found = judge_claims([surge, dataclasses.replace(surge, load="n+1", verdict=Verdict.BETTER)])
    assert [(each.claim, each.load, each.verdict) for each in found] == [
        (CLAIMS[2].text, "calm", HOLDS),
        (CLAIMS[2].text, "n+1", FAILS),
    ]


def test_claim_needs_its_topology_and_another() -> None:
    """A table without them says nothing about the claim."""
    assert judge(CLAIM, "calm", []) is None
    assert judge(CLAIM, "calm", [dataclasses.replace(PAIR, figure="availability")]) is None
