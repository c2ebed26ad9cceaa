"""A stub predictor as a process of its own, which starts fast and can be killed: it answers what it was sent.

`python stub_process.py NAME PORT SERVICE_TIME_S`; SIGUSR1 turns fast 500s on and off, SIGUSR2 turns refusing
connections on and off.
"""

import json
import signal
import socket
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.harness.stubs import Received, StubPredictor, encoded

TURNS = (signal.SIGUSR1, signal.SIGUSR2)


class EchoPredictor(StubPredictor):
    """Answers its name and the body of the request after the service time, or 500 at once while `failing`."""

    def __init__(self, name: str, port: int, service_time_s: float) -> None:
        self.service_time_s = service_time_s
        self.failing = False
        self.listening = True
        super().__init__(name, port)

    def turn_failing(self) -> None:
        """Begin or end to answer 500."""
        self.failing = not self.failing

    def turn_listening(self) -> None:
        """Go down or come up."""
        self.listening = not self.listening
        if self.listening:
            self.go_up()
        else:
            self.go_down()

    def _predict(self, request: Received, connection: socket.socket) -> None:
        if self.failing:
            connection.sendall(encoded(500, b'{"error": "said"}'))
            return
        self.closing.wait(self.service_time_s)
        answer = {"predictor": self.name, "echo": request.body.decode()}
        connection.sendall(encoded(200, json.dumps(answer).encode()))


def main(name: str, port: str, service_time_s: str) -> None:
    """Serve until killed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, TURNS)  # in every thread to come: only `sigwait` takes them
    stub = EchoPredictor(name, int(port), float(service_time_s))
    print(f"{name}: serving on http://127.0.0.1:{port}", flush=True)
    while True:
        if signal.sigwait(TURNS) == signal.SIGUSR1:
            stub.turn_failing()
        else:
            stub.turn_listening()


if __name__ == "__main__":
    main(*sys.argv[1:])
