"""Whether the loss model, by which theory goes here, applies to a server of which it was measured how it takes load.

No I/O here.
"""

MOST_GROWTH = 1.5
"""With its capacity in flight a server may take so many times as long as with one: slots that hinder each other more
are none."""


def why_no_loss_model(alone_s: float, at_once: int, together_s: float | None, asked: int, good: int) -> str:
    """Returns why the loss model says nothing about a server, without a full stop; empty where it applies.

    Its slots serve independently of each other: none waits for another, and each takes a request when it is free.

    Args:
        alone_s: latency of one request at a time, in seconds.
        at_once: how many were in flight together: the server's capacity.
        together_s: latency of one of them, in seconds; None where none got a good answer.
        asked: requests sent so.
        good: those of them that got a good answer.
    """
    if together_s is None or good < asked:
        return (
            f"with {at_once} at once {asked - good} of {asked} predictions got no good answer: "
            "it takes fewer than its capacity, so the loss model does not apply"
        )
    if together_s > MOST_GROWTH * alone_s:
        return (
            f"{at_once} at once take {time_text(together_s)}, one {time_text(alone_s)}: "
            "it queues, so the loss model does not apply"
        )
    return ""


def time_text(seconds: float, digits: int = 2) -> str:
    """Returns a time in so many digits, in ms below 0.1 s."""
    value, unit = (1000 * seconds, "ms") if seconds < 0.1 else (seconds, "s")
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:g} {unit}"
