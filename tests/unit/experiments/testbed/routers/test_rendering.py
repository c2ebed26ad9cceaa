"""A configuration for one deployment: what templates are given, who is refused, and whether each router takes it."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from cli import UsageError
from experiments.testbed.routers.rendering import (
    HOST,
    NAME,
    Backend,
    Listen,
    RenderedRouter,
    Settings,
    render,
    require_installed,
    retries_of,
    settings_of,
)
from experiments.testbed.routers.router_file import RouterFile, read
from routing import topology
from server_file import OWN, Server

ROUTERS = Path(__file__).resolve().parents[5] / "routers"
FILES = sorted(ROUTERS.glob("*.json"))
LISTEN = Listen("127.0.0.1", 20001)
CHECKS = {
    "nginx": ["nginx", "-t", "-p", "{folder}", "-c", "{config}", "-e", "stderr"],
    "haproxy-plain": ["haproxy", "-c", "-f", "{config}"],
    "envoy": ["envoy", "--mode", "validate", "--log-level", "error", "--config-path", "{config}"],
    "caddy": ["caddy", "validate", "--adapter", "caddyfile", "--config", "{config}"],
}
"""Router -> what has it judge a configuration; Traefik has no such command."""

THREE = [Backend(f"predict{n}", "127.0.0.1", 9000 + n, 10, active=n < 3) for n in (1, 2, 3)]
ALL_ACTIVE = [Backend(f"a.b-{n}_", "127.0.0.1", 9000 + n, n, active=True) for n in (1, 2, 3, 4)]
LONGEST = [Backend("x" * 64, "::1", 65535, 1_000_000, active=True)]


def mine(folder: Path, template: str, command: Sequence[str] = ("sh", "{config}"), **keys: object) -> RouterFile:
    """A router with this template."""
    config = folder / "mine.conf.j2"
    config.write_text(template, encoding="utf-8")
    return RouterFile("mine", folder / "mine.json", tuple(command), config, **keys)  # type: ignore[arg-type]


def text_of(template: str, folder: Path, predictors: Sequence[Backend] = THREE) -> str:
    """What becomes of this template."""
    return render(mine(folder, template), predictors, LISTEN, folder / "run").config.read_text(encoding="utf-8")


def checked(path: Path, rendered: RenderedRouter) -> str:
    """What the router says against a configuration; skips where it is not installed, or has no such command."""
    words = CHECKS.get(path.stem)
    if words is None:
        if rendered.config.suffix == ".yml":
            yaml.safe_load(rendered.config.read_text(encoding="utf-8"))
        return ""
    values = {"folder": str(rendered.config.parent), "config": str(rendered.config)}
    done = subprocess.run([word.format(**values) for word in words], env=rendered.env, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_template_is_given_predictors_by_role_and_the_settings(tmp_path: Path) -> None:
    """Names, addresses, capacities; the deadline and each attempt's share; how health is checked."""
    template = (
        "{{ actives | map(attribute='name') | join(',') }};{{ standbys | map(attribute='authority') | join }};"
        "{{ predictors | sum('capacity') }};{{ listen.authority }};{{ deadline_s }} {{ retries }} {{ attempt_s }};"
        "{{ path }} {{ health }} {{ health_interval_s }} {{ health_timeout_s }}"
    )
    assert text_of(template, tmp_path) == (
        "predict1,predict2;127.0.0.1:9003;30;127.0.0.1:20001;10.0 1 5.0;/predict /health 0.5 0.5"
    )  # fmt: skip


def test_commands_are_filled_and_run_in_the_files_folder(tmp_path: Path) -> None:
    """The process's number is known later; the environment is this process's own, and the file's."""
    router = mine(
        tmp_path, "x", ("sh", "{config}", "{folder}", "{host}:{port}", "{deadline}"), restart=("sh", "{pid}"),
        env={"PLACE": "{folder}"},
    )  # fmt: skip
    rendered = render(router, THREE, LISTEN, tmp_path / "run", Settings(deadline_s=10.2))
    folder = tmp_path.resolve() / "run"
    assert rendered.command[1:] == (str(folder / "mine.conf"), str(folder), "127.0.0.1:20001", "11")
    assert rendered.restart is not None
    assert rendered.restart[1:] == ("{pid}",)
    assert rendered.cwd == tmp_path.resolve()
    assert rendered.env["PLACE"] == str(folder)
    assert rendered.env.items() >= {k: v for k, v in os.environ.items() if k not in ("PATH", "PLACE")}.items()


def test_environment_of_a_router_has_no_proxy_but_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever works behind one does not measure the way to it and back."""
    for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    router = mine(tmp_path, "", env={"HTTPS_PROXY": "http://mine:{port}"})
    env = render(router, THREE, LISTEN, tmp_path / "run").env
    assert {name: text for name, text in env.items() if name.lower().endswith("_proxy")} == {
        "HTTPS_PROXY": "http://mine:20001"
    }


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (
            "{{ nothing }}",
            ", line 1: unknown name 'nothing': known are predictors, actives, standbys, listen, folder, ",
        ),
        ("\n{{ acitves }}", ", line 2: unknown name 'acitves': did you mean 'actives'? Known are predictors, "),
        (
            "\n\n\n{{ actives[0].capacty }}",
            "line 4: unknown name 'capacty': did you mean 'capacity'? Known are active, ",
        ),
        ("{{ predictors[9].name }}", "no element 9"),
        ("\n{{ port | nginxx }}", ", line 2: No filter named 'nginxx': mend"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "recursion"),
        ("line\n{% for %}", ", line 2: "),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ '$x' | nginx }}", "cannot stand in a configuration"),
        ("{% include 'other' %}", "other"),
    ],
)
def test_template_that_fails_is_told_in_one_line(tmp_path: Path, template: str, told: str) -> None:
    """The template's name, what is wrong, and to mend it; nothing is written."""
    with pytest.raises(UsageError) as caught:
        text_of(template, tmp_path)
    assert str(tmp_path / "mine.conf.j2") in str(caught.value)
    assert told in str(caught.value)
    assert "mend the template" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


