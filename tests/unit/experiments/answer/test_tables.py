"""The answer's tables: what stands in their cells, within 80 columns."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from experiments.answer.answer import Answer
from experiments.answer.inputs import DEFAULTS, Input
from experiments.answer.tables import check_cells, input_cells, markdown, size_cells, tables, year_cells, yearly_cell
from tests.unit.experiments.answer.hand_written import ANSWER, CHECK, CHECKED, SIZES, YEARS, size, year, yearly


def printed(answer: Answer, width: int = 80) -> str:
    """The tables as a terminal of this width shows them."""
    out = io.StringIO()
    Console(file=out, width=width).print(*tables(answer))
    return out.getvalue()


def test_size_says_in_which_states_the_target_is_held() -> None:
    """With one down too, with all up alone, or in neither; a cold standby counts as a predictor and has no slots."""
    single, two, three, _, cold = (size_cells(each, "3active") for each in SIZES)
    assert single == ["single", "1", "10", "86 %", "15 %", "100 %", "no"]
    assert two == ["2active, no standby", "2", "20", "43 %", "0.037 %", "15 %", "all up"]
    assert three == ["3active *", "3", "30", "29 %", "<0.0001 %", "0.037 %", "one down"]
    assert cold[:3] == ["3active, cold standby", "4", "30"]


def test_year_has_its_ranges_below_the_means() -> None:
    """What the servers cost has none where their price is known."""
    assert year_cells(YEARS[-1], "3active") == [
        "3active *", "3,200", "6.2 min", "4.9", "$35,000\n$280 to 180,000", "$26,000", "$61,000\n$27,000 to 210,000",
    ]  # fmt: skip
    assert yearly_cell(yearly(428e6, 184e6, 1.2e9)) == "$430 M\n$180 M to 1.2 bn"


def test_input_has_its_value_its_range_and_its_source() -> None:
    """A point has no range."""
    assert input_cells("mtbf", DEFAULTS["mtbf"]) == [
        "predictor's MTBF", "30 d", "10 to 90 d", "default: this rig's assumption",
    ]  # fmt: skip
    assert input_cells("rate", Input(12, "requests/s", "given")) == ["rate", "12 requests/s", "-", "given"]


def test_check_sets_what_was_measured_beside_the_formula() -> None:
    """The refused share beside Erlang B, the sum lost beside its prediction, where there is one."""
    assert check_cells(CHECK) == [
        "2active, warm standby", "n+1\n20 slots", "10 %\n8.0 to 12 %", "11 %\nyes", "9\ncrash", "344",
        "330\n280 to 1,390",
    ]  # fmt: skip
    assert check_cells(replace(CHECK, erlang_b=0.13))[3] == "13 %\nno"
    assert check_cells(replace(CHECK, predicted=None))[-1] == "-"


def test_tables_name_the_recommended_and_every_input_and_source() -> None:
    """Nothing is cut off in 80 columns."""
    text = " ".join(printed(CHECKED).split())
    for part in (
        "Sizes for 8.6 requests/s (*: recommended)",
        "3active *",
        "2active, no standby",
        "$280-180,000",
        "$2,300 to 9,000",
        "10 to 90 d",
    ):
        assert part in text
    assert "…" not in text
    assert text.count("default:") == len(DEFAULTS)


WIDE = [
    size("active", "1000active", 1_000, 1_000, 0.000371, 0.00372, True, True),
    size("cold", "999active, cold standby", 1_000, 999, 0.000371, 0.000372, True, True),
]


@pytest.mark.parametrize(
    "answer",
    [
        CHECKED,
        replace(
            CHECKED,
            recommended="1000active",
            sizes=WIDE,
            per_year=[year("999active, cold standby", 1_000, 999, yearly(111_000, 110_000, 670_000)), *YEARS],
            inputs=dict(DEFAULTS)
            | {"repair": Input(7.13, "s", "measured in results/20250131-142500: 36 crashes", 5, 10)},
        ),
    ],
    ids=["usual", "large"],
)
def test_tables_fit_80_columns_uncut(answer: Answer) -> None:
    """What is printed in 80 columns is what is printed where there is room: names and sources are folded."""
    narrow, wide = (sorted("".join(printed(answer, width).split()).replace("─", "")) for width in (80, 300))
    assert narrow == wide


def test_markdown_has_a_row_for_each_deployment_and_marks_the_recommended() -> None:
    """As README shows it."""
    heads, rule, *rows = markdown(ANSWER).splitlines()
    assert {line.count("|") for line in (heads, rule, *rows)} == {9}
    assert [row.split(" | ")[0].strip("| *") for row in rows] == [year.deployment for year in YEARS]
    assert rows[-1] == (
        "| **3active** | 3 | <0.0001 % | 0.037 % | 3,200 | 6.2 min | $35,000 ($280 to 180,000) | $26,000 |"
    )
