"""What the status of an answer to a prediction says of its predictor."""

BUSY = frozenset({429, 503})
"""Full, not broken: another is asked, and it counts against nobody."""

MISPLACED = frozenset({404, 405, 410})
"""The predictor does not serve predictions there: its failure, as 5xx are, for no client chose the path."""


def is_answer(status: int) -> bool:
    """Whether it is the client's, who made a 4xx itself: the predictor has not failed, and is not busy."""
    return status < 500 and status not in MISPLACED and status not in BUSY


def is_busy(status: int) -> bool:
    """Whether the predictor says that it is full."""
    return status in BUSY
