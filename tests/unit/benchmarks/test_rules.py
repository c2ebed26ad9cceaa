"""The rules of HAProxy's configuration whose cost is measured."""

import re
from pathlib import Path

import pytest

from benchmarks.rules import RULES, ours


@pytest.mark.parametrize("rule", RULES)
def test_rule_measured_stands_in_the_configuration(rule: str, tmp_path: Path) -> None:
    """Each way in which its lines begin is that of a line: what is taken away to measure it is there."""
    lines = [line.strip() for line in ours(tmp_path, [1, 2]).splitlines()]
    assert all(any(re.match(start, line) for line in lines) for start in RULES[rule])
