"""The Kubernetes objects of a topology as plain data, and as the YAML that is applied. No file is read here."""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli import option_words
from json_files import JsonFileError
from routing.kubernetes.pods import POD_NAME, SERVICE, ZONE, PodSet, is_own, pod_names
from routing.topology import Topology
from server_file import FROM_ENVIRONMENT, Place, Server, fill

Object = dict[str, Any]
PUBLIC_PORT, ADMIN_PORT = 8000, 8001
CONFIG, LIVE = "/etc/rig", "/run/rig"
"""Where the router's container has the ConfigMap, which cannot be written, and the live topology file."""

PLAIN = re.compile(r"(?:-{0,2}|[/$]\W?)[A-Za-z].")
"""How a text begins that no dialect of YAML takes for a number or a yes or no: `y` and `0o17` are such to some."""

SERVER_FILE, PAYLOAD = "server.json", "payload"
SECRET = "predictor-headers"  # noqa: S105  # its name
CONFIG_MAP_LIMIT_BYTES = 1024 * 1024
SPREAD_S = 5
"""How long the router serves on once it is to end: until every node has it out of its Service."""

DNS_S = 35
"""How long a pod must be ready before the next is replaced: names are kept for 30 s (CoreDNS as kubeadm sets it up)."""

MARGIN_S = 5
"""Of each grace period, beyond what may be needed."""

SERVES = (
    "import http.client as h, sys; "
    f"c = h.HTTPConnection('127.0.0.1', {ADMIN_PORT}, timeout=2); "
    "c.request('GET', '/topology'); sys.exit(c.getresponse().status != 200)"
)
"""Whether the router answers, by the port that its pod alone reaches: /health says 503 where all are full."""


@dataclass(frozen=True)
class Plan:
    """All that the manifests are made of."""

    topology: Topology
    server: Server
    sets: Sequence[PodSet]
    image: str
    predictor_image: str
    workdir: str | None = None
    """The folder in the predictors' image where they start; None: the image's own."""
    engine: str = "flask"
    deadline_s: float = 10.0


def objects(plan: Plan) -> list[tuple[str, Object]]:
    """Returns each object with a line on it, in the order in which they are to be made. Raises JsonFileError."""
    config = _config_map(plan)
    named = f"{SERVICE}: a name for each pod, also while it is not ready: the router probes health itself"
    made = [
        ("the topology file with the pods' names, and what the router needs of the server file", config),
        (named, _headless(plan)),
    ]
    made += [(_about(each), _stateful_set(each, plan)) for each in plan.sets]
    return [
        *made,
        ("one predictor at a time, where nodes are emptied", _disruption_budget()),
        (
            "the router: a new one serves before the old one ends; each counts its own loads meanwhile",
            _router(plan, config),
        ),
        ("the router's public port; its admin port is the pod's own", _router_service()),
    ]


def to_yaml(document: Object) -> str:
    """Returns YAML that reads back as this document, whatever stands in it."""
    import yaml  # no --help needs it

    class Dumper(yaml.SafeDumper):
        """Shows lines as lines, and quotes what any reader of YAML could take for something else than a text."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        lines = "|" if "\n" in value else None
        style = lines or (None if PLAIN.match(value) else "'")
        if not value.replace("\n", "").isprintable():
            style = '"'  # with escapes: PyYAML's other styles lose a part of some
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]
    return str(yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000))


def secret_variables(server: Server) -> list[str]:
    """Returns the variables that the server file's headers are read from."""
    return sorted({match[1] for text in server.headers.values() for match in FROM_ENVIRONMENT.finditer(text)})


# The router's files


def topology_document(plan: Plan) -> Object:
    """Returns the topology file's object with the pods in the predictors' place, in its order."""
    pods = pod_names(plan.sets)
    by_name = {entry.name: each for each in plan.sets for entry in each.entries}
    document = {}
    for entry in plan.topology.entries:
        fields = plan.topology.document[entry.name]
        kept = {key: fields[key] for key in ("region", "standby", "path", "health") if key in fields}
        pod = pods[entry.name]
        address = {"port": by_name[entry.name].model.port, "host": f"{pod}.{SERVICE}"}
        document[pod] = {"status": fields["status"], "load": 0, **address, "capacity": entry.capacity, **kept}
    return document


