"""Who may import whom, and what belongs where: read off the sources."""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import experiments

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 400
LOCAL_TO_PREDICTORS = {"fault_control", "model", "model_server", "service_time"} | {f"predict{n}" for n in range(1, 5)}
EXPERIMENTS = sorted(experiments.EXPERIMENTS)
FLOORS = {
    "routing": (
        {"kubernetes", "start", "succession"},
        {"supervisor", "switchover"},
        {"child", "engines"},
        {"admin", "flask_engine", "haproxy"},
        {"dispatcher", "engine"},
        {"health", "proofs", "remembering"},
        {"balancer"},
        {"upstream"},
        {"doubts", "options", "variables"},
        {"counters", "rotation"},
        {
            *("events", "logs", "memory", "refusals", "spells", "state_file", "state_writer", "statuses"),
            *("supervision", "topology"),
        },
    ),
    "experiments": (
        {"__main__", "choose", "diff", "export", "schema", "server"},
        {"failover"},
        {*EXPERIMENTS} - {"failover"},
        {"testbed"},
        {"experiment"},
        {"answer"},
        {"page"},
        {"results"},
        {"options", "theory"},
    ),
}
"""What the two large packages are made of, modules and folders: each imports from floors below its own only."""

RECORDS = {"records", "windows"}
FIGURES = {
    "agreement", "blog_post", "figures", "impacts", "measured_inputs", "metrics", "one_down", "pairs", "predicted",
    "predictions", "rate", "slots", "summary", "window_metrics",
}  # fmt: skip
SENTENCES = {"claims", "findings"}
SHOWN = {"charts", "report", "tables", "timeline"}
RUNS = {"fault_sequence", "faults", "logs", "poisson_load", "run", "until_decided"}
"""The kinds of modules in an experiment's folder; `experiment` alone puts them together."""

FOLDERS = ("routing", "serving", "predictors", "locust", "experiments", "benchmarks", "tools")
FOUNDATIONS = {"cli", "json_files", "server_file"}
"""The modules beside the programs, which all may import."""

PROJECT = {
    *FOUNDATIONS,
    "router",
    "routing",
    "serving",
    "predictors",
    "experiments",
    "benchmarks",
    "tools",
    "tests",
} | LOCAL_TO_PREDICTORS


def modules(folder: str) -> list[Path]:
    """The Python files of a folder, deeper ones too."""
    return sorted((ROOT / folder).rglob("*.py"))


PRODUCT = [
    *(ROOT / f"{name}.py" for name in sorted(FOUNDATIONS)),
    ROOT / "router.py",
    *(path for folder in FOLDERS for path in modules(folder)),
]


def short(path: Path) -> str:
    """The path as a test's name shows it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def package_of(path: Path) -> list[str]:
    """The package whose module this file is."""
    return list(path.relative_to(ROOT).parent.parts) if path.is_relative_to(ROOT) else []


def imported(path: Path) -> Iterator[str]:
    """Every module that the file names in an import, at any depth, as a dotted name.

    `from a import b` gives both a and a.b: whether b is a module cannot be seen here.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = package_of(path)
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def tops(path: Path) -> set[str]:
    """The first names of all that the file imports."""
    return {name.partition(".")[0] for name in imported(path)}


def of_project(path: Path) -> set[str]:
    """What the file imports of this project, by first names."""
    return tops(path) & PROJECT


def project_modules(path: Path) -> set[str]:
    """The project's modules that the file imports, as dotted names; a package for what it exports itself."""
    found = set()
    for name in imported(path):
        place = ROOT.joinpath(*name.split("."))
        if name.partition(".")[0] in PROJECT and (place.with_suffix(".py").is_file() or place.is_dir()):
            found.add(name)
    return found


# The reader itself


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import routing.topology", {"routing"}),
        ("from routing import topology as t", {"routing"}),
        ("def f():\n    if x:\n        import locust, json", {"locust", "json"}),
        ("from locust.env import Environment", {"locust"}),
        ("# import locust\nx = 'import locust'", set()),
    ],
)
def test_tops_of_each_kind_of_import_are_seen(tmp_path: Path, source: str, expected: set[str]) -> None:
    """Imports are found in every form and at every depth, and only imports."""
    path = tmp_path / "some.py"
    path.write_text(source)
    assert tops(path) == expected


def test_product_every_part_is_found() -> None:
    """The rules below look at real files: each part of the project has some."""
    assert all(modules(folder) for folder in FOLDERS if folder != "benchmarks")


# The arrows


PURE = [ROOT / "routing" / f"{name}.py" for name in ("balancer", "doubts", "events", "refusals", "rotation", "spells")]


