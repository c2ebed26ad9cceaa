"""A fixed linear model behind FastAPI: uvicorn loads it before it listens; requests are computed in threads."""

import os
import time

from fastapi import FastAPI
from pydantic import BaseModel

SERVICE_TIME_S = float(os.environ.get("SERVICE_TIME_S", "0.15"))
WEIGHTS = (0.5, -0.2, 1.0)

app = FastAPI()


class Sample(BaseModel):
    """One sample of three features."""

    features: tuple[float, float, float]


@app.get("/healthz")
async def health() -> dict[str, str]:
    """Answers that the process serves."""
    return {"status": "ok"}


@app.post("/score")
def score(sample: Sample) -> dict[str, float]:
    """Returns the score, after the time that a larger model would take."""
    time.sleep(SERVICE_TIME_S)
    return {"score": sum(weight * feature for weight, feature in zip(WEIGHTS, sample.features, strict=True))}
