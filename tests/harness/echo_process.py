"""A stub predictor as a process of its own, which starts fast and can be killed: it answers what it was sent.

`python echo_process.py NAME PORT SERVICE_TIME_S LOAD_TIME_S`; its health checks are answered with 503 while it loads.
SIGUSR1 turns fast 500s on and off, SIGUSR2 turns refusing connections on and off.
"""

import json
import signal
import sys
import threading
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.harness.stubs import Received, Script, StubPredictor, answers

TURNS = (signal.SIGUSR1, signal.SIGUSR2)


def main(name: str, port: str, service_time_s: str, load_time_s: str) -> None:
    """Serves until killed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, TURNS)  # in every thread to come: only `sigwait` takes them
    failing, listening = False, True

    def echo(request: Received) -> Script:
        stub.received.clear()  # a long run would keep them all
        if failing:
            return answers(500, b'{"error": "said"}')
        said = {"predictor": name, "echo": request.body.decode()}
        return answers(200, json.dumps(said).encode(), float(service_time_s))

    stub = StubPredictor(name, int(port))
    stub.script_for = echo
    stub.healthy = not float(load_time_s)
    threading.Timer(float(load_time_s), setattr, (stub, "healthy", True)).start()
    print(f"{name}: serving on http://127.0.0.1:{port}", flush=True)
    while True:
        if signal.sigwait(TURNS) == signal.SIGUSR1:
            failing = not failing
        else:
            stub.go_down() if listening else stub.go_up()
            listening = not listening


if __name__ == "__main__":
    main(*sys.argv[1:])
