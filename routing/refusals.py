"""Why a request gets no predictor's answer: one exception class per reason, `reason` is the word for it."""

ALL_AT_CAPACITY = "every predictor in rotation is at capacity"
ALL_BUSY = "every predictor in rotation is busy or at capacity"


class RefusedError(Exception):
    """The request cannot be placed now; `reason` is the word for it in the client's answer."""

    reason = ""


class SaturatedError(RefusedError):
    """Every predictor in rotation is at capacity and no standby is left."""

    reason = "saturated"


class DownError(RefusedError):
    """No predictor is up."""

    reason = "down"


class TimedOutError(RefusedError):
    """The request's deadline passed."""

    reason = "timeout"


class BadAnswerError(RefusedError):
    """Only unusable responses came."""

    reason = "bad_answer"


def refusal(available: bool, drained: int, total: int) -> RefusedError:
    """Returns why no slot was found: whether some of `total` predictors could serve, and how many are drained."""
    if available:
        return SaturatedError(ALL_AT_CAPACITY)
    if drained:
        return DownError(f"every predictor is {'drained' if drained == total else 'down or drained'}")
    return DownError("no predictor is up")
