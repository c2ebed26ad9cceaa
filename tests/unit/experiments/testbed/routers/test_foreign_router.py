"""A foreign router's process: what is told when it does not come up, and that nothing of it stays."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cli import CommandError
from experiments.testbed.ports import free_ports
from experiments.testbed.routers import foreign_router
from experiments.testbed.routers.foreign_router import ForeignRouter, first_error, last_line
from experiments.testbed.routers.rendering import Backend, Listen, Settings, render
from experiments.testbed.routers.router_file import RouterFile
from experiments.testbed.signals import StopRequest

ANSWERS = """
import socket, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(sys.argv[2].encode() + b" \\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    connection.close()
"""
"""Answers each request with this status line; has a child, as most routers have."""

GOOD, BAD = "HTTP/1.1 200", "HTTP/1.1 404"
SILENT = ANSWERS.partition("    connection.recv")[0] + "    held = connection"
"""Takes connections, and answers none."""

Make = Callable[..., ForeignRouter]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Starts a router by these words; it is ended with the test."""
    monkeypatch.setattr(foreign_router, "MORE_THAN_DEADLINE_S", 0.1)
    made: list[ForeignRouter] = []

    def make_one(
        *words: str, ready_within_s: float = 10.0, tell: Callable[[str], object] = lambda _: None, **keys: object
    ) -> ForeignRouter:
        config = tmp_path / "mine.conf.j2"
        config.write_text("", encoding="utf-8")
        times = {"ready_within_s": ready_within_s, "stop_within_s": 0.2}
        router = RouterFile("mine", tmp_path / "mine.json", words, config, **times, **keys)  # type: ignore[arg-type]
        predictors = [Backend("predict1", "127.0.0.1", 9, 1, active=True)]
        settings = Settings(deadline_s=0.1)
        rendered = render(router, predictors, Listen("127.0.0.1", free_ports(1)[0]), tmp_path / "run", settings)
        made.append(ForeignRouter(router, rendered, tmp_path / "mine.log", tell=tell))
        return made[-1]

    yield make_one
    for router in made:
        router.stop(0.0)


def python(program: str, *arguments: str) -> list[str]:
    """A command that runs this program."""
    return [sys.executable, "-c", program, *arguments]


def pids(router: ForeignRouter) -> set[int]:
    """Its processes."""
    return {process.pid for process in router.processes()}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sh", "-c", "echo first; echo 'bad  option' >&2; echo; exit 3"], "mine ended with exit status 3: bad option"),
        (
            ["sh", "-c", "echo starts; echo '[ALERT] port is taken'; echo '[ALERT] exiting'; exit 1"],
            "mine ended with exit status 1: [ALERT] port is taken",
        ),
        (["sh", "-c", "exit 0"], "mine ended with exit status 0: it must stay in the foreground: no word"),
        (["sh", "-c", "sleep 600 & exit 0"], "mine went into the background: keep it in the foreground (nginx: daemon"),
        (
            ["sleep", "600"],
            "mine is not ready after 0.3 s: nothing listens on port {port}: its configuration must name ",
        ),
        (
            python(ANSWERS, "{port}", BAD),
            "mine is not ready after 0.3 s: a prediction at /predict answers 404 Not Found",
        ),
        (
            python(SILENT, "{port}"),
            "mine is not ready after 0.3 s: a prediction at /predict gets no answer within 0.2 s",
        ),
    ],
    ids=["does not start", "says why not", "ends", "leaves", "takes no port", "answers badly", "answers nothing"],
)
def test_router_that_does_not_come_up_is_told_in_one_line_and_leaves_no_process(
    make: Make, words: list[str], told: str
) -> None:
    """What it said last, or what was asked of it and did not come."""
    router = make(*words, ready_within_s=0.3 if "not ready" in told else 10.0)
    before = router.processes()
    with pytest.raises(CommandError) as caught:
        router.wait_until_ready(StopRequest())
    port = str(router._rendered.listen.port)
    assert str(caught.value).startswith(told.replace("{port}", port))
    assert len(str(caught.value).splitlines()) == 1
    assert router.processes() == []
    assert not [process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_router_on_another_port_is_told_with_that_port(make: Make) -> None:
    """The configuration has the wrong one."""
    [port] = free_ports(1)
    router = make(*python(ANSWERS, str(port), GOOD), ready_within_s=0.5)
    with pytest.raises(CommandError, match=rf"nothing listens on port \d+, but on {port}: its configuration must name"):
        router.wait_until_ready(StopRequest())


def test_router_that_serves_in_spite_of_an_error_is_told_with_that(make: Make) -> None:
    """Traefik goes on without a configuration that it cannot read, and answers 404."""
    router = make(*python(f"print('ERR in line 7', flush=True){ANSWERS}", "{port}", BAD), ready_within_s=0.5)
    with pytest.raises(CommandError, match=r"at /predict answers 404 Not Found; its log: ERR in line 7$"):
        router.wait_until_ready(StopRequest())


def test_router_that_is_long_not_ready_is_spoken_of_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of it and does not come, while it is awaited."""
    monkeypatch.setattr(foreign_router, "TELL_AFTER_S", 0.1)
    told: list[str] = []
    router = make(*python(ANSWERS, "{port}", BAD), ready_within_s=1.0, tell=told.append)
    with pytest.raises(CommandError):
        router.wait_until_ready(StopRequest())
    [line] = told
    assert line.startswith("mine: still waiting, up to 1 s: ")


def test_health_of_the_router_itself_comes_first(make: Make) -> None:
    """Where its file has a path for it."""
    router = make(*python(ANSWERS, "{port}", BAD), health="/ready", ready_within_s=0.3)
    with pytest.raises(CommandError, match=r"mine is not ready after 0.3 s: GET /ready answers 404 Not Found$"):
        router.wait_until_ready(StopRequest())


def test_crash_kills_its_whole_tree_and_it_starts_again(make: Make) -> None:
    """On the same port."""
    router = make(*python(ANSWERS, "{port}", GOOD))
    router.wait_until_ready(StopRequest())
    before = pids(router)
    assert len(before) == 2
    router.crash()
    assert pids(router) == set()
    router.start_again(StopRequest())
    assert len(pids(router) - before) == 2


def test_restart_without_a_command_stops_and_starts(make: Make) -> None:
    """Other processes serve then, and none of those before runs."""
    router = make(*python(ANSWERS, "{port}", GOOD))
    router.wait_until_ready(StopRequest())
    before = pids(router)
    router.restart(StopRequest())
    assert len(pids(router)) == 2
    assert not pids(router) & before


def test_restart_runs_its_command_with_the_process_number(make: Make, tmp_path: Path) -> None:
    """The router goes on; where the command fails that is told in one line."""
    router = make(*python(ANSWERS, "{port}", GOOD), restart=("sh", "-c", "echo {pid} > {folder}/told"))
    router.wait_until_ready(StopRequest())
    before = pids(router)
    router.restart(StopRequest())
    assert (tmp_path / "run" / "told").read_text() == f"{router.pid}\n"
    assert pids(router) == before
    failing = make(*python(ANSWERS, "{port}", GOOD), restart=("sh", "-c", "echo no such process; exit 1"))
    failing.wait_until_ready(StopRequest())
    with pytest.raises(CommandError, match=r"^mine: restart ended with exit status 1: no such process$"):
        failing.restart(StopRequest())


def test_router_that_ends_later_is_told_with_its_last_words(make: Make) -> None:
    """Errors of its start, or of single requests, are not why."""
    router = make(*python(f"print('error: one request', flush=True){ANSWERS}", "{port}", GOOD))
    router.wait_until_ready(StopRequest())
    with router.log.open("a") as log:
        log.write("out of memory\n")
    for process in router.processes():
        process.kill()
    assert StopRequest().wait_until(router.has_ended, 5.0)
    with pytest.raises(CommandError, match=r"^mine ended with exit status -9: out of memory$"):
        router.require_alive()


def test_first_error_of_this_start_is_told_not_of_one_before(tmp_path: Path) -> None:
    """Words that only contain one are none."""
    log = tmp_path / "log"
    log.write_text(before := "error before\n")
    assert first_error(log, len(before)) == ""
    log.write_text(f"{before}error_log is on, errors: 0\nFailed: one\nfailed: two\n")
    assert first_error(log, len(before)) == "Failed: one"


def test_last_line_is_cut_in_the_middle(tmp_path: Path) -> None:
    """What it was about stands at the beginning, what was wrong at the end."""
    log = tmp_path / "log"
    log.write_text("before\n" + "a" * 500 + "\x1b" + "z" * 500 + "\n\n")
    assert last_line(log) == "a" * 150 + " ... " + "z" * 150
