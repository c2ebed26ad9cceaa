"""The router's command line: which values its options refuse. Nothing is started here."""

import pytest

from cli import UsageError
from routing.options import parse_arguments


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--port", "65536", "0 to 65535"),
        ("--port", "-1", "0 to 65535"),
        ("--admin-port", "http", "0 to 65535"),
        ("--threshold", "0", "1 or more"),
        ("--threshold", "2.5", "1 or more"),
        ("--deadline", "0", "more than 0"),
        ("--deadline", "nan", "more than 0"),
        ("--hold-down", "-1", "0 or more"),
        ("--hold-down", "inf", "0 or more"),
    ],
)
def test_option_with_a_bad_value_is_named_with_what_is_accepted(option: str, value: str, said: str) -> None:
    """One line holds the option, its value, and what is accepted."""
    with pytest.raises(UsageError) as caught:
        parse_arguments([f"{option}={value}"])
    told = str(caught.value)
    assert [part for part in (option, value, said) if part not in told] == []
    assert "\n" not in told
