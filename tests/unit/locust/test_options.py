"""The swarm's own options: what is accepted, before anything is sent."""

import shutil
from pathlib import Path

import pytest

from tests.harness.project import ROOT
from tests.unit.locust.scripts import printed, run

PAYLOADS = r"""
from pathlib import Path
from argparse import ArgumentTypeError
from payload import PAYLOAD_LIMIT_BYTES, read_payload
for content in (b"[1]", b" {}\n", b"", b"[NaN]", b"\xff", b"[" * 99999, b"1" * 5000, b"1" * (PAYLOAD_LIMIT_BYTES + 1)):
    Path(FILE).write_bytes(content)
    try:
        print(read_payload(FILE))
    except ArgumentTypeError as error:
        print(str(error).removeprefix(repr(FILE)))
"""


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--admin", "localhost"], "--admin: 'localhost' is not an address such as http://127.0.0.1:8001"),
        (["--admin", "http://localhost:port"], "--admin: 'http://localhost:port' is not an address"),
        (["--host", "127.0.0.1:8000"], "--host: '127.0.0.1:8000' is not an address such as http://127.0.0.1:8000"),
        (["--go-on", "-1"], "--go-on: '-1' is not a number of seconds from 0 to 86400, such as 10"),
        (["--records", "no/such/place.csv"], "--records: 'no/such/place.csv': no directory 'no/such'"),
        (["--payload", "no/such.json"], "--payload: 'no/such.json': no such file: name a JSON file"),
        (["--server", "no-such"], "--server: unknown server 'no-such': give "),
        (["--first-failure", "tests"], "--first-failure: 'tests': not a regular file: name a file"),
        (["--records", "n" * 300], "nnn': File name too long: choose another place"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_status_2(options: list[str], names: str) -> None:
    """A user's mistake is named before the swarm starts."""
    done = run("-m", "locust", "-f", "locust/locustfile.py", "--headless", "-t", "1s", *options)
    assert done.returncode == 2
    assert names in done.stderr
    assert len((done.stderr + done.stdout).splitlines()) == 1


def test_options_that_contradict_each_other_are_refused() -> None:
    """A run that does not end at its first failure cannot go on after it for some time."""
    options = ["--headless", "-t", "1s", "--go-on", "5", "--no-stop-at-first-failure"]
    done = run("-m", "locust", "-f", "locust/locustfile.py", *options)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "locust: error: --go-on 5: leave out --no-stop-at-first-failure"


def test_server_file_with_a_payload_leaves_no_room_for_another(tmp_path: Path) -> None:
    """Two payloads at once are refused, where either would have to be ignored; a server without one takes any."""
    (tmp_path / "own.json").write_text("[1]")
    (tmp_path / "with.json").write_text('{"payload": "own.json"}')
    locust = ["-m", "locust", "-f", "locust/locustfile.py", "--headless", "-t", "1s"]
    done = run(*locust, "--payload", "predictors/sample.json", "--server", str(tmp_path / "with.json"))
    assert done.returncode == 2
    told = f"the server file {str(tmp_path / 'with.json')!r} names one, too: leave out one of them"
    assert done.stderr.splitlines()[-1] == f"locust: error: payload 'predictors/sample.json': {told}"


def test_server_file_whose_variable_is_not_set_is_refused(tmp_path: Path) -> None:
    """The variable is named before the swarm starts."""
    (tmp_path / "mine.json").write_text('{"headers": {"Authorization": "Bearer {env:NO_SUCH_KEY}"}}')
    done = run("-m", "locust", "-f", "locust/locustfile.py", "--headless", "--server", str(tmp_path / "mine.json"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "argument --server: " in done.stderr
    assert "the variable NO_SUCH_KEY is not set: export it" in done.stderr


def test_server_option_needs_the_project_and_nothing_else_does(tmp_path: Path) -> None:
    """A copy of Locust's folder works on its own; --server is refused there with the reason."""
    copy = shutil.copytree(ROOT / "locust", tmp_path / "locust", ignore=shutil.ignore_patterns("__pycache__"))
    assert run("-m", "locust", "-f", str(copy / "locustfile.py"), "--list").returncode == 0
    done = run("-m", "locust", "-f", str(copy / "locustfile.py"), "--headless", "--server", "mine.json")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"--server: 'mine.json': needs server_file.py of the project in {str(tmp_path)!r}" in done.stderr


def test_payload_is_read_unchanged_or_refused_with_its_fault(tmp_path: Path) -> None:
    """What is JSON and small enough is sent as it is; anything else is one line that says why."""
    lines = printed(f"FILE = {str(tmp_path / 'some.json')!r}\n{PAYLOADS}").splitlines()
    assert lines[:2] == [str(b"[1]"), str(b" {}\n")]
    faults = [": not JSON at line 1, column 1", ": not JSON: NaN is no JSON number", ": not JSON: 'utf-8'"]
    faults += [": not JSON: nested too deep", ": not JSON: Exceeds the limit", ": over 1048576 bytes"]
    assert [line.startswith(fault) for line, fault in zip(lines[2:], faults, strict=True)] == [True] * 6, lines
