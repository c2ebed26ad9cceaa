"""The answer in sentences."""

from dataclasses import replace
from typing import Any

import pytest

from experiments.answer import costs
from experiments.answer.answer import Answer, ColdAlternative, answer
from experiments.answer.inputs import DEFAULTS, GIVEN, Input, Inputs
from experiments.answer.measured import Measured
from experiments.answer.sentences import explain, in_prose
from tests.unit.experiments.answer.hand_written import CHECK

INPUTS = Inputs(**DEFAULTS)


@pytest.fixture(scope="module")
def of_the_post() -> Answer:
    """The post's own case, without sentences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "YEARS", 200)
        return answer(INPUTS)


def cold(**values: Any) -> ColdAlternative:
    """2active with a cold standby."""
    usual: dict[str, Any] = {
        "deployment": "2active, cold standby", "break_even_s": None, "starts_after_s": 45.0, "refused_share": 0.0004,
        "refuses_too_much": True, "refused_share_meanwhile": 0.15, "cheaper": False, "at_any_start": False,
    }  # fmt: skip
    return ColdAlternative(**usual | values)


@pytest.mark.parametrize(
    ("alternative", "ending"),
    [
        (
            cold(),
            "with a cold standby costs more, however fast its standby starts (with all up it refuses 0.040 %).",
        ),
        (cold(break_even_s=38.0), "would cost less if it started in under 38 s (here it takes 45 s)."),
        (
            cold(break_even_s=380.0, cheaper=True),
            "costs less with a start of 45 s (up to 6.3 min), but loses 15 % until its standby has started.",
        ),
        (
            cold(at_any_start=True, cheaper=True, refused_share_meanwhile=1.0),
            "costs less however long its start takes, but loses everything until its standby has started.",
        ),
    ],
)
def test_sentence_says_when_a_cold_standby_would_do(
    alternative: ColdAlternative, ending: str, of_the_post: Answer
) -> None:
    """Always after what to take, the target, the rate and the state in which it holds."""
    sentence = explain(replace(of_the_post, cold=alternative), INPUTS).sentence
    assert sentence.startswith("Take 3active: the cheapest that holds 99.9 % at 8.6 requests/s with one down")
    assert sentence.endswith(ending)


def test_sentences_name_the_defaults_and_only_them(of_the_post: Answer) -> None:
    """What was given is not among what is nobody's figure of yours."""
    given = replace(INPUTS, repair=Input(600.0, "s", GIVEN))
    last = explain(replace(of_the_post, inputs=given.as_mapping()), given).assumptions[-1]
    assert "defaults" in last
    assert "predictor's MTBF" in last
    assert "time to repair" not in last


def test_sentences_say_that_a_server_queues_and_why(of_the_post: Answer) -> None:
    """In place of Erlang B stands its measured saturation."""
    queues = replace(INPUTS, saturation=Input(35.0, "answers/s", "measured"))
    measured = Measured("mine", {}, queues="16 at once take 0.4 s, one 0.1 s: it queues")
    told = " ".join(explain(of_the_post, queues, measured).assumptions)
    assert "The server queues (16 at once take 0.4 s, one 0.1 s: it queues), so Erlang B does not apply" in told
    assert "at most 35 answers/s" in told
    assert "(Erlang B); nobody queues" in " ".join(explain(of_the_post, INPUTS).assumptions)


def test_sentences_say_that_a_year_misses_the_target(of_the_post: Answer) -> None:
    """And what loses most of it, which more predictors would mend, or not."""
    years = [replace(each, meets_target_in_a_year=False) for each in of_the_post.per_year]
    missing = replace(of_the_post, per_year=years)
    told = " ".join(explain(missing, INPUTS).reasons)
    assert "more than the target's 0.10 %: most of it by common causes, which more predictors would not mend" in told
    single = replace(missing, lost_by_cause={"single predictors' failures": 9.0, "common causes": 1.0})
    told = " ".join(explain(single, INPUTS).reasons)
    assert "by single predictors' failures, which more predictors would mend" in told
    assert "Over a year it loses" not in " ".join(explain(of_the_post, INPUTS).reasons)


def test_sentences_say_that_the_load_is_the_experiments(of_the_post: Answer) -> None:
    """First of all, where a run was given and no rate: it is not what the user's clients send."""
    own = dict(of_the_post.inputs) | {"rate": Input(5.6, "requests/s", "set in run results/x: its load calm")}
    first = explain(replace(of_the_post, inputs=own), INPUTS).reasons[0]
    assert first == "Rate is what the experiment had, not what your clients send: give yours."
    assert "experiment" not in explain(of_the_post, INPUTS).reasons[0]


def test_sentences_take_the_time_of_a_users_own_server_for_theirs(of_the_post: Answer) -> None:
    """That of the rig's predictors is what they wait."""
    both = {"rate": Input(5.6, "requests/s", "set in run x"), "service_time": Input(0.4, "s", "measured in run x")}
    found = replace(of_the_post, inputs=dict(of_the_post.inputs) | both)
    told = explain(found, INPUTS, Measured("x", {})).reasons[0]
    assert told.startswith(
        "Rate and service time are what the experiment had, not what your clients send and your model"
    )
    assert explain(found, INPUTS, Measured("x", {}, server="mine.json")).reasons[0].startswith("Rate is what")


def test_sentences_say_that_over_a_year_fewer_hold_the_target_too(of_the_post: Answer) -> None:
    """One down is rare: who asks for a year's share needs fewer."""
    told = " ".join(explain(of_the_post, INPUTS).reasons)
    assert "loses 15 % with one down; over a year, in which that is rare, it answers 99.9" in told


def test_sentences_say_what_other_slots_would_ask_for(of_the_post: Answer) -> None:
    """And to measure them, unless they were given."""
    told = " ".join(explain(of_the_post, INPUTS).reasons)
    assert "A predictor is taken to hold 10 at once; with 5 5active and with 20 2active without a standby" in told
    given = replace(INPUTS, threshold=Input(10, "slots", GIVEN))
    assert "measure yours" in told
    assert "measure yours" not in " ".join(explain(of_the_post, given).reasons)


def test_sentences_count_only_cases_of_a_run_that_could_fail(of_the_post: Answer) -> None:
    """Nothing refused where nothing is expected says nothing of the formula."""
    empty = replace(CHECK, sent=100, refused=0, low=0.0, high=0.04, erlang_b=0.0001)
    told = " ".join(explain(replace(of_the_post, checks=[CHECK, empty]), INPUTS).reasons)
    assert "within chance, in 1 of 1 cases in which that is 3 requests or more" in told
    told = " ".join(explain(replace(of_the_post, checks=[empty]), INPUTS).reasons)
    assert "too few requests refused, by the formula, to tell" in told


def test_sentences_say_what_the_answer_hangs_on(of_the_post: Answer) -> None:
    """An input at an end of whose range another deployment is the cheapest."""
    first, *others = of_the_post.tornado
    changing = replace(
        of_the_post, tornado=[replace(first, changes_answer_to=["2active, no standby", "4active"]), *others]
    )
    told = " ".join(explain(changing, INPUTS).reasons)
    assert "within its range 2active without a standby or 4active is the cheapest." in told
    assert "No input changes within its range which" in " ".join(explain(of_the_post, INPUTS).reasons)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("single", "single"),
        ("3active", "3active"),
        ("2active, no standby", "2active without a standby"),
        ("2active, warm standby", "2active with a warm standby"),
        ("2active, cold standby", "2active with a cold standby"),
    ],
)
def test_deployment_in_a_sentence(name: str, words: str) -> None:
    """Without its comma."""
    assert in_prose(name) == words
