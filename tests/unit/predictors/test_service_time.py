"""How long a prediction takes by the size of its input."""

import pytest

from predictors.service_time import ServiceTime


@pytest.mark.parametrize(
    ("fixed_s", "per_mb_s", "body_bytes", "expected_s"),
    [(1.0, 0.0, 900_000, 1.0), (1.0, 2.0, 0, 1.0), (1.0, 2.0, 500_000, 2.0), (0.0, 3.0, 1_000_000, 3.0)],
)
def test_service_time_is_the_fixed_part_and_a_share_for_each_million_bytes(
    fixed_s: float, per_mb_s: float, body_bytes: int, expected_s: float
) -> None:
    """A megabyte is 1,000,000 bytes; without a share the size does not matter."""
    assert ServiceTime(fixed_s, per_mb_s).of(body_bytes) == expected_s
