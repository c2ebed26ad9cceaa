"""An engine as the admin app sees it, whose state a test sets."""

from typing import Any

from routing.counters import Counters


class StubEngine:
    """A topology of two predictors, as an engine shows it."""

    def __init__(self) -> None:
        self.counters = Counters()
        well = {"status": True, "load": 3, "port": 9696, "host": "127.0.0.1", "region": None, "capacity": 10}
        well |= {"role": "active", "state": "serving", "up": True, "peak_load": 7, "wanted": False}
        away = {**well, "status": False, "load": 0, "role": "standby", "state": "drained", "up": False, "region": "B"}
        self.predictors: dict[str, dict[str, Any]] = {"one": well, "two": away}

    def snapshot(self) -> dict[str, Any]:
        """The state."""
        return {"topology": "pair", "predictors": self.predictors}

    def drain(self, name: str) -> None:
        """Nothing asks for it here."""

    def ready(self, name: str) -> None:
        """Nothing asks for it here."""
