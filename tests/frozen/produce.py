"""What other programs and people read of the project, made anew from kept records and from running programs.

`python -m tests.frozen.produce` writes it to tests/frozen/expected/, which test_frozen.py compares with: do that only
for a change that is meant to be seen, and say so in the changelog.
"""

import contextlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from benchmarks import __main__ as benchmarks
from experiments import __main__ as experiments_program
from tests.harness.charts import empty_charts

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXPECTED = HERE / "expected"
RUNS = tuple(sorted(path.name for path in (HERE / "runs").iterdir()))
HELPS = {
    "router": ["router.py"],
    "predictor": ["predictors/predict1.py"],
    "routing.haproxy": ["-m", "routing.haproxy"],
    "routing.kubernetes": ["-m", "routing.kubernetes"],
    "experiments": ["-m", "experiments"],
    **{f"experiments-{name}": ["-m", "experiments", name] for name in experiments_program.COMMANDS},
    "benchmarks": ["-m", "benchmarks"],
    **{f"benchmarks-{name}": ["-m", "benchmarks", name] for name in benchmarks.COMMANDS},
}
"""Name -> the command whose --help is kept."""

PROGRAMS = {"experiments": experiments_program.main, "benchmarks": benchmarks.main}
"""Those that can run in this process."""

DEADLINE_S = 30.0
PROXIES_OFF = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def of_run(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    """File name and text of what `report`, `export` and `diff` make of a kept run, which is copied to `folder`."""
    run = folder / name
    shutil.copytree(HERE / "runs" / name, run)
    yield f"{name}/report.txt", experiments("report", str(run)).replace(str(folder), "RESULTS")
    yield f"{name}/summary.json", (run / "summary.json").read_text(encoding="utf-8")
    yield f"{name}/page.txt", page_text((run / "report.html").read_text(encoding="utf-8"))
    yield f"{name}/export.txt", "".join(experiments("export", str(run)).splitlines(keepends=True)[:5])
    yield f"{name}/diff.txt", experiments("diff", str(run), str(run)).replace(str(folder), "RESULTS")
    yield f"{name}/files.txt", "".join(f"{path.name}\n" for path in sorted(run.iterdir()) if path.is_file())


def experiments(*arguments: str) -> str:
    """What `python -m experiments` prints, in a terminal of 80 columns; charts are made, but empty."""
    with empty_charts():
        return _printed(experiments_program.main, arguments)


def _printed(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> str:
    """What a program prints in a terminal of 80 columns, in this process."""
    printed = io.StringIO()
    with patch.dict(os.environ, COLUMNS="80"), contextlib.redirect_stdout(printed):
        try:
            status: Any = main(arguments)
        except SystemExit as ended:  # argparse, after its help
            status = ended.code
    assert status == 0, arguments
    return printed.getvalue()


def page_text(page: str) -> str:
    """What a report says: its text, a line for each block, without styles and pictures."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    alternatives = re.sub(r'<img [^>]*alt="([^"]*)"[^>]*>', r"[\1]", body)
    blocks = re.sub(r"</?(?:p|li|tr|h[1-6]|dt|dd|summary|figcaption|pre|title|div)\b[^>]*>", "\n", alternatives)
    text = html.unescape(re.sub(r"<[^>]+>", " ", blocks))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def of_help(name: str) -> str:
    """A command's --help in a terminal of 80 columns."""
    arguments = [*HELPS[name], "--help"]
    if arguments[0] == "-m" and (program := PROGRAMS.get(arguments[1])):
        return _printed(program, arguments[2:])
    environment = os.environ | {"COLUMNS": "80"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


class Stub(BaseHTTPRequestHandler):
    """A predictor that is well and answers at once."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answers a health check."""
        self._answer()

    def do_POST(self) -> None:
        """Answers a prediction."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Prints nothing."""

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


class StubServer(ThreadingHTTPServer):
    """Serves the stub; connections that the router resets are no news."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Prints nothing."""


@contextlib.contextmanager
def stubs(count: int) -> Iterator[list[int]]:
    """The ports of so many stub predictors."""
    servers = [StubServer(("127.0.0.1", 0), Stub) for _ in range(count)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield [server.server_address[1] for server in servers]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def of_router(engine: str, folder: Path) -> Iterator[tuple[str, str]]:
    """File name and text of GET /topology and GET /metrics of a router after three requests, a refusal and an order."""
    with stubs(2) as ports:
        topology = folder / "frozen.json"
        entries = {
            f"predict{n}": {"status": n < 3, "load": 0, "port": str(port), "region": "east" if n == 1 else None}
            for n, port in enumerate([*ports, 9], start=1)
        }
        topology.write_text(json.dumps(entries))
        with started_router("--engine", engine, "--topology", str(topology), "--deadline", "2") as (public, admin):
            for _ in range(4):
                PROXIES_OFF.open(f"{public}/predict", timeout=DEADLINE_S).close()
            for name in ("predict1", "predict2"):
                _post(f"{admin}/predictors/{name}/drain")
            _refused(f"{public}/predict")
            state, metrics = _settled(admin)
    yield f"router-{engine}/topology.json", _known(json.dumps(state, indent=2) + "\n", topology, ports)
    yield f"router-{engine}/metrics.txt", _known(metrics, topology, ports)


@contextlib.contextmanager
def started_router(*options: str) -> Iterator[list[str]]:
    """The public and the admin address of a router, which has ended by the block's end, however the block ends."""
    command = [sys.executable, str(ROOT / "router.py"), "--port", "0", "--admin-port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as router:
        try:
            yield _addresses(router)
            router.terminate()
            router.wait(DEADLINE_S)
        finally:
            router.kill()  # no harm to one that has ended


def _addresses(router: "subprocess.Popen[str]") -> list[str]:
    assert router.stdout is not None
    found: list[str] = []
    for line in router.stdout:
        found += re.findall(r"serving on (http\S+)", line)
        if len(found) == 2:
            return found
    raise AssertionError("the router ended at its start")


def _post(url: str) -> None:
    PROXIES_OFF.open(
        urllib.request.Request(url, b"{}", {"Content-Type": "application/json"}),  # noqa: S310  # http
        timeout=DEADLINE_S,
    ).close()


def _refused(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        PROXIES_OFF.open(url, timeout=DEADLINE_S)
    refused.value.close()


def _settled(admin: str) -> tuple[Mapping[str, Any], str]:
    """The state and the metrics once all that was done has been counted."""
    end_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < end_s:
        state = json.loads(_read(f"{admin}/topology"))
        served = [predictor["served"] for predictor in state["predictors"].values()]
        states = [predictor["state"] for predictor in state["predictors"].values()]
        if sum(served) == 4 and sum(state["refused"].values()) == 1 and "draining" not in states:
            return state, _read(f"{admin}/metrics")
        time.sleep(0.02)
    raise AssertionError(f"not settled: {state}")


def _read(url: str) -> str:
    with PROXIES_OFF.open(url, timeout=DEADLINE_S) as answer:
        return str(answer.read().decode())


def _known(text: str, topology: Path, ports: list[int]) -> str:
    """The text without what differs from run to run: ports, moments, durations, the process's own figures."""
    text = text.replace(str(topology), "TOPOLOGY")
    for number, port in enumerate(ports, start=1):
        text = text.replace(str(port), f"PORT{number}")
    text = re.sub(r'("(?:since|time)": )[0-9.]+', r"\1MOMENT", text)
    text = re.sub(r'("pid": )[0-9]+', r"\1PROCESS", text)
    text = re.sub(
        r"(?m)^((?:process|python_gc|ha_router_request_duration_seconds_(?:bucket|sum))\S*) .*$", r"\1 N", text
    )
    return re.sub(r'((?:python_)?version)="[^"]*"', r'\1="V"', text)


def everything(folder: Path) -> Iterator[tuple[str, str]]:
    """All that is kept: file name below `expected` and text."""
    for name in RUNS:
        yield from of_run(name, folder)
    for name in HELPS:
        yield f"help/{name}.txt", of_help(name)
    for engine in ("flask", "haproxy"):
        yield from of_router(engine, folder)


def main() -> None:
    """Writes all of it."""
    with contextlib.redirect_stderr(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        for name, text in everything(Path(folder)):
            path = EXPECTED / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
