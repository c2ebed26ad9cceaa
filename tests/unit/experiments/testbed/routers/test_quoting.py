"""Each configuration language's quoting: a text stays one text, whatever stands in it, or is refused."""

import json
import shlex

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from experiments.testbed.routers.quoting import FILTERS, as_caddy, as_haproxy, as_json, as_ms, as_nginx, as_seconds

HOSTILE = ["a b", 'a"b', "a'b", "a\\", "a;b", "a}b{", "a#b", "${HOME}", "$host", "%[env]", "ü", "`", "\u2028", ": - ["]


@pytest.mark.parametrize("text", [*HOSTILE, "a\nb", "\x85", "\ufeff"])
def test_json_is_the_same_text_in_json_and_yaml(text: str) -> None:
    """Envoy and Traefik read YAML, for which JSON's line separators are line breaks."""
    assert json.loads(as_json(text)) == text
    assert yaml.safe_load(f"key: {as_json(text)}\nother: 1") == {"key": text, "other": 1}


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"])))
def test_haproxy_word_stays_one_word(text: str) -> None:
    """Its strong quotes are those of a shell."""
    if text.isprintable():
        assert shlex.split(as_haproxy(text)) == [text]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("a b", '"a b"'), ('a"; b', '"a\\"; b"'), ("a\\", '"a\\\\"'), ("a;}b{#", '"a;}b{#"')],
)
def test_nginx_parameter_ends_at_its_own_quote_only(text: str, quoted: str) -> None:
    """Quotes and backslashes are escaped, all else means nothing between quotes."""
    assert as_nginx(text) == quoted


@pytest.mark.parametrize(
    ("syntax", "text"),
    [
        ("nginx", "$host"),
        ("nginx", "a\nb"),
        ("haproxy", "a\nb"),
        ("haproxy", "a\0b"),
        ("caddy", "{$HOME}"),
        ("caddy", "}"),
        ("caddy", "a`b"),
        ("caddy", "a\nb"),
    ],
)
def test_what_a_language_cannot_hold_is_refused(syntax: str, text: str) -> None:
    """It could be written, but would mean something else."""
    with pytest.raises(ValueError, match="cannot stand in a configuration of this kind"):
        FILTERS[syntax](text)


def test_durations_have_their_unit_and_are_never_zero() -> None:
    """Zero means no limit to most routers."""
    assert (as_ms(10), as_ms(0.25), as_ms(0.0001)) == ("10000ms", "250ms", "1ms")
    assert (as_seconds(10), as_seconds(10 / 3), as_seconds(0)) == ("10.000s", "3.333s", "0.001s")


def test_caddy_token_is_literal() -> None:
    """Between backquotes quotes, backslashes and comments mean nothing."""
    assert as_caddy('a "b" \\ # $x') == '`a "b" \\ # $x`'
