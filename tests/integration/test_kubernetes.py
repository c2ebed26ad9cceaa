"""The manifests' commands, probes and hooks as processes on this machine: all of a cluster but the cluster."""

import json
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.harness.http_client import fetch
from tests.harness.kubelet import Container, write_config_map
from tests.harness.light import light_project
from tests.harness.processes import Process, run
from tests.harness.project import ROOT, SAMPLE, statuses, with_ports
from tests.harness.server_files import PAYLOAD, SCORE, full_server, write_server_file
from tests.harness.stage import Stage
from tests.harness.waiting import wait_until

TOKEN = 'a token\'s "value"'


class Rig(NamedTuple):
    """What the manifests say, as containers."""

    predictors: list[Container]
    copy: Container
    router: Container
    live: Path
    """The router's live topology file."""
    url: str


def rig(stage: Stage, topology: Path, workdir: Path, secrets: Mapping[str, str], *options: str) -> Rig:
    """Makes the manifests and, on an address of its own for each pod, all that they need; nothing is started yet."""
    words = [sys.executable, "-m", "routing.kubernetes", str(topology), "--image", "registry.example/rig:1", *options]
    ended = run(words, cwd=ROOT)
    assert (ended.returncode, ended.stderr) == (0, "")
    documents = list(yaml.safe_load_all(ended.stdout))
    sets = [each for each in documents if each["kind"] == "StatefulSet"]
    pods = [(f"{each['metadata']['name']}-{n}", each) for each in sets for n in range(each["spec"]["replicas"])]
    predictors = [
        Container(only_container(each), pod, f"127.0.83.{number}", workdir)
        for number, (pod, each) in enumerate(pods, start=1)
    ]
    config, live = stage.folder / "config", stage.folder / "live"
    config.mkdir()
    live.mkdir()
    names = {f"{each.pod}.predictors": each.address for each in predictors}
    write_config_map(next(each for each in documents if each["kind"] == "ConfigMap"), config, names)
    public, admin = stage.reserve_port(), stage.reserve_port()
    here = {"8000": str(public), "8001": str(admin), "/etc/rig": str(config), "/run/rig": str(live)}
    deployment = next(each for each in documents if each["kind"] == "Deployment")
    [copy] = deployment["spec"]["template"]["spec"]["initContainers"]
    started = (
        Container(each, "router", "127.0.0.1", workdir, here, secrets) for each in (copy, only_container(deployment))
    )
    return Rig(predictors, *started, live / topology.name, f"http://127.0.0.1:{public}")


def only_container(workload: dict[str, Any]) -> dict[str, Any]:
    """The one container of its pods."""
    [only] = workload["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def start(stage: Stage, container: Container, *probes: str) -> Process:
    """Starts a container, which surely ends, and waits until these probes of it pass, which did not before."""
    assert not any(container.passes(probe) for probe in probes)
    process = container.start(stage.folder)
    stage.at_end(process.kill)
    for probe in probes:
        wait_until(lambda probe=probe: container.passes(probe))
    return process


def start_router(stage: Stage, made: Rig) -> Process:
    """Copies the topology file as the pod does, and starts the router on it."""
    assert made.copy.execute(made.copy.manifest["command"]).wait(10) == 0
    router = start(stage, made.router)
    router.addresses(2)
    assert made.router.passes("readinessProbe")
    return router


def test_pods_as_processes_serve_through_the_router_until_it_is_ended(stage: Stage) -> None:
    """A server of one's own with a secret: probes, names, payload and roles come through; the router ends politely.

    The router stays ready while no predictor can take a request: it is the one who says so to clients.
    """
    server = write_server_file(
        stage.folder, "plain", "--token", TOKEN, headers={"Authorization": "Bearer {env:MODEL_KEY}"}, capacity=1
    )
    topology = stage.topology("2active", [stage.reserve_port() for _ in range(3)])
    made = rig(stage, topology, ROOT, {"MODEL_KEY": TOKEN}, "--server", str(server))
    predictors = [start(stage, each, "startupProbe", "readinessProbe") for each in made.predictors]
    router = start_router(stage, made)
    stop_hook = made.router.execute(made.router.manifest["lifecycle"]["preStop"]["exec"]["command"])
    stage.at_end(stop_hook.wait)
    stage.at_end(stop_hook.kill)
    for _ in range(4):
        answer = fetch(made.url, body=PAYLOAD)
        assert (answer.status, answer.json()["score"]) == (200, SCORE)
        assert answer.json()["model"] == answer.predictor in ("predictor-0", "predictor-1")
    for process in predictors[:2]:
        process.stop()
    wait_until(lambda: fetch(made.url, body=PAYLOAD).predictor == "standby-0")
    wait_until(lambda: statuses(made.live) == [False, False, True])
    predictors[2].stop()
    wait_until(lambda: fetch(made.url, "/health").status == 503)
    assert made.router.passes("readinessProbe")
    assert made.router.passes("livenessProbe")
    assert stop_hook.wait(10) == 0
    assert router.running()
    assert router.stop() == 0
    assert not made.router.passes("livenessProbe")
    assert statuses(made.live) == [True, True, False]


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
def test_own_predictor_as_a_pod_answers_through_haproxy(stage: Stage) -> None:
    """The rig's own image, in whose working directory both programs stand; the other engine."""
    image = light_project(stage.folder)
    path = stage.folder / "single.json"
    path.write_text(with_ports("single", [stage.reserve_port()]))
    made = rig(stage, path, image, {}, "--engine", "haproxy")
    start(stage, made.predictors[0], "startupProbe", "readinessProbe")
    router = start_router(stage, made)
    answer = fetch(made.url, body=SAMPLE)
    assert (answer.status, answer.predictor) == (200, "predictor-0")
    router.signal(signal.SIGTERM)
    assert router.wait() == 0


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_reads_what_the_manifests_say(tmp_path: Path) -> None:
    """Its YAML and its types, without a cluster: every value as it is here, whatever it may look like."""
    server, path = full_server(tmp_path), tmp_path / "rig.yaml"
    words = ["--image", "rig:1", "--server", str(server)]
    path.write_text(run([sys.executable, "-m", "routing.kubernetes", "topology/2region.json", *words], cwd=ROOT).stdout)
    read = run(["kubectl", "label", "--local", "--filename", str(path), "read=yes", "--output", "json"])
    assert (read.returncode, read.stderr) == (0, "")
    documents = list(yaml.safe_load_all(path.read_text()))
    assert len(documents) == 7
    by_name = {(each["kind"], each["metadata"]["name"]): each for each in objects_in(read.stdout)}
    for document in documents:
        assert_holds(by_name[document["kind"], document["metadata"]["name"]], document)


def objects_in(text: str) -> Iterator[Any]:
    """The JSON objects that follow each other in a text."""
    while text := text.lstrip():
        found, end = json.JSONDecoder().raw_decode(text)
        yield found
        text = text[end:]


def assert_holds(whole: Any, part: Any) -> None:
    """Checks that all that `part` says stands in `whole`, which may say more: kubectl adds empty fields."""
    if isinstance(part, dict):
        for name in part:
            assert_holds(whole[name], part[name])
    elif isinstance(part, list):
        for index, each in enumerate(part):
            assert_holds(whole[index], each)
    else:
        assert whole == part
