"""A balancer that another one, in the next router, can follow: after a crash or a hand-over."""

from typing import Any

from routing import memory
from routing.balancer import Balancer
from routing.rotation import Predictor

FLAGS = ("up", "loading", "unwell", "wanted")
COUNTS = ("served", "failed", "peak_load")
TIMES = ("changed_at_s", "returned_at_s", "not_before_s")
"""The fields of a predictor that are told."""


class RememberingBalancer(Balancer):
    """A balancer that tells all but its requests in flight, and goes on where another one was."""

    def remember(self) -> dict[str, Any]:
        """Returns what `recall` needs as JSON objects."""
        predictors = self.predictors.values()
        return {
            "drained": [predictor.name for predictor in predictors if predictor.drained],
            "promoted": {predictor.name: predictor.promoted_for for predictor in self._promoted},
            "predictors": {predictor.name: _told(predictor) for predictor in predictors},
            "saturated_at": memory.as_epoch(self._saturated_at_s),
        }

    def recall(self, told: dict[str, Any], now: float) -> None:
        """Goes on where the other one was when it remembered this: only what has changed since is an event."""
        predictors, drained = memory.as_dict(told.get("predictors")), memory.as_list(told.get("drained"))
        for predictor in self.predictors.values():
            _recall(predictor, predictors.get(predictor.name))
            predictor.drained = predictor.name in drained
            if not predictor.available:
                self._leave(predictor, now)
        for name, reason in memory.as_dict(told.get("promoted")).items():
            self._recall_promotion(name, "failure" if reason == "failure" else "saturation", now)
        self._saturated_at_s = memory.as_monotonic(told.get("saturated_at"))
        self._events.forget()
        self._replace_missing(now, self._missing_text())

    def _recall_promotion(self, name: str, promoted_for: str, now: float) -> None:
        predictor = self.predictors.get(name)
        if predictor is not None and predictor.waits:
            changed_at_s = predictor.changed_at_s
            self._promote(predictor, now, promoted_for, "")
            predictor.changed_at_s = changed_at_s


def _told(predictor: Predictor) -> dict[str, Any]:
    """Returns what is to be known of a predictor besides its requests in flight."""
    told = {name: getattr(predictor, name) for name in (*FLAGS, *COUNTS)}
    return told | {name: memory.as_epoch(getattr(predictor, name)) for name in TIMES}


def _recall(predictor: Predictor, told: Any) -> None:
    """Sets what `_told` told; who is in rotation is the balancer's to decide."""
    told = memory.as_dict(told)
    for names, kind in ((FLAGS, bool), (COUNTS, int)):
        for name in names:
            if type(told.get(name)) is kind:
                setattr(predictor, name, told[name])
    for name in TIMES:
        if (at_s := memory.as_monotonic(told.get(name))) is not None:
            setattr(predictor, name, at_s)
