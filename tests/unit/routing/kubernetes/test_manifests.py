"""A topology as Kubernetes manifests: what its schemas accept, and what a topology and a server file become there."""

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cli import run_command
from routing import topology as topology_file
from routing.kubernetes.__main__ import main
from routing.kubernetes.manifests import to_yaml
from server_file import read as read_server
from serving.request import BODY_TIMEOUT_S
from tests.harness.kubelet import Container, write_config_map
from tests.harness.project import ROOT
from tests.harness.server_files import HOSTILE, full_server

SHIPPED = sorted((ROOT / "topology").glob("*.json"))
SCHEMAS = "1.37"
IMAGE = "registry.example/rig:1"
ONE = {"a": {"status": True, "load": 0, "port": 9696}}
Manifests = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command in this process; returns its exit status, what it prints and what it says."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kubernetes", "--image", IMAGE, *map(str, words)])
        try:
            run_command("routing.kubernetes", main)
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def made(command: Any, tmp_path: Path) -> Any:
    """Makes the manifests of a topology, a file or its entries, by kind and name."""

    def make(topology: object, *words: object) -> Manifests:
        path = topology if isinstance(topology, Path) else write(tmp_path / "own.json", topology)
        status, out, err = command(path, *words)
        assert (status, err) == (0, "")
        return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(out)}

    return make


def write(path: Path, document: object) -> Path:
    """Writes a JSON file."""
    path.write_text(json.dumps(document))
    return path


