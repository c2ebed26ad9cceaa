"""The model: its reading of records and its predictions, without a server."""

import functools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.project import SAMPLE as SAMPLE_FILE

if TYPE_CHECKING:  # importing scikit-learn takes a second, which only the process that runs these tests needs
    from predictors.model import InputError, Model, Records

SAMPLE: dict[str, Any] = json.loads(SAMPLE_FILE)
FEATURES = tuple(SAMPLE)
MAX_ROWS, MAX_MAGNITUDE = 1_000, 1e12
NUMBERS = st.floats(-MAX_MAGNITUDE, MAX_MAGNITUDE)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)

# The examples' own time says nothing about the rule: a busy machine must not fail them.
examples = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@functools.cache
def model() -> "Model":
    """The trained model."""
    from predictors.model import train

    return train()


@functools.cache
def data() -> Any:
    """The data of which a part has trained it."""
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer()


def parsed(body: bytes) -> "Records":
    """The records in the body."""
    from predictors.model import parse_records

    return parse_records(body, FEATURES)


def encoded(value: Any) -> bytes:
    """The value as a client would send it; NaN and Infinity as the bare words that json writes."""
    return json.dumps(value).encode()


def error_of(body: bytes) -> "InputError":
    """The error that reading `body` raises."""
    from predictors.model import InputError

    with pytest.raises(InputError) as caught:
        parsed(body)
    return caught.value


def with_text(name: str, text: str) -> bytes:
    """The sample with `name`'s value replaced by `text`, written as it stands."""
    return encoded({**SAMPLE, name: "@"}).replace(b'"@"', text.encode())


def records(rows: Any) -> list[dict[str, float]]:
    """Rows of numbers as records."""
    return [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()]


def test_predict_every_row_of_the_data_equals_scikit_learn() -> None:
    """Through JSON and back, every probability is exactly scikit-learn's own for the same rows."""
    found = parsed(encoded(records(data().data)))
    expected = model().pipeline.predict_proba(data().data)
    made = model().predict(found.rows)
    assert [list(one["probabilities"].values()) for one in made] == expected.tolist()
    assert [one["prediction"] for one in made] == model().pipeline.predict(data().data).tolist()


def test_predict_one_row_equals_the_same_row_in_a_list() -> None:
    """A record's prediction does not depend on the records sent with it."""
    together = model().predict(data().data[:20])
    alone = [model().predict(data().data[index : index + 1])[0] for index in range(20)]
    for one, other in zip(together, alone, strict=True):
        assert one["prediction"] == other["prediction"]
        assert one["probability"] == pytest.approx(other["probability"], rel=1e-12)


def test_predict_probability_is_that_of_the_predicted_class() -> None:
    """`probability` belongs to `prediction`, the most probable of all classes."""
    for one in model().predict(data().data[:50]):
        assert one["probability"] == one["probabilities"][one["prediction"]]
        assert one["probability"] == max(one["probabilities"].values())
        assert set(one["probabilities"]) == {"malignant", "benign"}


def test_predict_unseen_rows_are_mostly_right() -> None:
    """On the fifth of the data that training never saw, at least 95 % of the predictions are true."""
    from sklearn.model_selection import train_test_split

    from predictors.model import SEED

    names = data().target_names[data().target]
    _, rows, _, truth = train_test_split(data().data, names, test_size=0.2, stratify=names, random_state=SEED)
    right = [one["prediction"] == name for one, name in zip(model().predict(rows), truth, strict=True)]
    assert sum(right) >= 0.95 * len(right)


def test_train_twice_gives_the_same_model() -> None:
    """Two predictors give the same answer to the same record."""
    from predictors.model import train

    assert train().predict(data().data[:30]) == model().predict(data().data[:30])


@examples
@given(st.lists(NUMBERS, min_size=len(FEATURES), max_size=len(FEATURES)), st.randoms())
def test_predict_any_accepted_numbers_gives_probabilities(values: list[float], random: Any) -> None:
    """Whatever passes the check has finite probabilities that add up to 1; the order of features is free."""
    pairs = list(zip(FEATURES, values, strict=True))
    random.shuffle(pairs)
    found = parsed(encoded(dict(pairs)))
    assert found.rows.tolist() == [values]
    assert sum(model().predict(found.rows)[0]["probabilities"].values()) == pytest.approx(1.0)


def test_sample_file_is_a_record_of_the_data() -> None:
    """The sample that the project ships is one real record, complete."""
    found = parsed(SAMPLE_FILE)
    assert model().features == FEATURES
    assert not found.is_list
    assert found.rows.tolist()[0] in data().data.tolist()


def test_parse_one_record_and_a_list_of_one_are_told_apart() -> None:
    """A list gives a list, even a list of one."""
    assert not parsed(encoded(SAMPLE)).is_list
    assert parsed(encoded([SAMPLE])).is_list


