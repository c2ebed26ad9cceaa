"""The request that users send: as the files say it, byte for byte, in one process and in workers."""

import json
from pathlib import Path

from tests.unit.locust.scripts import printed

SENT = r"""
import os, requests
from locust.rpc import Message
from prediction import prediction_of
from swarm import Prediction
os.environ["KEY"] = "  s3cret "
def sent(prediction):
    options = {"prediction": prediction}
    told = Message.unserialize(Message("spawn", {"parsed_options": options}, "w").serialize()).data["parsed_options"]
    for each in (prediction, Prediction(*told["prediction"])):
        arguments = each.arguments()
        made = requests.Request(url=f"http://h{each.path}", **arguments).prepare()
        headers = {name: value for name, value in made.headers.items() if name != "Content-Length"}
        yield [made.method, made.path_url, headers, (made.body or b"").hex(), made.headers.get("Content-Length")]
cases = ((None, None), (SERVER, None), (EMPTY, None), (BARE, SAMPLE))
print(json.dumps([list(sent(prediction_of(*case))) for case in cases]))
"""

OVERSIZE = r"""
import requests
from steady import prediction_of_kind
for kind in ("normal", "surge", "oversize"):
    prediction = prediction_of_kind(kind, SERVER)
    made = requests.Request(url=f"http://h{prediction.path}", **prediction.arguments()).prepare()
    print(made.method, made.path_url, made.headers["Content-Length"], made.headers["X-A"], made.headers["Connection"])
"""


def test_request_of_a_server_file_is_the_same_in_a_worker(tmp_path: Path) -> None:
    """Every byte of the payload, no text at all, and the variables' values in the headers reach what is sent."""
    every = bytes(range(256))
    (tmp_path / "every.bin").write_bytes(every)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "sample.json").write_bytes(b" [1]\n")
    headers = {"X-Key": "{env:KEY}"}
    files = {
        "SERVER": {"path": "/v1/score?a=b", "payload": "every.bin", "content_type": "image/png", "headers": headers},
        "EMPTY": {"payload": "empty"},
        "BARE": {"path": "/score", "content_type": "application/vnd.mine+json"},
    }
    names = {"SAMPLE": str(tmp_path / "sample.json")}
    for name, document in files.items():
        names[name] = str(tmp_path / f"{name}.json")
        Path(names[name]).write_text(json.dumps(document))
    given = "".join(f"{name} = {path!r}\n" for name, path in names.items())
    assert json.loads(printed(given + SENT)) == [
        [each, each]
        for each in (
            ["GET", "/predict", {}, "", None],
            ["POST", "/v1/score?a=b", {"X-Key": "s3cret", "Content-Type": "image/png"}, every.hex(), "256"],
            ["POST", "/predict", {"Content-Type": "application/json"}, "", "0"],
            ["POST", "/score", {"Content-Type": "application/vnd.mine+json"}, b" [1]\n".hex(), "5"],
        )
    ]  # fmt: skip


def test_steady_load_sends_the_payload_and_the_oversize_kind_its_own(tmp_path: Path) -> None:
    """Kinds differ in when they are sent; oversize alone in what, and not in where."""
    (tmp_path / "body").write_bytes(b"\xff\x00")
    server = tmp_path / "mine.json"
    server.write_text(json.dumps({"path": "/score", "payload": "body", "headers": {"X-A": "b"}}))
    lines = printed(f"SERVER = {str(server)!r}\n{OVERSIZE}").splitlines()
    assert lines == ["POST /score 2 b close", "POST /score 2 b close", f"POST /score {2**30} b close"]