HOSTILE = [
    "",
    "a b",
    "a\nb",
    'a"b',
    "a'b",
    "a;b",
    "a{b",
    "a}b",
    "a#b",
    "$a",
    "${a}",
    "a\\",
    "a`b",
    "ü",
    "-a",
    "x" * 254,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_hosts_never_reach_a_template(tmp_path: Path, text: str) -> None:
    """They are those that no topology may have."""
    for backends, listen in (
        ([Backend(text, "127.0.0.1", 1, 1, active=True)], LISTEN),
        ([Backend("a", text if text != "-a" else "a b", 1, 1, active=True)], LISTEN),
        (THREE, Listen(text if text != "-a" else "\n", 1)),
    ):
        with pytest.raises(UsageError, match=r"give a host name or an IP address|is not a predictor's name"):
            render(mine(tmp_path, "{{ predictors }}"), backends, listen, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("port", [0, 65536, -1, True, "80", 1.5, "80; }"])
def test_hostile_ports_never_reach_a_template(tmp_path: Path, port: int) -> None:
    """A port is a whole number."""
    with pytest.raises(UsageError, match="give a number from 1 to 65535"):
        render(mine(tmp_path, "x"), [Backend("a", "h", port, 1, active=True)], LISTEN, tmp_path / "run")


def test_names_and_hosts_are_those_of_a_topology() -> None:
    """What a topology's router takes, another takes, too."""
    assert (NAME, HOST) == (topology.NAME, topology.HOST)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("predictors", [THREE, ALL_ACTIVE, LONGEST], ids=["standby", "active", "single"])
@pytest.mark.parametrize("health", ["/a'b;c$&(d)%20!?x=/y", None], ids=["hostile-path", "no-path"])
def test_ready_made_configuration_is_taken_by_its_router(
    tmp_path: Path, path: Path, predictors: list[Backend], health: str | None
) -> None:
    """Whatever the topology, in a folder with a hostile name, with the most hostile path of a server file."""
    router = read(path)
    try:
        require_installed(router)
    except UsageError as error:
        pytest.skip(str(error))
    settings = Settings(retries=retries_of(len(predictors)), health=health)
    folder = tmp_path / "a \"b' ;{$x}"
    rendered = render(router, predictors, LISTEN, folder, settings)
    assert checked(path, rendered) == ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ready_made_file_says_how_to_get_it_and_its_version(path: Path) -> None:
    """Whoever lacks it is told; a run can record which one it was."""
    router = read(path)
    assert router.install
    assert router.version
    assert path.parent / f"{path.stem}.json" == path


def test_program_that_is_not_installed_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    """In one line, before anything is started; so is one that only restarts it."""
    for keys in ({"command": ("no-such-router",)}, {"restart": ("no-such-router",)}):
        router = mine(tmp_path, "x", install="apt install it", **keys)
        with pytest.raises(UsageError, match=r"--router mine: no program 'no-such-router' on PATH: apt install it$"):
            render(router, THREE, LISTEN, tmp_path / "run")


def test_program_with_a_slash_is_looked_for_from_the_files_folder(tmp_path: Path) -> None:
    """As in a server file."""
    program = tmp_path / "bin" / "mine"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    router = mine(tmp_path, "x", ("bin/mine",))
    with pytest.raises(UsageError, match=r"no program .*bin/mine"):
        render(router, THREE, LISTEN, tmp_path / "run")
    program.chmod(0o755)
    assert render(router, THREE, LISTEN, tmp_path / "run").command == (str(program),)


def test_settings_of_predictors_that_differ_are_refused(tmp_path: Path) -> None:
    """A configuration has one path and one health check for all."""
    router = mine(tmp_path, "x")
    both = {"a": OWN, "b": Server(health="/other")}
    with pytest.raises(UsageError, match="--router mine: b: health is '/other', a's '/health': it has one for all"):
        settings_of(both, 10.0, router)


def test_settings_of_predictors_are_their_server_files(tmp_path: Path) -> None:
    """Headers are the clients' own: a check without them is a connection."""
    router = mine(tmp_path, "x")
    own = settings_of({"a": OWN, "b": OWN, "c": OWN, "d": OWN}, 12.0, router)
    assert (own.deadline_s, own.retries, own.health, own.path, own.attempt_s) == (12.0, 2, "/health", "/predict", 4.0)
    other = Server(path="/score", health="/up", headers={"Key": "x"}, health_interval_s=1, health_timeout_s=2)
    one = settings_of({"a": other}, 10.0, router)
    assert (one.retries, one.health, one.path) == (0, None, "/score")
    assert (one.health_interval_s, one.health_timeout_s) == (1, 2)
