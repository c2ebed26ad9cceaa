"""Ports for what an experiment starts."""

import socket
import subprocess
import sys

import pytest

from experiments.testbed import ports
from experiments.testbed.ports import BLOCK, free_ports
from tests.harness.project import ROOT


def test_free_ports_are_different_and_free() -> None:
    """Each port can be bound, and none is given twice."""
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", port))


def test_free_ports_of_fifty_starts_of_three_servers_with_three_ports_never_meet() -> None:
    """None is given out twice, though a server may bind its further ports late; nor is one that another holds."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_ports(1)[0]))
        ports = [port for _ in range(50 * 3) for port in free_ports(3)]
        assert len(set(ports)) == 450
        assert taken.getsockname()[1] not in ports


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_free_ports_leaves_out_what_others_hold_on_any_address(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Model servers bind to all addresses: a port that is free on one alone is of no use."""
    [held, free] = free_ports(2)
    monkeypatch.setattr(ports, "_left", [free, held])
    with socket.socket() as taken:
        taken.bind((address, held))
        taken.listen()
        assert free_ports(1) == [free]


def test_free_ports_of_experiments_side_by_side_are_of_different_blocks() -> None:
    """What one has been given and not yet bound is not given to another; its end sets it free."""
    mine = set(free_ports(2 * BLOCK))
    program = f"from experiments.testbed.ports import free_ports; print(*free_ports({2 * BLOCK}), flush=True); input()"
    others = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    given = [set(map(int, (other.stdout or sys.stdin).readline().split())) for other in others]
    for other in others:
        other.communicate("\n")
    assert len(mine.union(*given)) == 4 * 2 * BLOCK


def test_free_ports_says_so_where_others_have_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with the range."""
    [claimed] = free_ports(1)
    monkeypatch.setattr(ports, "_left", [])
    monkeypatch.setattr(ports, "PORTS", range(claimed, claimed + BLOCK))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", claimed))
        with pytest.raises(ports.CommandError, match=f"no free ports from {claimed} to {claimed + BLOCK - 1}"):
            free_ports(1)
