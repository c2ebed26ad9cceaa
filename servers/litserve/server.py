"""A fixed linear model behind LitServe: one worker process takes one request at a time, the others queue."""

import os
import sys
import time

import litserve

SERVICE_TIME_S = float(os.environ.get("SERVICE_TIME_S", "0.15"))
WEIGHTS = (0.5, -0.2, 1.0)


class Linear(litserve.LitAPI):
    """Scores samples of three features."""

    def setup(self, device: str) -> None:
        """Has nothing to load."""

    def decode_request(self, request: dict[str, list[float]]) -> list[float]:
        """Returns the sample."""
        return request["features"]

    def predict(self, features: list[float]) -> float:
        """Returns the score, after the time that a larger model would take."""
        time.sleep(SERVICE_TIME_S)
        return sum(weight * feature for weight, feature in zip(WEIGHTS, features, strict=True))

    def encode_response(self, score: float) -> dict[str, float]:
        """Returns the answer's body."""
        return {"score": score}


if __name__ == "__main__":
    host, port = sys.argv[1:]
    server = litserve.LitServer(Linear(), accelerator="cpu", workers_per_device=1)
    server.run(host=host, port=int(port), num_api_servers=1, generate_client_file=False)
