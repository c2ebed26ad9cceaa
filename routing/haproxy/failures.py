"""How many answers of each predictor failed between two stats of HAProxy, whose counters are for another purpose.

A failed answer that HAProxy makes up for counts as a retry, and as an error too where it was reset or no HTTP. The last
failure of a request counts as one error, or as two where it was reset; then the client gets 502 or 504, which is
counted for all predictors together (HAProxy 2.6: http_wait_for_response, do_l7_retry).
"""

from typing import NamedTuple

from routing.haproxy.runtime import Stats

NO_ANSWER = ("bad_answer", "timeout")
"""The reasons that a client gets whose last predictor gave no answer."""


class Failed(NamedTuple):
    """A predictor's failed answers between two stats."""

    number: int = 0
    """Sent again, passed on, cut short, or without an answer at all."""
    cut_short: int = 0
    """Those of them that had begun well: HAProxy counts their statuses as if they were whole."""


def failed_since(before: Stats, after: Stats) -> dict[str, Failed]:
    """Returns what failed of each predictor."""
    failed: dict[str, int] = {}
    cut_short: dict[str, int] = {}
    errors: dict[str, int] = {}
    for name, server in after.servers.items():
        earlier = before.servers[name]
        sent_again = server.sent_again - earlier.sent_again
        failed[name] = sent_again + server.failed - earlier.failed
        if server.errors > earlier.errors:
            errors[name] = server.errors - earlier.errors - sent_again
    unanswered = sum(max(0, after.refused.get(reason, 0) - before.refused.get(reason, 0)) for reason in NO_ANSWER)
    if unanswered:
        _spread(unanswered, errors, failed)
    else:  # no client got such a status, so these answers had begun: they were cut short
        cut_short = {name: max(0, left_over) for name, left_over in errors.items()}
    return {name: Failed(number + cut_short.get(name, 0), cut_short.get(name, 0)) for name, number in failed.items()}


def _spread(unanswered: int, errors: dict[str, int], failed: dict[str, int]) -> None:
    """Counts each request without an answer at the predictor with the most errors left over."""
    for _ in range(unanswered if errors else 0):
        name = max(errors, key=errors.__getitem__)
        errors[name] -= 1
        failed[name] += 1