def test_parse_whole_numbers_are_numbers() -> None:
    """JSON has one kind of number: 17 is as good as 17.0."""
    found = parsed(encoded(dict.fromkeys(FEATURES, 17)))
    assert np.array_equal(found.rows, np.full((1, len(FEATURES)), 17.0))


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1.1e12", "9" * 5_000, "-" + "9" * 5_000),
        *("true", "false", "null", '"17.99"', '"NaN"', '""', "[]", "[17.99]", "{}", '{"a": 1}'),
    ],
)
def test_parse_value_that_is_no_finite_number_names_field_and_row(text: str) -> None:
    """Only finite JSON numbers are accepted: the error names feature, row, what is accepted, and what was written."""
    error = error_of(with_text("mean area", text))
    assert (error.field, error.row) == ("mean area", None)
    assert '"mean area"' in str(error)
    assert "accepted: a finite number" in str(error)
    assert len(text) > 20 or text[0] in "[{" or f'"mean area" is {text};' in str(error)
    row_error = error_of(b"[" + encoded(SAMPLE) + b"," + with_text("mean area", text) + b"]")
    assert (row_error.field, row_error.row) == ("mean area", 1)
    assert str(row_error).startswith("row 1 ")


def without(name: str) -> dict[str, float]:
    """The sample without a feature."""
    return {each: value for each, value in SAMPLE.items() if each != name}


MISSPELT = encoded(without("mean area") | {"Mean area": 1.0})


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        (encoded(without("worst area")), "worst area", 'missing "worst area"'),
        (encoded(SAMPLE | {"mean_area": 1.0}), "mean_area", 'unknown "mean_area"'),
        (MISSPELT, "Mean area", 'unknown "Mean area" and missing "mean area"'),
        (encoded(SAMPLE)[:-1] + b', "mean area": 1001.0}', "mean area", "given twice"),
    ],
    ids=["missing", "unknown", "misspelt", "repeated"],
)
def test_parse_wrong_set_of_features_is_refused_by_name(body: bytes, field: str, text: str) -> None:
    """Exactly the model's features, each once: another one may be a misspelt one, a key given twice has no meaning."""
    for sent, row in ((body, None), (b"[" + body + b"]", 0)):
        error = error_of(sent)
        assert (error.field, error.row) == (field, row)
        assert text in str(error)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"mean area=1", "not JSON"),
        (b'{"mean area": 1', "not JSON"),
        (b"{}{}", "not JSON"),
        (b'{"mean area": 01}', "not JSON"),
        (b'{"mean area": nan}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"mean \xff": 1}', "not UTF-8 at byte 7"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8 at byte 0"),
        (b"[" * 100_000, "nested too deep"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"[[[[]]]]", "row 0 (the first is 0): this is a list"),
        (b"[1]", "row 0 (the first is 0): this is 1.0"),
        (b"[]", "has 0 records"),
        (b"17", "the body is 17.0"),
        (b"NaN", "the body is NaN"),
        (b'"text"', 'the body is "text"'),
        (b"null", "the body is null"),
        (b"9" * 5_000, "the body is 9"),
    ],
)
def test_parse_body_that_holds_no_records_says_why(body: bytes, reason: str) -> None:
    """Anything but an object or a list of objects in JSON is refused with its own reason."""
    assert reason in str(error_of(body))


def test_parse_list_at_the_limit_is_accepted_and_one_more_refused() -> None:
    """A request has at most MAX_ROWS records, and the error says how many came."""
    assert parsed(encoded([SAMPLE] * MAX_ROWS)).rows.shape == (MAX_ROWS, len(FEATURES))
    error = error_of(encoded([SAMPLE] * (MAX_ROWS + 1)))
    assert f"{MAX_ROWS + 1} records; accepted: 1 to {MAX_ROWS}" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        encoded({"x" * 500_000: 1}),
        encoded({f"x{index}": 1 for index in range(50_000)}),
        with_text("mean area", '"' + "x" * 500_000 + '"'),
        with_text("mean area", "9" * 500_000),
        b'{"' + b"x" * 100_000 + b'": 1, "' + b"x" * 100_000 + b'": 1}',
        b'"' + b"x" * 500_000 + b'"',
    ],
)
def test_parse_error_stays_short_whatever_was_sent(body: bytes) -> None:
    """An error never sends the client's own megabytes back."""
    error = error_of(body)
    assert len(str(error)) < 1_500
    assert len(error.field or "") < 50


@examples
@given(ANY_JSON | st.dictionaries(st.sampled_from(FEATURES), ANY_JSON))
def test_parse_any_json_is_read_or_refused(value: Any) -> None:
    """No JSON, however odd, raises anything but InputError."""
    assert str(error_of(encoded(value)))


@examples
@given(st.binary() | st.text('[]{}",:0123456789.eE-+ \\unatrfls').map(str.encode))
def test_parse_any_bytes_are_refused(body: bytes) -> None:
    """No bytes, however broken, raise anything but InputError."""
    assert str(error_of(body))


@examples
@given(st.sampled_from(FEATURES), ANY_JSON)
def test_parse_one_odd_value_is_read_or_refused_by_name(name: str, value: Any) -> None:
    """In an otherwise good record, a value is a number that arrives unchanged, or an error of its field."""
    body = encoded({**SAMPLE, name: value})
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and abs(value) <= MAX_MAGNITUDE:
        assert parsed(body).rows[0, FEATURES.index(name)] == float(value)
    else:
        assert error_of(body).field == name
