"""How figures and inputs are written: few digits, units that people use."""

from dataclasses import fields

import pytest

from experiments.answer.inputs import Input, Inputs
from experiments.answer.text import (
    LABELS,
    dollars_text,
    figure_text,
    input_text,
    range_text,
    share_text,
    time_text,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.00034, "0.00034"), (8.6, "8.6"), (99.6, "100"), (43_651, "44,000"), (1_239_000, "1.2 M"),
     (999_999, "1.0 M"), (428_403_571, "430 M"), (1.2e9, "1.2 bn")],
)  # fmt: skip
def test_figure_has_two_digits_and_no_exponent(value: float, text: str) -> None:
    """Commas in thousands, and a word from a million."""
    assert figure_text(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (7.5e-9, "<0.0001 %"), (5.5e-6, "0.00055 %"), (0.000371, "0.037 %"), (0.1493, "15 %"), (1, "100 %")],
)
def test_share_is_in_percent_and_never_none_where_there_is_some(share: float, text: str) -> None:
    """What is too small to matter is said to be small."""
    assert share_text(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (4.23, "4.2 s"), (100, "100 s"), (180, "3 min"), (3_600, "1 h"), (5_400, "90 min"), (15_363, "4.3 h"),
     (86_400, "1 d"), (4_716_746, "55 d")],
)  # fmt: skip
def test_time_is_in_the_unit_that_people_would_use(seconds: float, text: str) -> None:
    """The largest of which there are two, or exactly one."""
    assert time_text(seconds) == text


@pytest.mark.parametrize(
    ("name", "own", "text"),
    [("mtbf", Input(2_592_000, "s", ""), "30 d"), ("per_minute", Input(5_600, "$", ""), "$5,600"),
     ("common_cause", Input(0.02, "", ""), "2 %"), ("router_loss", Input(1.0, "", ""), "1"),
     ("target", Input(99.99999, "%", ""), "99.99999 %"),
     ("saturation", Input(9.87654, "answers/s", ""), "9.877 answers/s")],
)  # fmt: skip
def test_input_is_written_as_its_user_would(name: str, own: Input, text: str) -> None:
    """Units, shares in percent, and a target in full."""
    assert input_text(name, own) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "$0"), (0.00068, "<$0.01"), (0.068, "$0.07"), (2.6, "$2.60"), (11_300, "$11,000")]
)
def test_money_has_cents_where_it_is_little(value: float, text: str) -> None:
    """And no parts of a cent."""
    assert dollars_text(value) == text


def test_range_names_a_unit_once_where_both_ends_share_it() -> None:
    """`10 to 90 d`, but `90 s to 30 min`."""
    assert range_text("mtbf", "s", 864_000, 7_776_000) == "10 to 90 d"
    assert range_text("repair", "s", 90, 1_800) == "90 s to 30 min"
    assert range_text("per_minute", "$", 2_300, 9_000) == "$2,300 to 9,000"
    assert dollars_text(2_300) == "$2,300"


def test_every_input_has_a_label() -> None:
    """Tables, charts and sentences name each."""
    assert LABELS.keys() == {each.name for each in fields(Inputs)}
