"""How many answers of each predictor failed between two looks at HAProxy, whose counters were made for another purpose.

A failed answer that HAProxy makes up for counts as a retry, and as an error too where it was reset or no HTTP. The last
failure of a request counts as one error, or as two where it was reset; then the client is told 502 or 504, which is
counted for all predictors together (HAProxy 2.6: http_wait_for_response, do_l7_retry).
"""

from routing.haproxy.runtime import Reading

TOLD = ("bad_answer", "timeout")
"""What a client hears whose last predictor gave no answer."""


def failed_since(before: Reading, after: Reading) -> dict[str, int]:
    """Return each predictor's failed answers: sent again, passed on as 5xx, cut short, or without an answer at all."""
    failed: dict[str, int] = {}
    errors: dict[str, int] = {}
    for name, figures in after.predictors.items():
        earlier = before.predictors[name]
        sent_again = figures.sent_again - earlier.sent_again
        failed[name] = sent_again + figures.answers["5xx"] - earlier.answers["5xx"]
        if figures.errors > earlier.errors:
            errors[name] = figures.errors - earlier.errors - sent_again
    unanswered = sum(max(0, after.refused.get(reason, 0) - before.refused.get(reason, 0)) for reason in TOLD)
    if unanswered:
        _spread(unanswered, errors, failed)
    else:  # no client was told, so these answers had begun: they were cut short
        for name, left_over in errors.items():
            failed[name] += max(0, left_over)
    return failed


def _spread(unanswered: int, errors: dict[str, int], failed: dict[str, int]) -> None:
    """Count each request without an answer at the predictor with the most errors left over."""
    for _ in range(unanswered if errors else 0):
        name = max(errors, key=errors.__getitem__)
        errors[name] -= 1
        failed[name] += 1
