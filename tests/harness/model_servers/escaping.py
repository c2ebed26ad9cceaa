"""A stand-in for BentoML: the leader starts a worker in a session of its own, which alone serves the port.

`python escaping.py --port N [--service-time S] [--limit N] ...`; over its limit it answers 429, and to health checks
200. SIGKILL to the leader's group leaves the worker, which serves on, and a second start ends: address already in use.
"""

import asyncio
import signal
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.harness.model_servers.scoring import ModelServer, read_options

WORKER = "--worker"


def lead(arguments: list[str]) -> int:
    """Starts the worker, passes SIGTERM on to it, and returns its exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    worker = subprocess.Popen([sys.executable, __file__, WORKER, *arguments], start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: worker.terminate())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    return worker.wait()


async def work(arguments: list[str]) -> None:
    """Serves until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    await ModelServer(read_options(arguments), HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.OK).serve()


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        asyncio.run(work(sys.argv[2:]))
    else:
        sys.exit(lead(sys.argv[1:]))
