"""Ray Serve with one deployment that does nothing, three replicas: what a serving framework's own router costs.

`python -m benchmarks.ray_router PORT`; needs Ray, which the project does not install. Its defaults, but for what the
router does not do either: no log line per request, no dashboard, no report of its use to Ray's makers.
"""

import os
import sys
import time
from importlib import import_module
from typing import Any


def main(port: int) -> None:
    """Serves until ended."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray, serve = import_module("ray"), import_module("ray.serve")

    class Nothing:
        async def __call__(self, request: Any) -> dict[str, str]:
            await request.body()
            return {"label": "benign"}

    quiet = {"enable_access_log": False}
    ray.init(num_cpus=4, log_to_driver=False, include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config=quiet)
    deployment = serve.deployment(num_replicas=3, max_ongoing_requests=10)(Nothing)
    serve.run(deployment.bind(), route_prefix="/", logging_config=quiet)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main(int(sys.argv[1]))
