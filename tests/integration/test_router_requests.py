"""What clients hear from the router before a real predictor, at its health check, and without re-sending."""

import json

import numpy as np
import pytest

from tests.harness.http_client import fetch
from tests.harness.processes import Router
from tests.harness.project import SAMPLE
from tests.harness.stage import Stage
from tests.harness.stubs import answers, resets
from tests.harness.waiting import wait_until


@pytest.fixture(scope="module")
def router(shared_stage: Stage) -> Router:
    """A router before a real predictor that adds no service time."""
    port = shared_stage.reserve_port()
    shared_stage.predictor("predict1", port, service_time_s=0.0).addresses(1)
    return shared_stage.router(shared_stage.topology("single", [port]))


def test_predict_get_answers_the_sample_and_who_made_it(router: Router) -> None:
    """The predictors' answer to GET is the one to a POST of their sample."""
    got, posted = fetch(router.url), fetch(router.url, body=SAMPLE)
    assert (got.status, posted.status) == (200, 200)
    assert got.json() == posted.json()
    assert got.predictor == posted.predictor == got.json()["predictor"] == "predict1"
    assert got.json()["prediction"] in ("malignant", "benign")


def test_predict_post_gives_scikit_learns_own_probabilities(router: Router) -> None:
    """A list of records gives a list, and each probability is the model's own on the same rows."""
    from sklearn.datasets import load_breast_cancer  # takes a second: not in every process that collects the tests

    from predictors.model import train

    model, rows = train(), load_breast_cancer().data[:40]
    records = [dict(zip(model.features, row.tolist(), strict=True)) for row in rows]
    made = fetch(router.url, body=json.dumps(records).encode()).json()
    expected = model.pipeline.predict_proba(rows)
    table = np.array([[one["probabilities"][name] for name in model.classes] for one in made])
    assert table == pytest.approx(expected, rel=1e-12)
    assert [one["prediction"] for one in made] == model.pipeline.predict(rows).tolist()
    assert [one["probability"] for one in made] == pytest.approx(expected.max(axis=1).tolist(), rel=1e-12)


def test_health_full_or_down_is_503_and_200_again_with_room(stage: Stage) -> None:
    """The router's own health is 200 while some predictor has room, else 503; it asks no predictor for it."""
    deployed = stage.deploy("single", "--threshold", "1", number=1)
    [stub] = deployed.stubs
    assert fetch(deployed.url, "/health").json() == {"status": "ok"}
    deployed.hold(1)
    assert fetch(deployed.url, "/health").status == 503
    for change, status in ((stub.release_held, 200), (stub.go_down, 503), (stub.go_up, 200)):
        change()
        wait_until(lambda status=status: fetch(deployed.url, "/health").status == status)  # type: ignore[misc]


def test_no_resend_sends_no_request_twice(stage: Stage) -> None:
    """`--no-resend`: a request that may have run is not sent again; one that was never sent still is."""
    deployed = stage.deploy("3active", "--no-resend", "--hold-down", "1")
    deployed.set(resets)
    assert deployed.fetch(None).refusal() == (502, "bad_answer")
    assert sum(deployed.received) == 1
    deployed.set(answers())
    for stub in deployed.stubs[:2]:
        stub.go_down()
    assert {deployed.fetch(None).status for _ in range(3)} == {200}
