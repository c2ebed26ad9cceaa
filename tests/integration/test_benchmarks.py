"""A benchmark from its command to its table, as short as it can be."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.benchmark import SkippedError, benchmark_run, version_of
from benchmarks.peers import PEERS, version_command
from benchmarks.records import RunFolder
from benchmarks.stubs import ANSWER, start_instant
from tests.harness.http_client import fetch
from tests.harness.processes import run
from tests.harness.project import ROOT, SAMPLE

MISSING = [name for name in ("wrk", "haproxy") if shutil.which(name) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_throughput_in_short_measures_router_and_peers_without_a_failure(tmp_path: Path) -> None:
    """Contenders start, answer and end; records and table agree, and no request fails."""
    out = tmp_path / "run"
    quick = ["--seconds", "0.3", "--repeats", "1", "--contenders", "direct,router,naive", "--connections", "8"]
    command = [sys.executable, "-m", "benchmarks", "throughput", "--out", str(out), *quick]
    ended = run(command, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    records = [json.loads(line) for line in (out / "throughput.jsonl").read_text().splitlines()]
    assert {(one["contender"], one["method"]) for one in records} == {
        (contender, method) for contender in ("direct", "router", "naive") for method in ("POST", "GET")
    }
    assert all(one["requests"] > 0 and one["errors"] == 0 for one in records)
    assert "| router |" in ended.stdout


@pytest.mark.skipif(shutil.which("nginx") is None or bool(MISSING), reason="not installed: nginx, wrk or haproxy")
def test_routers_in_short_are_measured_as_experiments_start_them(tmp_path: Path) -> None:
    """The template's configuration, the router's own options, the stubs alone beside them; no request fails."""
    out = tmp_path / "run"
    quick = ["--seconds", "0.2", "--repeats", "1", "--routers", "flask,nginx"]
    ended = run([sys.executable, "-m", "benchmarks", "routers", "--out", str(out), *quick], cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    found = RunFolder(out).measurements()
    names = ["direct", "flask", "nginx"]
    assert sorted((one.contender, one.connections) for one in found) == [
        (n, load) for n in names for load in (1, 8, 64)
    ]
    assert sorted({one.contender for one in found if one.requests}) == names  # on a busy machine not at each load
    assert [one for one in found if one.errors] == []
    assert "max_conns=1000 max_fails=2" in (out / "nginx" / "router" / "nginx.conf").read_text()
    assert RunFolder(out).about()["threads"]["nginx"] == "2"
    assert "| nginx |" in ended.stdout


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="not installed: haproxy, which is the stubs")
@pytest.mark.parametrize("name", PEERS)
def test_peer_in_its_configuration_passes_requests_on(tmp_path: Path, name: str) -> None:
    """The program takes what the benchmark writes for it, reaches the stubs, and ends."""
    with benchmark_run(tmp_path, "haproxy") as (_, programs):
        try:
            server = PEERS[name](programs, start_instant(programs))
        except SkippedError as reason:
            pytest.skip(str(reason))
        answers = [fetch(server.url, body=SAMPLE) for _ in range(4)]
        assert {(answer.status, answer.body.decode()) for answer in answers} == {(200, ANSWER)}
        assert re.fullmatch(r"\d+\.\d+\.\d+", version_of(version_command(name)))
    assert [child.name for child in programs.children if child.processes()] == []


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_sidecar_in_short_is_seen_by_no_byte(tmp_path: Path) -> None:
    """The same answers direct and through it; its figure is a target of the run."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "benchmarks", "sidecar", "--out", str(out), "--repeats", "1", "--requests", "200"]
    ended = run(command, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    [target] = [json.loads(line) for line in (out / "targets.jsonl").read_text().splitlines()]
    assert target["figure"].endswith("; 0 answers differ")
