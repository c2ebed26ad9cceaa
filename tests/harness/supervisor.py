"""A process manager with model servers of its own, none of which is a child of what gives it orders.

`supervisor.py serve FOLDER` puts itself into the background; `supervisor.py FOLDER start|stop|crash|hang|resume NAME
HOST PORT` gives it an order, as `supervisorctl` would, and `supervisor.py FOLDER end` ends it with all it has started.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

MODEL_SERVER = Path(__file__).parent / "model_servers" / "plain.py"
SIGNALS = {"stop": signal.SIGTERM, "crash": signal.SIGKILL, "hang": signal.SIGSTOP, "resume": signal.SIGCONT}
SOCKET = "control"


class Supervisor:
    """What has been started, by name."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def obey(self, order: str, name: str = "", host: str = "", port: str = "") -> str:
        """Returns what came of an order: nothing, or what is wrong with it."""
        process = self._running.get(name)
        if order == "start":
            if process is not None:
                return f"{name} is started already"
            command = [sys.executable, str(MODEL_SERVER), "--host", host, "--port", port, "--name", name]
            self._running[name] = subprocess.Popen(command)
            return ""
        if process is None:
            return f"{name} is not started"
        process.send_signal(SIGNALS[order])
        if order in ("stop", "crash"):
            process.wait()
            del self._running[name]
        return ""

    def end(self) -> None:
        """Kills all."""
        for name in list(self._running):
            self.obey("crash", name)


def serve(folder: str) -> None:
    """Goes into the background and takes orders until the one to end."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(Path(folder) / SOCKET))
    listener.listen()
    if os.fork():
        return
    os.setsid()
    supervisor = Supervisor()
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as stream:
            order = stream.readline().split()
            if order == ["end"]:
                supervisor.end()
                return
            stream.write(supervisor.obey(*order))


def give(folder: str, *order: str) -> str:
    """Gives an order; returns what was wrong with it, if anything."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(Path(folder) / SOCKET))
        with connection.makefile("rw") as stream:
            stream.write(" ".join(order) + "\n")
            stream.flush()
            return stream.read()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(give(*sys.argv[1:]) or 0)
