"""A fixed linear model for MLServer, in a worker process of its own: one request at a time."""

import os
import time

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

SERVICE_TIME_S = float(os.environ.get("SERVICE_TIME_S", "0.15"))
WEIGHTS = np.array([0.5, -0.2, 1.0])


class Linear(MLModel):
    """Answers the scores of samples of three features."""

    async def load(self) -> bool:
        """Returns that it is ready: there is nothing to read."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Returns a score per sample, after the time that a larger model would take."""
        time.sleep(SERVICE_TIME_S)
        samples = NumpyCodec.decode_input(payload.inputs[0])
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("score", samples @ WEIGHTS)])
