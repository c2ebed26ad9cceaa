"""The first engine of a router that has waited, as a spare, since it read router.py."""

import json
from pathlib import Path

import pytest

from json_files import JsonFileError
from routing.flask_engine import FlaskEngine
from routing.options import parse_arguments
from routing.switchover import Switchover
from server_file import OWN

TEXT = "topology = {}\nnode_threshold = 10\n"


@pytest.fixture
def router_file(tmp_path: Path) -> Path:
    """A router.py of topology 0, beside topology files whose predictors are down."""
    (tmp_path / "topology").mkdir()
    for name in ("single", "2active"):
        text = json.dumps({"predict1": {"status": True, "load": 0, "port": "9"}})
        (tmp_path / "topology" / f"{name}.json").write_text(text, encoding="utf-8")
    file = tmp_path / "router.py"
    file.write_text(TEXT.format(0), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("saved", "opened"),
    [
        pytest.param(TEXT.format(1), "2active", id="another topology"),
        pytest.param(TEXT.format(7), "single", id="no topology"),
        pytest.param("", "single", id="half saved"),
        pytest.param(TEXT.format(2), "single", id="a topology without its file"),
    ],
)
def test_spare_goes_by_router_py_as_it_is_unless_that_cannot_be_used(
    router_file: Path, saved: str, opened: str
) -> None:
    """As the router does that it replaces: a mistake changes nothing."""
    router = Switchover(router_file, parse_arguments([]), OWN, FlaskEngine.open)
    router_file.write_text(saved, encoding="utf-8")
    router.open()
    assert router.engine.topology.name == opened
    router.close()


def test_topology_file_that_was_broken_since_is_an_error(router_file: Path) -> None:
    """There is no other one to go on with."""
    router = Switchover(router_file, parse_arguments([]), OWN, FlaskEngine.open)
    router_file.with_name("topology").joinpath("single.json").write_text("{broken", encoding="utf-8")
    with pytest.raises(JsonFileError, match=r"single\.json"):
        router.open()
