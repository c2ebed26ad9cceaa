"""A fixed linear model behind BentoML: one worker process, one thread, at most four requests at a time, else 429."""

import os
import time

import bentoml

SERVICE_TIME_S = float(os.environ.get("SERVICE_TIME_S", "0.15"))
WEIGHTS = (0.5, -0.2, 1.0)


@bentoml.service(workers=1, traffic={"max_concurrency": 4})
class Linear:
    """Scores samples of three features."""

    @bentoml.api
    def predict(self, features: list[float]) -> float:
        """Returns the score, after the time that a larger model would take."""
        time.sleep(SERVICE_TIME_S)
        return sum(weight * feature for weight, feature in zip(WEIGHTS, features, strict=True))
