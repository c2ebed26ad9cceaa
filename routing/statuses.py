"""What the status of an answer to a prediction says of its predictor."""

BUSY = frozenset({429, 503})
"""Full, not broken: another is asked, and it counts against nobody."""

MISPLACED = frozenset({404, 405, 410})
"""The predictor does not serve predictions there: its failure, as 5xx are, for no client chose the path."""


def is_busy(status: int) -> bool:
    """Whether the predictor says that it is full."""
    return status in BUSY


def is_failure(status: int) -> bool:
    """Whether the predictor failed; all else but busy is its answer, a 4xx the client's own mistake."""
    return status in MISPLACED or (status >= 500 and status not in BUSY)
