"""Both engines by the same rules: the cases of conformance.py, and the deviations that are known and meant."""

import shutil

import pytest

from tests.harness.project import ROOT
from tests.harness.stage import Stage
from tests.integration.conformance import run_both
from tests.integration.conformance_rules import DEVIATIONS, ENGINES, EXPECTED
from tools.conformance import table

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")


@pytest.fixture(scope="module")
def seen(shared_stage: Stage) -> dict[str, dict[str, str]]:
    """What was seen of each rule at each engine."""
    return run_both(shared_stage)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", EXPECTED)
def test_engine_keeps_the_rule_or_deviates_as_documented(
    seen: dict[str, dict[str, str]], engine: str, rule: str
) -> None:
    """Each engine does what the rule says, or exactly what its deviation says."""
    deviation = DEVIATIONS.get((engine, rule))
    assert seen[engine][rule] == (deviation.what if deviation else EXPECTED[rule])


def test_deviations_are_real_and_of_known_rules() -> None:
    """A deviation that has become agreement, or whose rule is gone, is none."""
    assert all(EXPECTED[rule] != deviation.what for (_, rule), deviation in DEVIATIONS.items())


def test_scenarios_yield_every_rule(seen: dict[str, dict[str, str]]) -> None:
    """No rule is expected that nobody looks at, and none is looked at without an expectation."""
    assert all(found.keys() == EXPECTED.keys() for found in seen.values())


def test_documentation_shows_the_table_of_agreement(seen: dict[str, dict[str, str]]) -> None:
    """docs/haproxy.md holds the table as it is now."""
    assert table(seen) in (ROOT / "docs" / "haproxy.md").read_text()
