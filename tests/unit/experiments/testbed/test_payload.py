"""What `--payload` and `--service-time-per-mb` come to, without a process."""

import hashlib
from pathlib import Path
from unittest.mock import Mock

import pytest

from cli import UsageError
from experiments.testbed import payload as payloads
from experiments.testbed.payload import choose_payload
from experiments.testbed.servers.probes import Outcome
from server_file import Server


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A JSON file of half a megabyte."""
    path = tmp_path / "large.json"
    path.write_bytes(b"[1]" + b" " * 499_997)
    return path


def test_prediction_of_a_payload_takes_the_fixed_part_and_its_share(large: Path) -> None:
    """Half a megabyte at 2 s per MB takes a second more; without a share it takes what any other takes."""
    payload, whole_s = choose_payload(str(large), 2.0, 0.3)
    assert payload is not None
    assert (payload.file, payload.content) == (large, large.read_bytes())
    assert payload.record.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
    assert (payload.record.file, payload.record.size_bytes, whole_s) == ("large.json", 500_000, 1.3)
    assert choose_payload(str(large), 0.0, 0.3)[1] == 0.3
    assert choose_payload(None, 0.0, 0.3) == (None, 0.3)


def test_share_without_a_payload_is_refused() -> None:
    """It would have no effect."""
    with pytest.raises(
        UsageError, match=r"--service-time-per-mb: 2: users send GET, which has no body: give --payload"
    ):
        choose_payload(None, 2.0, 1.0)


@pytest.mark.parametrize(("per_mb_s", "taken"), [(20.0, "10.3"), (19.4, "10")])
def test_prediction_that_takes_too_long_is_refused(large: Path, per_mb_s: float, taken: str) -> None:
    """Below 10 s in all, as the service time alone; just below is accepted."""
    with pytest.raises(UsageError, match=rf"with 500000 bytes a prediction takes {taken} s: give less, for below 10 s"):
        choose_payload(str(large), per_mb_s, 0.3)
    assert choose_payload(str(large), 19.39, 0.3)[1] < 10


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory: name a file relative to"),
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"[NaN]", "NaN is no JSON number"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b" " * 1_048_577, "over 1048576 bytes: the router takes no more"),
    ],
)
def test_payload_that_locust_would_refuse_is_refused_before_anything_starts(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    """The option, the file and the reason, in a line."""
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=told) as raised:
        choose_payload(str(path), 0.0, 1.0)
    assert str(raised.value).startswith(f"argument --payload: '{path}': ")
    assert "\n" not in str(raised.value)


def test_payload_that_a_predictor_refuses_is_told_with_its_answer(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that runs from the start is asked, with the payload as it is; a good answer is the end of it."""
    payload, _ = choose_payload(str(large), 0.0, 1.0)
    assert payload is not None
    deployment = Mock()
    deployment.topology.predictors, deployment.topology.cold.return_value = ["a", "b"], ["a"]
    deployment.address = lambda name: (name, 9000)
    asked = []
    outcomes = [Outcome(200, "answers 200 OK"), Outcome(400, "answers 400 Bad Request", b'{"error":\n"features"}')]

    def predict(server: Server, host: str, port: int, _: float) -> Outcome:
        asked.append((server.payload, host, port))
        return outcomes[len(asked) - 1]

    monkeypatch.setattr(payloads, "predict", predict)
    payload.require_accepted(deployment)
    with pytest.raises(UsageError, match=rf"'{large}': b answers 400 Bad Request: {{\"error\": \"features\"}}$"):
        payload.require_accepted(deployment)
    assert asked == [(large.read_bytes(), "b", 9000)] * 2