def server_document(server: Server) -> Object:
    """Returns what the router needs of a server file; a header's variable stays the name that it is."""
    keys = ("path", "health", "content_type", "headers", "health_interval_s", "health_timeout_s")
    document = {key: getattr(server, key) for key in keys}
    return document | ({"payload": PAYLOAD} if server.payload is not None else {})


def _config_map(plan: Plan) -> Object:
    texts, binary = {plan.topology.path.name: _json(topology_document(plan))}, {}
    if plan.server.file:
        texts[SERVER_FILE] = _json(server_document(plan.server))
    payload = plan.server.payload or b""
    if payload:
        try:
            texts[PAYLOAD] = payload.decode()
        except UnicodeDecodeError:
            binary[PAYLOAD] = base64.b64encode(payload).decode()
    size = sum(len(text.encode()) for text in texts.values()) + (len(payload) if binary else 0)
    if size > CONFIG_MAP_LIMIT_BYTES:
        least = "a shorter payload" if payload else "a topology of fewer predictors"
        raise JsonFileError(
            f"{plan.server.file if payload else plan.topology.path}: {size} bytes for the router: "
            f"a ConfigMap holds {CONFIG_MAP_LIMIT_BYTES}: give {least}"
        )
    data = {"data": texts} | ({"binaryData": binary} if binary else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "router"}, **data}


def _json(document: Object) -> str:
    return json.dumps(document, indent=4) + "\n"


# The predictors


def _labels(name: str) -> Object:
    return {"app.kubernetes.io/name": name}


def _about(pods: PodSet) -> str:
    if pods.model.cold:
        return (
            f"started when the router wants one: kubectl scale statefulset {pods.name} --replicas={len(pods.entries)}"
        )
    return "waits until the router promotes it" if pods.model.role.is_backup else "takes requests from the start"


def _headless(plan: Plan) -> Object:
    ports = sorted({each.model.port for each in plan.sets})
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": _labels("predictor"),
        "ports": [{"name": f"http-{port}", "port": port} for port in ports],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE}, "spec": spec}


def _stateful_set(pods: PodSet, plan: Plan) -> Object:
    labels = _labels("predictor") | {"app.kubernetes.io/instance": pods.name}
    grace_s = math.ceil(max(plan.deadline_s, pods.model.server.stop_within_s)) + MARGIN_S
    spec = {
        "serviceName": SERVICE,
        "replicas": 0 if pods.model.cold else len(pods.entries),
        "podManagementPolicy": "Parallel",
        "minReadySeconds": DNS_S,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "enableServiceLinks": False,
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": grace_s,
                **_placement(pods),
                "containers": [_predictor(pods, plan)],
            },
        },
    }
    metadata = {"name": pods.name, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


def _placement(pods: PodSet) -> Object:
    """The region's zone where one is named, and else many zones; many nodes in any case, so far as there are."""
    region = pods.model.region
    keys = ["kubernetes.io/hostname"] if region else [ZONE, "kubernetes.io/hostname"]
    alike = {
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _labels("predictor")},
    }
    spread = {"topologySpreadConstraints": [{"topologyKey": key, **alike} for key in keys]}
    return {"nodeSelector": {ZONE: region}, **spread} if region else spread


def _predictor(pods: PodSet, plan: Plan) -> Object:
    server, port = pods.model.server, pods.model.port
    command = _command(pods)
    check = _health_check(server, port)
    timeout = {"timeoutSeconds": math.ceil(server.health_timeout_s)}
    period_s = math.ceil(server.health_interval_s)
    return {
        "name": "predictor",
        "image": plan.predictor_image,
        **({"command": command} if command else {}),
        **({"workingDir": plan.workdir} if plan.workdir else {}),
        "env": list(_environment(pods)),
        "ports": [{"name": "http", "containerPort": port}],
        "startupProbe": {**check, **timeout, "periodSeconds": 1, "failureThreshold": math.ceil(server.ready_within_s)},
        "readinessProbe": {**check, **timeout, "periodSeconds": period_s, "failureThreshold": 2, "successThreshold": 2},
    }


def _command(pods: PodSet) -> list[str]:
    """The words that start it; none: the image's own."""
    entry = pods.model
    if is_own(entry.server):
        words = ["--host", "0.0.0.0", "--port", str(entry.port), "--capacity", str(entry.capacity)]  # noqa: S104
        return ["python", "predictors/predict1.py", *words]
    return [_filled(word, pods) for word in entry.server.command]