@pytest.mark.parametrize("path", PURE, ids=short)
def test_balancer_imports_the_topology_only(path: Path) -> None:
    """The balancer knows the topology and the standard library: it could be tested on paper."""
    assert project_modules(path) <= {"routing", "routing.topology", *(f"routing.{each.stem}" for each in PURE)}
    assert tops(path) - sys.stdlib_module_names <= {"routing"}


@pytest.mark.parametrize("path", PURE, ids=short)
def test_balancer_has_no_clock_and_no_way_out(path: Path) -> None:
    """The balancer is pure: time is an argument, and nothing in it reads, writes, waits or talks."""
    unwanted = {"asyncio", "datetime", "io", "logging", "os", "pathlib", "random", "socket", "subprocess", "time"}
    assert not tops(path) & (unwanted | {"threading"})


@pytest.mark.parametrize("path", [p for each in FLOORS for p in modules(each) if p.name != "__init__.py"], ids=short)
def test_package_imports_from_floors_below_only(path: Path) -> None:
    """No arrow inside routing/ or experiments/ runs back or sideways, except within one folder."""
    package, room = path.relative_to(ROOT).with_suffix("").parts[:2]
    floors = FLOORS[package]
    floor = next((number for number, rooms in enumerate(floors) if room in rooms), None)
    assert floor is not None, f"FLOORS gives {package}/{room} no floor yet"
    rooms = {name.split(".")[1] for name in project_modules(path) if name.startswith(f"{package}.")}
    assert rooms - {room} <= set[str]().union(*floors[floor + 1 :])


EXPERIMENT_MODULES = [p for name in EXPERIMENTS for p in modules(f"experiments/{name}") if p.name != "__init__.py"]


def kind_of(path: Path) -> str:
    """The module of its experiment's folder that this file is, or that it stands in."""
    return path.relative_to(ROOT).with_suffix("").parts[2]


def siblings(path: Path) -> set[str]:
    """What a module of an experiment imports of any experiment's folder, by the modules' names."""
    names = (name.split(".") for name in project_modules(path))
    return {parts[2] for parts in names if parts[0] == "experiments" and len(parts) > 2 and parts[1] in EXPERIMENTS}


@pytest.mark.parametrize("path", [p for p in EXPERIMENT_MODULES if kind_of(p) in RECORDS | FIGURES], ids=short)
def test_figures_start_no_process_and_speak_no_english(path: Path) -> None:
    """They are computed from records, and of a fault they know what it is, not how it is done."""
    assert siblings(path) <= RECORDS | FIGURES | {"faults"}
    assert not {name for name in project_modules(path) if name.startswith(("experiments.testbed", "experiments.page"))}


@pytest.mark.parametrize("path", [p for p in EXPERIMENT_MODULES if kind_of(p) in RUNS], ids=short)
def test_runs_import_no_figures(path: Path) -> None:
    """What is recorded does not depend on what is made of it."""
    assert siblings(path) <= RECORDS | RUNS


@pytest.mark.parametrize("path", [p for p in EXPERIMENT_MODULES if kind_of(p) in SENTENCES | SHOWN], ids=short)
def test_reports_start_no_process(path: Path) -> None:
    """They can be made again any time later, from the records alone."""
    assert siblings(path) <= RECORDS | FIGURES | SENTENCES | SHOWN | {"faults"}
    assert not {name for name in project_modules(path) if name.startswith("experiments.testbed")}


def test_every_module_of_an_experiment_is_of_a_kind() -> None:
    """A new one has to be given its kind above, and with it its arrows."""
    known = RECORDS | FIGURES | SENTENCES | SHOWN | RUNS | {"experiment"}
    assert {kind_of(path) for path in EXPERIMENT_MODULES} <= known


@pytest.mark.parametrize("name", ["json_files.py", "server_file.py", "routing/topology.py"])
def test_files_of_users_are_read_without_network(name: str) -> None:
    """Reading a topology or a server file needs the standard library and what reads JSON here, and no network."""
    path = ROOT / name
    assert tops(path) <= sys.stdlib_module_names | FOUNDATIONS
    assert not tops(path) & {"http", "socket", "urllib"}


def at_import(path: Path) -> set[str]:
    """The first names of what is loaded with this module, through modules of the project too."""
    found, seen, queue = set[str](), set[Path](), [path]
    while queue:
        if (path := queue.pop()) in seen:
            continue
        seen.add(path)
        found |= tops(path)
        for name in project_modules(path):
            places = [
                ROOT.joinpath(*name.split("."), "__init__.py"),
                ROOT.joinpath(*name.split(".")).with_suffix(".py"),
            ]
            packages = [ROOT.joinpath(*part.parts, "__init__.py") for part in Path(*name.split(".")).parents]
            queue += [place for place in [*places, *packages] if place.is_file()]
    return found - PROJECT


