"""The answer's page and box: all that is known stands there, and nothing is fetched from outside."""

import html
import re
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest

from experiments.answer.answer import Answer
from experiments.answer.inputs import DEFAULTS, given
from experiments.answer.page import box, cards, write_page
from experiments.page.page import render
from tests.unit.experiments.answer.hand_written import ANSWER, CHECKED

COMMAND = "python -m experiments choose --rate 8.6"


def page_of(answer: Answer, folder: Path) -> str:
    """The page's text, with the characters that HTML escapes."""
    return html.unescape(write_page(answer, COMMAND, folder).read_text(encoding="utf-8")).replace("\u00a0", " ")


def test_page_is_self_contained_and_its_charts_stand_beside_it(tmp_path: Path) -> None:
    """One file: no address outside of it; each chart inside in two widths, and as a file."""
    path = write_page(ANSWER, COMMAND, tmp_path / "new")
    text = path.read_text(encoding="utf-8")
    assert path.name == "choose.html"
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert re.findall(r"url\(|@import|<script|<link", text) == []
    assert text.count('src="data:image/svg+xml;base64,') == text.count('srcset="data:image/svg+xml;base64,') == 3
    files = {each.name for each in path.parent.iterdir()}
    assert files == {"choose.html", "choose-refused.svg", "choose-cost.svg", "choose-matters.svg"}


@pytest.mark.usefixtures("no_charts")
def test_page_holds_the_whole_answer(tmp_path: Path) -> None:
    """Sentence, reasons, assumptions, inputs with their sources, and the command that makes it again."""
    text = page_of(ANSWER, tmp_path)
    assert f'content="{ANSWER.sentence}"' in text
    assert "<h1>Take 3active: the cheapest that holds 99.9 % at 8.6 requests/s with one down.</h1>" in text
    assert "<strong>a cold one isn't cheaper.</strong>" in text
    for part in (*ANSWER.reasons, *ANSWER.assumptions, *(own.source for own in DEFAULTS.values()), COMMAND):
        assert part in text
    assert "→: within that range, another deployment is the cheapest" in text
    assert "These decide nothing: cold start." in text
    assert "measured with one predictor down" not in text


@pytest.mark.usefixtures("no_charts")
def test_page_tells_which_bars_are_cut_and_what_was_checked(tmp_path: Path) -> None:
    """A cut bar is no measure of a cost; a run's check has a section of its own."""
    text = page_of(CHECKED, tmp_path)
    assert "Cut, for they go on far beyond the axis: single; 2active, no standby; 2active, cold standby." in text
    assert "<h2>What a run measured with one predictor down</h2>" in text
    assert '10 %<span class="under">8.0 to 12 %</span>' in text


@pytest.mark.usefixtures("no_charts")
def test_page_of_a_server_that_queues_names_its_formula(tmp_path: Path) -> None:
    """Erlang B is not said to be what it is sized by."""
    own = replace(ANSWER, inputs=ANSWER.inputs | {"saturation": given(6.2, "answers/s")})
    assert "Refused: by the M/M/c/K queue, for this server queues" in page_of(own, tmp_path)
    assert "Refused: by Erlang B" in page_of(ANSWER, tmp_path)


@pytest.mark.usefixtures("no_charts")
def test_page_without_an_input_that_matters_has_no_empty_chart(tmp_path: Path) -> None:
    """They are named in a line."""
    text = page_of(replace(ANSWER, tornado=[], decides_nothing=["mtbf"]), tmp_path)
    assert "swings over the range" not in text
    assert "These decide nothing: predictor's MTBF." in text


def test_cards_show_the_recommended_and_the_cheapest_of_other_sizes() -> None:
    """A warm standby's deployment is no other size, and costs the same."""
    made = cards(ANSWER)
    assert [card.name for card in made] == ["3active", "2active, cold standby", "2active, no standby"]
    other = cards(replace(ANSWER, recommended="2active, no standby"))
    assert [card.name for card in other] == ["2active, no standby", "3active", "2active, cold standby"]
    assert (made[0].what, made[0].figure) == ("recommended: 3 predictors, 30 slots", "$61,000")
    own, other, _ = (dict(card.facts) for card in made)
    assert (own["holds 99.9 %"], own["refused, one down"], other["holds 99.9 %"]) == ("one down", "0.037 %", "all up")


BOXED = '{% import "answer/box.html" as box %}{{ box.which_one(choice) }}'


@pytest.mark.usefixtures("no_charts")
def test_box_stands_on_another_experiments_page(tmp_path: Path) -> None:
    """Its template is found from any folder; sentence, sizes, the command, and two charts that are folded away."""
    (tmp_path / "page.html").write_text(BOXED, encoding="utf-8")
    made = html.unescape(render(tmp_path / "page.html", choice=box(ANSWER, COMMAND, tmp_path)))
    assert f"<strong>{ANSWER.sentence}</strong>" in made
    assert made.count("<details>") == made.count("<img ") == 2
    assert all(size.deployment in made.replace("\u00a0", " ") for size in ANSWER.sizes)
    assert f"<code>{COMMAND}</code>" in made


def test_page_with_a_value_that_is_not_given_is_not_made(tmp_path: Path) -> None:
    """A misspelt name in a template is an error, not an empty place."""
    (tmp_path / "page.html").write_text('{% extends "frame.html" %}{% block main %}{{ other }}{% endblock %}')
    with pytest.raises(jinja2.UndefinedError, match="other"):
        render(tmp_path / "page.html", title="T")