def _environment(pods: PodSet) -> Iterator[Object]:
    """What the process finds in its environment, as one that the rig starts does: the place, then the file's own."""
    server = pods.model.server
    yield {"name": POD_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    given = {name: _filled(text, pods) for name, text in server.env.items()}
    place = {name.upper(): value for name, value in _place(pods).values().items()}
    yield from ({"name": name, "value": value} for name, value in (place | given).items())


def _place(pods: PodSet) -> Place:
    """Its place as its own container sees it; $(NAME) is Kubernetes' word for a variable."""
    entry = pods.model
    last = min(entry.port, 65536 - entry.server.ports_needed)
    others = (port for port in range(last, 65536) if port != entry.port)
    ports = [entry.port, *(next(others) for _ in range(entry.server.ports_needed - 1))]
    return Place(f"$({POD_NAME})", "0.0.0.0", tuple(ports))  # noqa: S104


def _filled(text: str, pods: PodSet) -> str:
    return fill(text.replace("$", "$$"), _place(pods).values())  # $$ is Kubernetes' word for a dollar sign


def _health_check(server: Server, port: int) -> Object:
    """GET as the router's; a connection where there is none, or where it needs a secret, which no probe can send."""
    if server.health is None or secret_variables(server):
        return {"tcpSocket": {"port": port}}
    headers = [{"name": name, "value": value} for name, value in server.headers.items()]
    return {"httpGet": {"path": server.health, "port": port, **({"httpHeaders": headers} if headers else {})}}


def _disruption_budget() -> Object:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": _labels("predictor")}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "predictors"}, "spec": spec}


# The router


def _router(plan: Plan, config: Mapping[str, Any]) -> Object:
    read_again = {"checksum/config": hashlib.sha256(_json(dict(config)).encode()).hexdigest()}
    spec = {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": _labels("router")},
        "template": {
            "metadata": {"labels": _labels("router"), "annotations": read_again},
            "spec": _router_pod(plan),
        },
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "router"}, "spec": spec}


def _router_pod(plan: Plan) -> Object:
    from serving.request import BODY_TIMEOUT_S  # no --help needs Flask

    config = {"name": "config", "mountPath": CONFIG, "readOnly": True}
    live = {"name": "live", "mountPath": LIVE}
    grace_s = SPREAD_S + math.ceil(plan.deadline_s + BODY_TIMEOUT_S) + MARGIN_S
    lost_node = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    return {
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": grace_s,
        "tolerations": [{"key": f"node.kubernetes.io/{how}", **lost_node} for how in ("not-ready", "unreachable")],
        "initContainers": [
            {
                "name": "topology",
                "image": plan.image,
                "command": ["cp", f"{CONFIG}/{plan.topology.path.name}", f"{LIVE}/"],
                "volumeMounts": [config, live],
            }
        ],
        "containers": [_router_container(plan) | {"volumeMounts": [config, live]}],
        "volumes": [{"name": "config", "configMap": {"name": "router"}}, {"name": "live", "emptyDir": {}}],
    }


def _router_container(plan: Plan) -> Object:
    variables = secret_variables(plan.server)
    env = [{"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name}}} for name in variables]
    serves = {"exec": {"command": ["python", "-I", "-c", SERVES]}, "timeoutSeconds": 5}
    return {
        "name": "router",
        "image": plan.image,
        "command": _router_command(plan),
        **({"env": env} if env else {}),
        "ports": [{"name": "http", "containerPort": PUBLIC_PORT}],
        "readinessProbe": {**serves, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**serves, "periodSeconds": 10, "failureThreshold": 3},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(SPREAD_S)]}}},
        "resources": {"requests": {"cpu": "500m", "memory": "128Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _router_command(plan: Plan) -> list[str]:
    options = {
        "--engine": plan.engine,
        "--topology": f"{LIVE}/{plan.topology.path.name}",
        "--host": "0.0.0.0",  # noqa: S104
        "--port": PUBLIC_PORT,
        "--admin-port": ADMIN_PORT,
        "--deadline": f"{plan.deadline_s:g}",
        **({"--server": f"{CONFIG}/{SERVER_FILE}"} if plan.server.file else {}),
    }
    return ["python", "router.py", "--supervise", *option_words(options)]


def _router_service() -> Object:
    spec = {"selector": _labels("router"), "ports": [{"name": "http", "port": PUBLIC_PORT, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "router"}, "spec": spec}
