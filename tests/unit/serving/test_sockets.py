"""Sockets that a process inherits by systemd's protocol: which is which, and what is refused."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from cli import UsageError
from routing.options import listeners, parse_arguments
from routing.start import open_sockets
from serving import sockets
from serving.sockets import inherited

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # who is refused ends

DESCRIPTORS = count(200, 20)  # in place of 3, which is in use; each test has its own: what is refused is closed late
NAMED = listeners(parse_arguments([]))

Give = Callable[..., dict[str, str]]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Iterator[Give]:
    """Gives this process sockets at the first descriptors; returns the environment that says so."""
    first = next(DESCRIPTORS)
    monkeypatch.setattr(sockets, "FIRST_DESCRIPTOR", first)
    with ExitStack() as ends:

        def give_them(names: str, *hosts: str, **others: str) -> dict[str, str]:
            for number, host in enumerate(hosts):
                with socket.create_server((host, 0)) if host else socket.socket() as sock:
                    os.dup2(sock.fileno(), first + number)
                ends.callback(os.close, os.dup2(first + number, first + 10 + number))
            count = {"LISTEN_FDS": str(len(hosts)), "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": names}
            return {name: value for name, value in (count | others).items() if value}

        yield give_them


def port_at(number: int) -> int:
    """The port of the socket that was given at this place."""
    with socket.socket(fileno=os.dup(sockets.FIRST_DESCRIPTOR + 10 + number)) as sock:
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("names", "places"),
    [("public:admin", (0, 1)), ("admin:public", (1, 0)), ("", (0, 1)), ("router.socket:router.socket", (0, 1))],
)
def test_inherited_sockets_are_told_apart_by_name_else_by_order(
    give: Give, names: str, places: tuple[int, int]
) -> None:
    """Public first, then admin; children are told nothing of it."""
    environment = give(names, "127.0.0.1", "127.0.0.1")
    found = inherited(NAMED, environment)
    assert [sock.getsockname()[1] for sock in found] == [port_at(place) for place in places]
    assert environment == {}
    assert not any(sock.get_inheritable() for sock in found)
    for sock in found:
        sock.close()


@pytest.mark.parametrize("others", [{"LISTEN_PID": "1"}, {"LISTEN_PID": ""}, {"LISTEN_FDS": ""}])
def test_sockets_meant_for_another_process_are_left_alone(give: Give, others: dict[str, str]) -> None:
    """As a shell's child finds it that systemd had started with sockets."""
    assert inherited(NAMED, give("public:admin", "127.0.0.1", "127.0.0.1", **others)) == []


@pytest.mark.parametrize(
    ("names", "hosts", "said"),
    [
        ("", ["127.0.0.1"], "give 2 sockets"),
        ("public:public2", ["127.0.0.1", "127.0.0.1"], "named public and admin"),
        ("public:admin:more", ["127.0.0.1"] * 3, "give 2 sockets"),
        ("public:admin", ["127.0.0.1", ""], "(the board and admin port, admin)"),
    ],
    ids=["one", "names", "three", "no listener"],
)
def test_other_sockets_than_needed_are_told_in_one_line(give: Give, names: str, hosts: list[str], said: str) -> None:
    """What was given, and what is to be."""
    with pytest.raises(UsageError, match="give") as told:
        inherited(NAMED, give(names, *hosts))
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("options", "hosts", "said"),
    [
        (["--port", "1"], ["127.0.0.1", "127.0.0.1"], "--port 1: "),
        (["--admin-port", "1"], ["127.0.0.1", "127.0.0.1"], "--admin-port 1: "),
        (["--host", "127.0.0.2"], ["127.0.0.1", "127.0.0.1"], "--host 127.0.0.2: "),
        ([], ["127.0.0.1", "0.0.0.0"], "board and admin port is at 0.0.0.0"),
        (["--host", "localhost", "--port", "0"], ["127.0.0.1", "127.0.0.1"], ""),
    ],
    ids=["port", "admin", "host", "open admin", "alike"],
)
def test_option_that_inherited_sockets_contradict_is_refused(
    give: Give, monkeypatch: pytest.MonkeyPatch, options: list[str], hosts: list[str], said: str
) -> None:
    """Nothing that a user writes is silently ignored; the admin port is for this machine alone."""
    for name, value in give("", *hosts).items():
        monkeypatch.setenv(name, value)
    try:
        for sock in open_sockets(parse_arguments(options), None):
            sock.close()
        told = ""
    except UsageError as error:
        told = str(error)
    assert said in told
    assert bool(said) == bool(told)
