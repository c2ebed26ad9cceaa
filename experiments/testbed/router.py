"""What a deployment, its faults and its loads ask of whatever stands in the router's place."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.testbed.processes import Child
from experiments.testbed.signals import StopRequest

HOST = "127.0.0.1"

Address = tuple[str, int]
"""Host and port."""


class Router(ABC):
    """The router of one deployment: this project's, or any other."""

    admin_url: str = ""
    """Where its admin port is; empty: it has none."""
    drains: bool = False
    """Whether it takes a predictor out for planned work and lets requests in flight finish."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{HOST}:{port}"

    @abstractmethod
    def start(self, addresses: Mapping[str, Address], stop: StopRequest) -> None:
        """Starts it in front of these predictors and waits until it serves. Raises CommandError."""

    @abstractmethod
    def processes(self) -> list[Child]:
        """What is to be stopped; empty before its start."""

    def require_alive(self) -> None:
        """Raises CommandError when it has ended."""
        for each in self.processes():
            each.require_alive()

    def state(self) -> dict[str, Any] | None:
        """What its admin port says of the topology; None where it does not answer, or there is none."""
        return None

    @abstractmethod
    def is_as_planned(self) -> bool:
        """Whether every active serves and every standby stands by, so far as it tells."""

    @abstractmethod
    def is_whole(self) -> bool:
        """Whether every active serves and nothing is missing; standbys may serve besides."""

    @abstractmethod
    def wait_until_out(self, name: str, stop: StopRequest) -> None:
        """Waits until it has taken this predictor, which is down, out. Raises CommandError."""

    @abstractmethod
    def wait_until_replaced(self, names: Sequence[str], stop: StopRequest, within_s: float) -> None:
        """Waits until these, which are down, are out, and whoever replaces them serves. Raises CommandError."""

    @abstractmethod
    def put_back(self) -> Iterator[str]:
        """Does what an operator would once all is well and yet it is not as planned; yields what it acts on."""

    @abstractmethod
    def take_out(self, name: str, stop: StopRequest) -> None:
        """Has it send nothing more to the predictor, and waits for those in flight. Raises CommandError."""

    @abstractmethod
    def take_back(self, name: str, stop: StopRequest) -> None:
        """Has the predictor, which is well again, take requests, and waits for that. Raises CommandError."""

    @abstractmethod
    def wait_for_spare(self, stop: StopRequest) -> None:
        """Waits until it can meet a fault of its own. Raises CommandError."""

    @abstractmethod
    def upgrade(self) -> None:
        """Restarts it as its operator would."""

    @abstractmethod
    def crash(self) -> None:
        """Kills it; whoever watches it has another serve."""

    @abstractmethod
    def why_not_replaced(self, stop: StopRequest) -> str:
        """Why it is not proven that it serves again after that. Empty where it is."""

    @abstractmethod
    def wait_until_left(self, stop: StopRequest) -> None:
        """Waits until what served before has ended. Raises CommandError."""
