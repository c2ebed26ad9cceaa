"""`--router`: which routers are named, and the deployments that they make with topologies."""

import json
import os
from pathlib import Path

import pytest

from cli import UsageError
from experiments.testbed.chosen_routers import FLASK, choose_routers
from experiments.testbed.topologies import Topology
from server_file import OWN
from tests.harness.project import ROOT

TWO = Topology("2active", {"predict1": {"status": True, "port": 1}, "predict2": {"status": True, "port": 2}})


def router_file(folder: Path, name: str, **more: object) -> Path:
    """A router file there, with its template."""
    (folder / "plain.j2").write_text("", encoding="utf-8")
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"command": "/bin/sh -c true", "config": "plain.j2", **more}), encoding="utf-8")
    return path


def test_one_router_leaves_the_topologies_names(tmp_path: Path) -> None:
    """This project's is told by the engine, as in records of before; another by each plan."""
    own = choose_routers(None, [TWO], ROOT)
    [deployment] = own.deployments([TWO], OWN)
    assert (own.chosen, own.engine, own.records()) == ([FLASK], "flask", [])
    assert (deployment.name, deployment.folder, deployment.identity) == ("2active", "2active", {})
    other = choose_routers([str(router_file(tmp_path, "mine", version="echo mine 1.2"))], [TWO], ROOT)
    [deployment] = other.deployments([TWO], OWN)
    assert (deployment.name, deployment.identity, other.engine) == ("2active", {"router": "mine"}, "")
    [record] = other.records()
    assert (record.name, record.version, record.config) == ("mine", "mine 1.2", "plain.j2")
    assert other.to_repeat == str(tmp_path / "mine.json")


def test_several_routers_make_a_column_of_each_topology_with_each(tmp_path: Path) -> None:
    """Topology / router; the routers of a topology stand beside each other, and folders have no slash."""
    texts = [f"haproxy, {router_file(tmp_path, 'mine')}", "nginx"]
    routers = choose_routers(texts, [TWO], ROOT)
    single = Topology("single", {"predict1": {"status": True, "port": 1}})
    found = routers.deployments([single, TWO], OWN)
    assert [each.name for each in found][:4] == ["single / haproxy", "single / mine", "single / nginx",
                                                 "2active / haproxy"]  # fmt: skip
    assert found[3].identity == {"topology": "2active", "router": "haproxy"}
    assert found[4].folder == "2active-mine"
    assert (routers.engine, routers.foreign) == ("", ["mine", "nginx"])
    assert routers.to_repeat == f"haproxy,{tmp_path / 'mine.json'},nginx"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("flask", "flask is this project's router: give the file another name"),
        ("mine", "both would be called 'mine': rename one$"),
    ],
)
def test_two_routers_of_one_name_are_refused(tmp_path: Path, name: str, told: str) -> None:
    """Their records would mix."""
    (tmp_path / "other").mkdir()
    files = [str(router_file(folder, name)) for folder in (tmp_path, tmp_path / "other")]
    with pytest.raises(UsageError, match=told):
        choose_routers([",".join(files)], [TWO], ROOT)


@pytest.mark.parametrize("name", ["", "-x", "..", "a\nb", "[red]", "a|b", "x" * 65])
def test_file_whose_name_no_table_or_folder_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """In one line."""
    with pytest.raises(UsageError, match="the router goes by the file's name: at most 64 letters, digits") as caught:
        choose_routers([str(router_file(tmp_path, name))], [TWO], ROOT)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (",", "no router is named"),
        ("nginx,nginx", "'nginx' stands there twice: name each once"),
        ("{folder}", "it is a folder: give one of caddy, "),
        ("{folder}/none.json", "no such file in "),
        ("{folder}/pipe.json", "it is no regular file: "),
        ("{folder}/a,b.json", "a,b.json': commas stand between routers: give a path without one"),
    ],
)
def test_text_that_names_no_router_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """With what is there instead."""
    os.mkfifo(tmp_path / "pipe.json")
    router_file(tmp_path, "a,b")
    with pytest.raises(UsageError) as caught:
        choose_routers([text.replace("{folder}", str(tmp_path))], [TWO], ROOT)
    assert told in str(caught.value)


def test_file_in_the_present_folder_is_repeated_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that repeats the experiment is one of the project's folder; a ready-made one keeps its name."""
    monkeypatch.chdir(tmp_path)
    router_file(tmp_path, "my own")
    routers = choose_routers(["my own.json", str(ROOT / "routers" / "nginx.json")], [TWO], ROOT)
    assert routers.to_repeat == f"{tmp_path / 'my own.json'},nginx"


def test_template_that_fails_is_told_before_any_run(tmp_path: Path) -> None:
    """For every topology that it would meet, whatever its ports will be."""
    routers = choose_routers([str(router_file(tmp_path, "mine"))], [TWO], ROOT)
    (tmp_path / "plain.j2").write_text("\n{{ standbys[0].nam }}", encoding="utf-8")
    spare = Topology("spare", TWO.document | {"predict3": {"status": False, "port": 3}})
    with pytest.raises(UsageError, match=r"plain.j2, line 2: unknown name 'nam': did you mean 'name'\?"):
        routers.deployments([spare], OWN)


def test_deployments_whose_folders_would_be_one_are_refused(tmp_path: Path) -> None:
    """a / b-c and a-b / c."""
    files = [str(router_file(tmp_path, name)) for name in ("b-c", "c")]
    routers = choose_routers(files, [TWO], ROOT)
    with pytest.raises(UsageError, match="a / b-c: two deployments have records in a-b-c-1: rename a file"):
        routers.deployments([Topology("a", TWO.document), Topology("a-b", TWO.document)], OWN)


def test_what_no_other_router_can_do_is_refused(tmp_path: Path) -> None:
    """Nobody starts a cold standby for it, its one configuration has one path, and it must be installed."""
    mine = str(router_file(tmp_path, "mine", install="apt install mine", version="no-such-program -v"))
    cold = Topology("2cold", TWO.document | {"predict3": {"status": False, "port": 3, "standby": "cold"}})
    with pytest.raises(UsageError, match="mine: '2cold' has a cold standby"):
        choose_routers([mine], [cold], ROOT)
    mixed = {name: fields | {"command": "serve", "path": f"/{name}"} for name, fields in TWO.document.items()}
    routers = choose_routers([mine], [TWO], ROOT)
    with pytest.raises(UsageError, match="path is '/predict2'"):
        routers.deployments([Topology("mixed", mixed)], OWN)
    with pytest.raises(UsageError, match="no program 'no-such-program' on PATH: apt install mine"):
        routers.require_installed()
