"""Many tests at once."""

import numpy as np
import pytest

from experiments.theory.multiplicity import corrected


def test_corrected_multiplies_by_the_tests_that_are_left() -> None:
    """The smallest by all, the next by one fewer; in the order given; never beyond 1, never below a smaller one's."""
    assert corrected([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert corrected([0.6, 0.7]) == [1.0, 1.0]
    assert corrected([]) == []


def test_corrected_keeps_false_findings_in_one_of_twenty() -> None:
    """Of 37 figures without any difference, some are called different in 5 % of diffs, not in 85 %."""
    rng = np.random.default_rng(1979)
    drawn = rng.uniform(size=(2000, 37))
    assert np.mean(drawn.min(axis=1) <= 0.05) > 0.8
    assert np.mean([min(corrected(row)) <= 0.05 for row in drawn]) == pytest.approx(0.05, abs=0.015)
