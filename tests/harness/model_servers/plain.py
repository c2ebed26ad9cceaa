"""A stand-in for FastAPI under uvicorn: one process, which answers what it has at SIGTERM and ends.

`python plain.py --port N [--service-time S] [--limit N] ...`; over its limit it answers 503, to health checks too,
as `uvicorn --limit-concurrency` does.
"""

import asyncio
import sys
from http import HTTPStatus
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.harness.model_servers.scoring import ModelServer, read_options


async def main(arguments: list[str]) -> None:
    """Serves until SIGTERM."""
    full = HTTPStatus.SERVICE_UNAVAILABLE
    await ModelServer(read_options(arguments), full, full).serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
