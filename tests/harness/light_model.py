"""Takes the place of predictors/model.py where no test looks at a prediction: it loads at once.

Its answer tells the record: no two that differ are answered alike.
"""

import json
import zlib
from typing import Any, NamedTuple


class InputError(ValueError):
    """The body is no JSON."""

    field: str | None = None
    row: int | None = None


class Records(NamedTuple):
    """Whatever was sent, as a list."""

    rows: list[Any]
    is_list: bool


class Model:
    """Predicts one class with a probability that is a checksum of the record."""

    features = ()

    def predict(self, rows: list[Any]) -> list[dict[str, Any]]:
        """One prediction for each row."""
        checksums = [zlib.crc32(json.dumps(row).encode()) for row in rows]
        return [{"prediction": "malignant", "probability": checksum / 2**32} for checksum in checksums]


def train() -> Model:
    """Returns the model."""
    return Model()


def parse_records(body: bytes, _: tuple[str, ...]) -> Records:
    """Returns the JSON value, or those of a list. Raises InputError for what is no JSON."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise InputError(str(error)) from error
    return Records(value if isinstance(value, list) else [value], isinstance(value, list))