def test_router_begins_with_the_standard_library_alone() -> None:
    """Options are read and sockets listen before any library is loaded, which takes most of a router's start."""
    assert at_import(ROOT / "routing" / "start.py") <= sys.stdlib_module_names


@pytest.mark.parametrize("path", modules("routing"), ids=short)
def test_routing_imports_routing_and_serving_only(path: Path) -> None:
    """What the router is made of knows neither the router, nor predictors, nor its tester."""
    assert of_project(path) <= FOUNDATIONS | {"routing", "serving"}
    assert "locust" not in tops(path)


def test_router_imports_routing_and_serving_only() -> None:
    """router.py is made of routing, and served by serving."""
    assert of_project(ROOT / "router.py") <= FOUNDATIONS | {"routing", "serving"}
    assert "locust" not in tops(ROOT / "router.py")


@pytest.mark.parametrize("path", modules("predictors"), ids=short)
def test_predictors_know_neither_router_nor_tester(path: Path) -> None:
    """A predictor is a model server of its own."""
    assert of_project(path) <= {"cli", "predictors", "serving"} | LOCAL_TO_PREDICTORS
    assert "locust" not in tops(path)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_predict_n_imports_the_model_server_only(number: int) -> None:
    """Each predictN is a name and a port; all else is in model_server, and the model in model."""
    path = ROOT / "predictors" / f"predict{number}.py"
    assert tops(path) == {"model_server"}


def test_model_server_imports_the_model_and_model_imports_nobody() -> None:
    """The arrows go predictN -> model_server -> model, and no way back."""
    server = project_modules(ROOT / "predictors" / "model_server.py") | tops(ROOT / "predictors" / "model_server.py")
    assert server & {"model", "predictors.model"}
    assert not {name for name in server if "predict1" in name or "predict2" in name or "predict3" in name}
    assert of_project(ROOT / "predictors" / "model.py") == set()


@pytest.mark.parametrize("path", modules("experiments"), ids=short)
def test_experiments_import_none_of_what_they_test(path: Path) -> None:
    """Router, predictors and Locust are started as processes, never imported: importing locust patches Python."""
    under_test = {"locust", "router", "routing", "predictors"} | LOCAL_TO_PREDICTORS
    assert not tops(path) & under_test


SERVER_OPTION = ROOT / "locust" / "server_option.py"


@pytest.mark.parametrize("path", modules("locust"), ids=short)
def test_locust_folder_stands_alone(path: Path) -> None:
    """The swarm needs nothing of the project but the files beside it: it may be copied to another machine."""
    assert of_project(path) == ({"server_file", "json_files"} if path == SERVER_OPTION else set())


def test_locust_folder_reads_server_files_with_the_project_only_when_told_to() -> None:
    """The one module that needs the folder above imports from it inside a function."""
    body = ast.parse(SERVER_OPTION.read_text(encoding="utf-8")).body
    at_import = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    at_import |= {node.module or "" for node in body if isinstance(node, ast.ImportFrom)}
    assert not at_import & PROJECT


@pytest.mark.parametrize("path", modules("servers"), ids=short)
def test_example_programs_of_servers_stand_alone(path: Path) -> None:
    """They run in environments of their own, in which there is nothing of the project."""
    assert of_project(path) == set()


@pytest.mark.parametrize("path", modules("serving"), ids=short)
def test_serving_imports_no_other_part(path: Path) -> None:
    """How an app meets the network knows no app."""
    assert of_project(path) <= {"cli", "serving"}


# What belongs where


def test_locust_folder_is_no_package() -> None:
    """An __init__.py there would shadow the installed locust."""
    assert not (ROOT / "locust" / "__init__.py").exists()


def test_topology_folder_holds_data_only() -> None:
    """Nothing but JSON files; hidden ones are a running router's own."""
    visible = [path for path in (ROOT / "topology").iterdir() if not path.name.startswith(".")]
    assert {path.suffix for path in visible} == {".json"}


def test_routers_folder_holds_data_only() -> None:
    """Router files, templates, and what starts a router that has no restarter of its own."""
    paths = list((ROOT / "routers").iterdir())
    assert {path.suffix for path in paths} <= {".json", ".j2", ".sh"}
    named = {
        document["config"] for path in paths if path.suffix == ".json" for document in [json.loads(path.read_text())]
    }
    assert named == {path.name for path in paths if path.suffix == ".j2"}


@pytest.mark.parametrize("path", PRODUCT, ids=short)
def test_module_has_a_docstring(path: Path) -> None:
    """Every module says what lives in it."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", PRODUCT, ids=short)
def test_module_is_not_too_long(path: Path) -> None:
    """No file of the product is longer than one can keep in mind."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
