"""A fixed linear model in MLflow's pyfunc format."""

import os
import time
from pathlib import Path

import numpy as np

SERVICE_TIME_S = float(os.environ.get("SERVICE_TIME_S", "0.15"))
WEIGHTS = np.array([0.5, -0.2, 1.0])


class Linear:
    """Scores samples of three features."""

    def predict(self, samples: np.ndarray) -> np.ndarray:
        """Returns a score per sample, after the time that a larger model would take."""
        time.sleep(SERVICE_TIME_S)
        return np.asarray(samples) @ WEIGHTS


def _load_pyfunc(path: Path) -> Linear:
    return Linear()