def container(manifests: Manifests, kind: str, name: str) -> dict[str, Any]:
    """The one container of its pods."""
    [only] = manifests[kind, name]["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def predictors_of(manifests: Manifests) -> dict[str, dict[str, Any]]:
    """Pod -> its entry of the router's topology file."""
    [text] = [text for name, text in manifests["ConfigMap", "router"]["data"].items() if name != "server.json"][:1]
    document = json.loads(text)
    assert isinstance(document, dict)
    return document


def test_manifests_of_all_shipped_topologies_are_valid(made: Any, tmp_path: Path) -> None:
    """Strictly, by Kubernetes' own schemas: no unknown key, nothing missing; and so with a server file of all keys."""
    secret = write(tmp_path / "secret.json", {"health": None, "headers": {"Authorization": "Bearer {env:KEY}"}})
    variants: list[tuple[object, ...]] = [(path,) for path in SHIPPED]
    variants.append((ROOT / "topology" / "2cold.json", "--server", full_server(tmp_path), "--workdir", "/srv"))
    variants.append((ONE, "--server", secret, "--engine", "haproxy"))
    distinct = {json.dumps(each): each for words in variants for each in made(*words).values()}
    for each in distinct.values():
        kubernetes_validate.validate(each, SCHEMAS, strict=True)
    misspelt = {**made(ONE)["Service", "router"], "spec": {"selectors": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, SCHEMAS, strict=True)


def test_predictors_that_are_alike_are_one_stateful_set(made: Any) -> None:
    """Actives, the standby, other servers and regions by themselves; the topology file names the pods, in its order."""
    entries = {
        "s": {"status": False, "load": 0, "port": 1},
        "a": {"status": True, "load": 0, "port": 2, "region": "EU.west_1"},
        "b": {"status": True, "load": 0, "port": "3", "region": "EU.west_1", "capacity": 3},
        "c": {"status": True, "load": 0, "port": 4, "region": "EU.west_1"},
        "d": {"status": False, "load": 0, "port": 5, "standby": "cold"},
    }
    manifests = made(entries, "--threshold", 7)
    assert {
        pod: (entry["host"], entry["port"], entry["capacity"]) for pod, entry in predictors_of(manifests).items()
    } == {
        "standby-0": ("standby-0.predictors", 1, 7),
        "predictor-eu-west-1-0": ("predictor-eu-west-1-0.predictors", 2, 7),
        "predictor-eu-west-1-2-0": ("predictor-eu-west-1-2-0.predictors", 3, 3),
        "predictor-eu-west-1-1": ("predictor-eu-west-1-1.predictors", 2, 7),
        "cold-standby-0": ("cold-standby-0.predictors", 5, 7),
    }
    sets = {name: each["spec"] for (kind, name), each in manifests.items() if kind == "StatefulSet"}
    assert {name: (spec["replicas"], spec["template"]["spec"].get("nodeSelector")) for name, spec in sets.items()} == {
        "standby": (1, None),
        "predictor-eu-west-1": (2, {"topology.kubernetes.io/zone": "EU.west_1"}),
        "predictor-eu-west-1-2": (1, {"topology.kubernetes.io/zone": "EU.west_1"}),
        "cold-standby": (0, None),
    }


def test_selectors_of_services_and_sets_choose_their_own_pods(made: Any) -> None:
    """Each set its own, the headless Service all of them, the public one the router alone."""
    manifests = made(ROOT / "topology" / "2active.json")
    labels = {name: each["spec"]["template"]["metadata"]["labels"].items() for (kind, name), each in manifests.items()
              if kind in ("StatefulSet", "Deployment")}  # fmt: skip

    def chosen(selector: dict[str, str]) -> set[str]:
        return {name for name, own in labels.items() if selector.items() <= own}

    for name in labels:
        kind = "Deployment" if name == "router" else "StatefulSet"
        assert chosen(manifests[kind, name]["spec"]["selector"]["matchLabels"]) == {name}
    assert chosen(manifests["Service", "predictors"]["spec"]["selector"]) == {"predictor", "standby"}
    assert chosen(manifests["Service", "router"]["spec"]["selector"]) == {"router"}
    budget = manifests["PodDisruptionBudget", "predictors"]["spec"]
    assert chosen(budget["selector"]["matchLabels"]) == {"predictor", "standby"}


def test_server_file_reaches_process_and_router_unchanged(made: Any, tmp_path: Path) -> None:
    """Words, variables, payload and headers survive YAML and Kubernetes' own `$`; the router's copy reads the same."""
    path = full_server(tmp_path)
    manifests = made(ONE, "--server", path, "--predictor-image", "model:2", "--workdir", "/srv")
    own = container(manifests, "StatefulSet", "predictor")
    process = Container(own, "predictor-0", "0.0.0.0", tmp_path)
    words = ["serve", HOSTILE.replace("{port}", "port"), "--name", "predictor-0", "--at", "0.0.0.0:9696", "9698"]
    assert process.words(own["command"]) == words
    environment = process.environment()
    assert environment["TEXT"] == HOSTILE.replace("{port}", "9696")
    assert {name: environment[name] for name in ("WHO", "PORT", "HOST", "NAME", "PORT3")} == {
        "WHO": "predictor-0/9697", "PORT": "1", "HOST": "0.0.0.0", "NAME": "predictor-0", "PORT3": "9698",
    }  # fmt: skip
    assert (own["image"], own["workingDir"]) == ("model:2", "/srv")
    folder = tmp_path / "mounted"
    folder.mkdir()
    write_config_map(manifests["ConfigMap", "router"], folder, {})
    there, here = read_server(folder / "server.json"), read_server(path)
    routers = ("path", "health", "payload", "content_type", "headers", "health_interval_s", "health_timeout_s")
    assert [getattr(there, key) for key in routers] == [getattr(here, key) for key in routers]
    [entry] = topology_file.read(folder / "own.json", 99, server=there).entries
    assert (entry.name, entry.capacity) == ("predictor-0", 4)


@given(
    st.text(alphabet=st.sampled_from(" \n\t\r:#-'\"|>%@`&*!{}[]?,~=yn01.\\\x85\u2028\ufeff\x00\x1b\u00e9\U0001f600"))
)
def test_any_text_comes_back_from_yaml(text: str) -> None:
    """As a value and as a key."""
    document = {"key": [text], text: "value"}
    assert yaml.safe_load(to_yaml(document)) == document


@pytest.mark.parametrize("text", ["y", "N", "yes", "0o17", "1_0", "12:30", "1e3", "~", ".5", "-0o7", "=", "null", "on"])
def test_text_that_some_yaml_takes_for_something_else_is_quoted(text: str) -> None:
    """Go's reads `y` as true and `0o17` as a number, Python's as texts."""
    assert to_yaml({"key": text}) == f"key: '{text}'\n"


@pytest.mark.parametrize(
    "payload", [b'{"a": "\xc3\xa9\xf0\x9f\x98\x80\xc2\x85\xe2\x80\xa8"}\n\n', b" \r\n\ttext \n ", b"\xef\xbb\xbf[]"]
)
def test_payload_is_kept_byte_for_byte(made: Any, tmp_path: Path, payload: bytes) -> None:
    """Whatever it holds: a text is shown as one, another as base64."""
    (tmp_path / "body").write_bytes(payload)
    manifests = made(ONE, "--server", write(tmp_path / "server.json", {"payload": "body"}))
    assert manifests["ConfigMap", "router"]["data"]["payload"].encode() == payload


def test_probes_ask_what_the_server_file_says(made: Any, tmp_path: Path) -> None:
    """With its headers and times, rounded up to whole seconds; it may load for as long as the rig would wait."""
    own = container(made(ONE, "--server", full_server(tmp_path)), "StatefulSet", "predictor")
    headers = [{"name": "X-Own", "value": "yes # 'no' \"null\""}]
    get = {"path": "/up?deep=1", "port": 9696, "httpHeaders": headers}
    assert own["readinessProbe"]["httpGet"] == own["startupProbe"]["httpGet"] == get
    assert (own["readinessProbe"]["periodSeconds"], own["readinessProbe"]["timeoutSeconds"]) == (3, 2)
    assert own["startupProbe"]["failureThreshold"] * own["startupProbe"]["periodSeconds"] == 901
    assert "livenessProbe" not in own  # busy is not broken: it would be restarted for having much to do


@pytest.mark.parametrize("keys", [{"health": None}, {"headers": {"Authorization": "Bearer {env:MODEL_KEY}"}}])
def test_probe_is_a_connection_where_it_can_send_no_request(made: Any, tmp_path: Path, keys: dict[str, object]) -> None:
    """There is no health check, or it needs what only a Secret may hold."""
    manifests = made(ONE, "--server", write(tmp_path / "server.json", {"command": "serve", **keys}))
    assert container(manifests, "StatefulSet", "predictor")["readinessProbe"]["tcpSocket"] == {"port": 9696}


def test_secret_is_referred_to_and_stands_nowhere(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The router's container has the variable from a Secret, which the first comment says how to make."""
    monkeypatch.setenv("MODEL_KEY", "a-very-secret-value")
    server = write(
        tmp_path / "server.json", {"command": "serve", "headers": {"Authorization": "Bearer {env:MODEL_KEY}"}}
    )
    status, out, err = command(write(tmp_path / "own.json", ONE), "--server", server)
    assert (status, err) == (0, "")
    assert "a-very-secret-value" not in out
    assert (
        'kubectl create secret generic predictor-headers --from-literal=MODEL_KEY="$MODEL_KEY"'
        in out.partition("---")[0]
    )
    manifests = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(out)}
    [variable] = container(manifests, "Deployment", "router")["env"]
    assert variable == {
        "name": "MODEL_KEY",
        "valueFrom": {"secretKeyRef": {"name": "predictor-headers", "key": "MODEL_KEY"}},
    }


def test_grace_periods_outlast_the_deadline(made: Any, tmp_path: Path) -> None:
    """A predictor's, and what it says that it needs; the router's beside the time until nobody sends to it any more."""
    manifests = made(ONE, "--deadline", "20.5")

    def grace_s(kind: str, name: str) -> float:
        seconds: float = manifests[kind, name]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        return seconds

    assert grace_s("StatefulSet", "predictor") > 20.5
    [sleep, pause_s] = container(manifests, "Deployment", "router")["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    assert grace_s("Deployment", "router") > int(pause_s) + 20.5 + BODY_TIMEOUT_S
    manifests = made(ONE, "--server", full_server(tmp_path))
    assert grace_s("StatefulSet", "predictor") > 33


def test_router_starts_anew_where_its_files_change(made: Any) -> None:
    """A pod does not notice another ConfigMap: its template has to differ, and only then."""

    def template(*words: object) -> Any:
        return made(ONE, *words)["Deployment", "router"]["spec"]["template"]["metadata"]

    assert template() == template() != template("--threshold", 11)


def test_image_without_a_command_of_the_server_file_starts_as_it_is_made(made: Any, tmp_path: Path) -> None:
    """As the images of model servers do; the rig's own predictor is started by its file."""
    server = write(tmp_path / "server.json", {"path": "/score"})
    assert "command" not in container(made(ONE, "--server", server), "StatefulSet", "predictor")
    assert container(made(ONE), "StatefulSet", "predictor")["command"][:2] == ["python", "predictors/predict1.py"]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"host": "10.0.0.11"}, 'own.json: a: host is "10.0.0.11": a pod gets a name of its own: leave host out'),
        ({"region": "Zürich"}, "own.json: a: region is"),
        ({"region": "x" * 64}, "63 at most"),
        ({"path": "/score"}, "own.json: a: path and health are of a server of your own"),
    ],
)
def test_entry_that_cannot_be_a_pod_is_one_line(command: Any, tmp_path: Path, entry: dict[str, Any], told: str) -> None:
    """Its place, and the remedy."""
    path = write(tmp_path / "own.json", {"a": {**ONE["a"], **entry}})
    assert_mistake(command(path), told)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"cwd": "sub"}, "--workdir"),
        ({"env": {"POD_NAME": "x"}}, 'env: "POD_NAME" is the pod\'s own: give it another name'),
        ({"env": {"1 x": "y"}}, 'env: "1 x" is no variable of a container'),
        ({"payload": "large"}, "a ConfigMap holds 1048576: give a shorter payload"),
        ({"comand": "x"}, "did you mean 'command'"),
    ],
)
def test_server_file_that_cannot_be_a_container_is_one_line(
    command: Any, tmp_path: Path, keys: dict[str, Any], told: str
) -> None:
    """Its file, its key, and the remedy."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "large").write_bytes(b"x" * 1024 * 1024)
    server = write(tmp_path / "server.json", {"command": "serve", **keys})
    assert_mistake(command(write(tmp_path / "own.json", ONE), "--server", server), "server.json", told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--image", "two words"], "argument --image: 'two words' is no image: give one as"),
        (["--image", "x\ny: z"], "argument --image: 'x\\ny: z' is no image"),
        (["--workdir", "srv"], "argument --workdir: 'srv' is no folder of an image"),
        (["--server", "no-such"], "unknown server 'no-such'"),
        (["--engine", "nginx"], "argument --engine"),
    ],
)
def test_option_that_is_wrong_is_one_line(command: Any, tmp_path: Path, words: list[str], told: str) -> None:
    """The value, and what is accepted."""
    assert_mistake(command(write(tmp_path / "own.json", ONE), *words), told)


def test_topology_that_the_engine_or_a_config_map_cannot_hold_is_one_line(command: Any, tmp_path: Path) -> None:
    """A pool of different paths with HAProxy; a file's name that is no key."""
    server = write(tmp_path / "server.json", {"command": "serve"})
    mixed = {"a": ONE["a"], "b": {"status": True, "load": 0, "port": 1, "path": "/other"}}
    path = write(tmp_path / "mixed.json", mixed)
    assert_mistake(command(path, "--engine", "haproxy", "--server", server), "b: path is", "use --engine flask")
    assert_mistake(command(write(tmp_path / "my rig.json", ONE)), '"my rig.json" is no key of a ConfigMap', "rename it")


