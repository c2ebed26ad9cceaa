"""The answer in sentences."""

from dataclasses import replace
from typing import Any

import pytest

from experiments.answer import costs
from experiments.answer.answer import Answer, ColdAlternative, answer
from experiments.answer.inputs import DEFAULTS, GIVEN, Input, Inputs
from experiments.answer.measured import Measured
from experiments.answer.sentences import explain, in_prose

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
        "refused_share_meanwhile": 0.15, "cheaper": False, "at_any_start": False,
    }  # fmt: skip
    return ColdAlternative(**usual | values)


@pytest.mark.parametrize(
    ("alternative", "ending"),
    [
        (None, "with one down."),
        (
            cold(),
            "with a cold standby costs more, however fast its standby starts (it refuses 0.040 % with all up).",
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
    alternative: ColdAlternative | None, ending: str, of_the_post: Answer
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
    assert "mtbf" in last
    assert "repair" not in last


def test_sentences_say_that_a_server_queues_and_why(of_the_post: Answer) -> None:
    """In place of Erlang B stands its measured saturation."""
    queues = replace(INPUTS, saturation=Input(35.0, "answers/s", "measured"))
    measured = Measured("mine", {}, queues="16 at once take 0.4 s, one 0.1 s: it queues")
    told = " ".join(explain(of_the_post, queues, measured).assumptions)
    assert "The server queues (16 at once take 0.4 s, one 0.1 s: it queues), so Erlang B does not apply" in told
    assert "at most 35 answers/s" in told
    assert "(Erlang B); nobody queues" in " ".join(explain(of_the_post, INPUTS).assumptions)


def test_sentences_say_that_a_year_misses_the_target(of_the_post: Answer) -> None:
    """No number of predictors mends what takes all of them at once."""
    years = [replace(each, meets_target=False) for each in of_the_post.per_year]
    told = " ".join(explain(replace(of_the_post, per_year=years), INPUTS).reasons)
    assert "more than the target's 0.10 %: what takes all predictors at once" in told
    assert "Over a year it loses" not in " ".join(explain(of_the_post, INPUTS).reasons)


def test_sentences_say_what_the_answer_hangs_on(of_the_post: Answer) -> None:
    """An input at an end of whose range another deployment is the cheapest."""
    first, *others = of_the_post.tornado
    changing = replace(
        of_the_post, tornado=[replace(first, changes_answer_to=["2active, no standby", "4active"]), *others]
    )
    told = " ".join(explain(changing, INPUTS).reasons)
    assert "within its range 2active without a standby or 4active is the cheapest." in told
    assert "No input changes the answer" in " ".join(explain(of_the_post, INPUTS).reasons)


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
