"""`python -m routing.kubernetes topology/2active.json --image IMAGE > rig.yaml`: a topology as Kubernetes manifests."""

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from cli import Parser, UsageError, positive_count, positive_seconds, run_command
from json_files import JsonFileError
from routing import topology as topology_file
from routing.haproxy.configuration import why_inexpressible
from routing.kubernetes.manifests import ADMIN_PORT, SECRET, Plan, objects, secret_variables, to_yaml
from routing.kubernetes.pods import pod_names, pod_sets
from server_file import OWN, Server, find, read

ROOT = Path(__file__).resolve().parents[2]
IMAGE = re.compile(r"[A-Za-z0-9][\w.:/@+-]*", re.ASCII)
ENGINES = ("flask", "haproxy")


def main() -> None:
    """Prints the manifests."""
    options = _parser().parse_args()
    plan = _plan(options)
    parts = [f"---\n# {about[0].upper()}{about[1:]}.\n{to_yaml(document)}" for about, document in objects(plan)]
    with suppress(BrokenPipeError):  # whoever read it has read enough
        print("\n".join(_head(plan)), "".join(parts), sep="\n", end="")


def _parser() -> Parser:
    command = "python -m routing.kubernetes"
    parser = Parser(
        prog=command,
        description="Print a topology file as Kubernetes manifests: the router, its predictors, its files.",
        epilog=f"example: {command} topology/2active.json --image rig:1",
    )
    add = parser.add_argument
    add("topology", type=Path, metavar="FILE", help="the topology file")
    add("--server", metavar="NAME|FILE", help="what the predictors are, where they are not the rig's own")
    add("--image", required=True, type=_image,
        help="an image whose working directory is this repository, with its requirements: the router's")  # fmt: skip
    add("--predictor-image", type=_image, metavar="IMAGE", help="the predictors' (default: the router's)")
    add("--workdir", type=_folder, metavar="FOLDER",
        help="where in it the predictors start, for the server file's cwd (default: the image's own)")  # fmt: skip
    add("--engine", choices=ENGINES, default="flask", help="what carries the requests (default: %(default)s)")
    add("--deadline", type=positive_seconds, default=10.0, metavar="S", help="the longest a client waits (default: 10)")
    add("--threshold", type=positive_count, default=10, metavar="N",
        help="capacity of a predictor that names none (default: 10)")  # fmt: skip
    return parser


def _image(text: str) -> str:
    if not IMAGE.fullmatch(text):
        raise ArgumentTypeError(f"{text!r} is no image: give one as registry.example/rig:1")
    return text


def _folder(text: str) -> str:
    if not PurePosixPath(text).is_absolute() or not text.isprintable():
        raise ArgumentTypeError(f"{text!r} is no folder of an image: give one that begins with /")
    return text


def _plan(options: Namespace) -> Plan:
    """Reads the files. Raises UsageError for what cannot be a pod."""
    server = read(find(options.server, ROOT / "servers")) if options.server else OWN
    _require_workdir(server, options.workdir)
    topology = topology_file.read(options.topology, options.threshold, server=server)
    if options.engine == "haproxy" and (fault := why_inexpressible(topology)):
        raise UsageError(fault)
    return Plan(
        topology,
        server,
        pod_sets(topology),
        options.image,
        options.predictor_image or options.image,
        options.workdir,
        options.engine,
        options.deadline,
    )


def _require_workdir(server: Server, workdir: str | None) -> None:
    if server.file and server.cwd != server.file.resolve().parent and not workdir:
        here = f"cwd is a folder of this machine ({server.cwd})"
        raise JsonFileError(f"{server.file}: {here}: say where it is in the image with --workdir, or leave cwd out")


def _head(plan: Plan) -> Iterator[str]:
    """The first comment: how to use it, what of it is tested, which predictor is which pod."""
    yield f"# {plan.topology.name} by `python -m routing.kubernetes`: change the topology file, and make it again."
    yield "#"
    yield "# Tested, without a cluster: each object by Kubernetes' schemas; each command, probe and hook as a process"
    yield "# of one machine, requests through the router. Not tested: kubelet, endpoints, DNS, network, scheduling."
    yield "# What it does not know (resources, accelerators, volumes) is yours to add: docs/scaling.md."
    yield "#"
    for name in secret_variables(plan.server):
        yield f'#   kubectl create secret generic {SECRET} --from-literal={name}="${name}"'
    yield "#   kubectl apply --server-side -f rig.yaml"
    yield f"#   kubectl port-forward deployment/router {ADMIN_PORT}    # the board: http://127.0.0.1:{ADMIN_PORT}"
    yield "#"
    ports = {entry.name: each.model.port for each in plan.sets for entry in each.entries}
    for name, pod in pod_names(plan.sets).items():
        yield f"# {name} is the pod {pod}, on port {ports[name]}."


if __name__ == "__main__":
    run_command("routing.kubernetes", main)
