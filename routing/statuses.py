"""What the status of an answer to a prediction says of its predictor."""

BUSY = frozenset({429, 503})
"""Full, not broken: another is asked, and it counts against nobody."""

MISPLACED = frozenset({404, 405, 410})
"""The predictor does not serve predictions there: its failure, as 5xx are, for no client chose the path."""

OF_THE_METHOD = frozenset({405, 501})
"""The predictor does not know the method there. Predictions are POSTs: that it knows no GET is no failure of it."""


def is_answer(status: int, method: str) -> bool:
    """Whether it is the client's, who made a 4xx itself: the predictor has not failed, and is not busy."""
    return status < 400 or not (is_busy(status) or is_failure(status, method))


def is_busy(status: int) -> bool:
    """Whether the predictor says that it is full."""
    return status in BUSY


def is_failure(status: int, method: str = "POST") -> bool:
    """Whether the predictor failed; all else but busy is its answer, a 4xx the client's own mistake."""
    if method == "GET" and status in OF_THE_METHOD:
        return False
    return status in MISPLACED or (status >= 500 and status not in BUSY)
