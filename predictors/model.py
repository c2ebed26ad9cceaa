"""The model: reads records strictly, predicts their class. No Flask, no network, no files.

A logistic regression on the breast cancer data of Wisconsin that scikit-learn ships: 30 measurements of the
cell nuclei in a biopsy, two classes. It is trained at start, in some milliseconds; nothing is ever unpickled.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

MAX_ROWS = 1_000
# Far beyond any measurement, far below where scaling and summing the features would overflow.
MAX_MAGNITUDE = 1e12
SEED = 2022
MAX_SHOWN_CHARACTERS = 40
MAX_SHOWN_NAMES = 5

Rows = NDArray[np.float64]


class InputError(ValueError):
    """The client's data cannot be used; the message has what is wrong, where, and what is accepted.

    `field` is the feature concerned (cut to 40 characters), `row` the record's index in the list, counted
    from 0; each is None where there is none.
    """

    def __init__(self, message: str, field: str | None = None, row: int | None = None) -> None:
        """`message` stands alone: it names field and row itself."""
        super().__init__(message)
        self.field = field
        self.row = row


class Records(NamedTuple):
    """Validated input: `rows` has shape (records, features); `is_list`: sent as a list, if only of one."""

    rows: Rows
    is_list: bool


class Prediction(TypedDict):
    """The most probable class, the probability of that class, and the probability of every class."""

    prediction: str
    probability: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Model:
    """A fitted pipeline with the names of its features (in column order) and of its classes."""

    pipeline: Pipeline
    features: tuple[str, ...]
    classes: tuple[str, ...]

    def predict(self, rows: Rows) -> list[Prediction]:
        """Returns one prediction per row; the probabilities are scikit-learn's `predict_proba` of these rows.

        `rows` has shape (records, features) and holds finite numbers only, as `parse_records` makes them.
        """
        return [self._prediction(row) for row in self.pipeline.predict_proba(rows).tolist()]

    def _prediction(self, probabilities: list[float]) -> Prediction:
        best = probabilities.index(max(probabilities))
        return {
            "prediction": self.classes[best],
            "probability": probabilities[best],
            "probabilities": dict(zip(self.classes, probabilities, strict=True)),
        }


def train() -> Model:
    """Returns the model, fitted on four fifths of the data, always the same; the rest is left to measure it by."""
    data = load_breast_cancer()
    names = data.target_names[data.target]
    rows, _, targets, _ = train_test_split(data.data, names, test_size=0.2, stratify=names, random_state=SEED)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(random_state=SEED))
    pipeline.fit(rows, targets)
    return Model(pipeline, tuple(map(str, data.feature_names)), tuple(map(str, pipeline.classes_)))


def parse_records(body: bytes, features: Sequence[str]) -> Records:
    """Returns one record (a JSON object: feature -> number) or a list of them, in UTF-8, as rows.

    Raises InputError for everything else.
    """
    value = _read_json(body)
    if isinstance(value, _Object):
        return Records(np.array([_row(value, features, None)]), is_list=False)
    if not isinstance(value, list):
        raise InputError(f"the body is {_display(value)}; accepted: a JSON object or a list of them")
    if not 1 <= len(value) <= MAX_ROWS:
        raise InputError(f"the list has {len(value)} records; accepted: 1 to {MAX_ROWS}")
    return Records(np.array([_row(each, features, index) for index, each in enumerate(value)]), is_list=True)


class _Unusable(str):
    """A number, as it was written, that JSON or the model does not know: NaN, Infinity, 1e999.

    The JSON reader does not know which field it is in; so it leaves this mark for the check that does.
    """

    __slots__ = ()


class _Object(dict[str, Any]):
    """A JSON object that remembers the first key it was given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: str | None = None
        if len(self) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            self.repeated = next(key for key, count in counts.items() if count > 1)


def _read_json(body: bytes) -> Any:
    """Returns the body as Python values: every number a float or _Unusable, every object an _Object."""
    if not body.strip():
        raise InputError("the body is empty; accepted: a JSON object or a list of them")
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"the body is not UTF-8 at byte {error.start}; accepted: JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"the body is not JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise InputError("the body is nested too deep; accepted: a JSON object or a list of them") from None


def _number(text: str) -> float | _Unusable:
    # Integers too: float() reads any number of digits, int() refuses more than sys.get_int_max_str_digits().
    value = float(text)
    return value if abs(value) <= MAX_MAGNITUDE else _Unusable(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_Object, parse_float=_number, parse_int=_number, parse_constant=_Unusable)


def _row(record: Any, features: Sequence[str], row: int | None) -> list[float]:
    """Returns the record's values in the order of `features`. Raises InputError, naming `row` if there is one."""
    location = "" if row is None else f"row {row} (the first is 0): "
    if not isinstance(record, _Object):
        text = f"{location}this is {_display(record)}; accepted: a JSON object, feature -> number"
        raise InputError(text, row=row)
    if (name := record.repeated) is not None:
        raise InputError(f"{location}feature {_display(name)} is given twice; accepted: once", _cut(name), row)
    if record.keys() != set(features):
        raise _wrong_names(record, features, location, row)
    for name in features:
        if not isinstance(record[name], float):
            accepted = f"a finite number from {-MAX_MAGNITUDE:g} to {MAX_MAGNITUDE:g}"
            text = f"{location}feature {_display(name)} is {_display(record[name])}; accepted: {accepted}"
            raise InputError(text, name, row)
    return [record[name] for name in features]


def _wrong_names(record: _Object, features: Sequence[str], location: str, row: int | None) -> InputError:
    known = set(features)
    unknown = [name for name in record if name not in known]
    missing = [name for name in features if name not in record]
    faults = {"unknown": unknown, "missing": missing}
    text = " and ".join(f"{kind} {_join_names(names)}" for kind, names in faults.items() if names)
    accepted = f"exactly these {len(features)}, each with a number: {', '.join(features)}"
    return InputError(f"{location}features {text}; accepted: {accepted}", _cut((unknown or missing)[0]), row)


def _join_names(names: list[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN_NAMES} more" if len(names) > MAX_SHOWN_NAMES else ""
    return ", ".join(map(_display, names[:MAX_SHOWN_NAMES])) + more


def _display(value: Any) -> str:
    """Returns the value for an error message: short whatever the client sent; containers by their kind only."""
    match value:
        case _Unusable():
            return _cut(value)
        case str():
            return json.dumps(_cut(value), ensure_ascii=False)
        case dict():
            return "an object"
        case list():
            return "a list"
    return json.dumps(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "..."