def assert_mistake(ended: tuple[int, str, str], *told: str) -> None:
    """Checks for exit status 2, one line and nothing printed."""
    status, out, err = ended
    assert (status, out) == (2, "")
    assert err.startswith("routing.kubernetes: ")
    assert err.count("\n") == 1
    assert [text for text in told if text not in err] == [], err


def test_output_that_nobody_reads_to_its_end_is_no_failure(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `| head`: no traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    with io.TextIOWrapper(
        os.fdopen(writer, "wb", 0), write_through=True
    ) as unread:  # as where it is longer than a buffer
        monkeypatch.setattr(sys, "stdout", unread)
        assert command(write(tmp_path / "own.json", ONE)) == (0, "", "")


def test_documentation_shows_what_is_printed(command: Any) -> None:
    """Each of its YAML blocks is a piece of the output of the command that stands above it."""
    section = (ROOT / "docs" / "scaling.md").read_text().partition("## Kubernetes\n")[2]
    [words] = re.findall(
        r"python -m routing.kubernetes (topology/2active.json) --image registry.example/rig:1 > ", section
    )
    _, out, _ = command(ROOT / words)
    pieces = [block for block in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL) if "locust.io" not in block]
    assert pieces
    assert [piece for piece in pieces if piece not in out] == []
