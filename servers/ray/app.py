"""A fixed linear model behind Ray Serve, on a Ray of its own: `python app.py HOST PORT`."""

import os
import sys
import threading
import time

import ray
from ray import serve
from starlette.requests import Request

SERVICE_TIME_S = float(os.environ.get("SERVICE_TIME_S", "0.15"))
WEIGHTS = (0.5, -0.2, 1.0)


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0})
class Linear:
    """Scores samples of three features."""

    async def __call__(self, request: Request) -> dict[str, float]:
        """Returns the score, after the time that a larger model would take."""
        features = (await request.json())["features"]
        time.sleep(SERVICE_TIME_S)
        return {"score": sum(weight * feature for weight, feature in zip(WEIGHTS, features, strict=True))}


if __name__ == "__main__":
    host, port = sys.argv[1:]
    ray.init(address="local", include_dashboard=False)
    serve.start(http_options={"host": host, "port": int(port)})
    serve.run(Linear.bind(), route_prefix="/predict")
    threading.Event().wait()
