"""Two hosts with a router each, and an address that moves: the configurations of docs/keepalived, as they stand there.

CUTS is how often the active host's link is cut (unset: 2; `make two-hosts`: 10).
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.harness.http_client import Answer, fetch, try_fetch
from tests.harness.load import SERVICE_TIME_S, Load
from tests.harness.namespaces import Network
from tests.harness.processes import Process, Router
from tests.harness.project import ROOT
from tests.harness.stage import Stage
from tests.harness.stubs import StubPredictor, ports_of
from tests.harness.waiting import wait_until

CUTS = int(os.environ.get("CUTS", "2"))
HOSTS = ("router-a", "router-b")
CONFIGURATIONS = ROOT / "docs" / "keepalived"
MOVING = "http://192.0.2.10:8000"
RATE_PER_S = 35.0
NEW_WITHIN_S = 1.5
LOOK_S = 1.5  # for so long after a cut new connections are looked at
SILENT_S = 2.0  # the clients of the address that moves give up then
TRY_S = 1.0  # those who know both addresses ask the other one then
DRAINED = "predict3"
LONGEST_S = 60.0 + 15.0 * CUTS


class Cut(NamedTuple):
    """When the active host's link was cut, in monotonic seconds: at some moment between the two."""

    begun_s: float
    done_s: float

    def met(self, answer: Answer) -> bool:
        """Whether that request was in flight."""
        return answer.sent_at_s <= self.done_s and answer.sent_at_s + answer.took_s >= self.begun_s

    def is_before(self, answer: Answer) -> bool:
        """Whether that request began a new connection while nobody, or just the other host, had the address."""
        return self.done_s < answer.sent_at_s < self.done_s + LOOK_S


class TwoAddressLoad(Load):
    """Clients who know both hosts' own addresses: they ask one, and where it gives no good answer in time the other."""

    def __init__(self, addresses: Sequence[str], rate_per_s: float) -> None:
        super().__init__("", rate_per_s, longest_s=LONGEST_S, silent_s=TRY_S)
        self._urls = [f"http://{address}:8000" for address in addresses]

    def _ask(self, question: bytes | None) -> Answer:
        began_s, urls = time.monotonic(), list(self._urls)
        for url in urls:
            answer = try_fetch(url, question, self._silent_s)
            if answer.status == 200:
                break
        self._urls = [url, *(other for other in urls if other != url)]
        return answer._replace(sent_at_s=began_s, took_s=time.monotonic() - began_s)


class RouterHost:
    """One of the two: a router on a topology file of its own, and keepalived as documented."""

    def __init__(self, name: str, stage: Stage, network: Network, stubs: list[StubPredictor]) -> None:
        self.name = name
        self._network = network
        with network.inside(name):
            self.router = _router(stage, network, stubs)
            self._keepalived = _keepalived(stage, name)

    def order(self, predictor: str, order: str) -> None:
        """Gives the router an operator's order."""
        with self._network.inside(self.name):
            self.router.order(predictor, order)

    def serves(self) -> bool:
        """Whether its router has all but the drained one in rotation."""
        with self._network.inside(self.name):
            return self.router.predictors("state") == ["serving", "serving", "drained"]

    def state(self) -> str:
        """What keepalived says that it is."""
        said = re.findall("Entering ([A-Z]+) STATE", self.log())
        return said[-1] if said else ""

    def log(self) -> str:
        """All that keepalived has said."""
        return self._keepalived.output() + self._keepalived.errors()

    def health(self) -> int:
        """The status by which its router answers."""
        with self._network.inside(self.name):
            return fetch(self.router.url, "/health").status

    def check(self) -> bool:
        """Whether the check passes by which keepalived lets this host have the address."""
        [script] = re.findall('script "(.*)"', (CONFIGURATIONS / f"{self.name}.conf").read_text())
        with self._network.inside(self.name):
            return subprocess.run(script.split(), check=False, timeout=10).returncode == 0

    def stop(self) -> None:
        """Ends keepalived politely."""
        self._keepalived.stop()


def _router(stage: Stage, network: Network, stubs: list[StubPredictor]) -> Router:
    path = stage.topology("3active", ports_of(stubs))
    document = json.loads(path.read_text())
    for entry in document.values():
        entry["host"] = network.addresses["predictors"]
    path.write_text(json.dumps(document, indent=4) + "\n")
    return stage.router(path, "--host", "0.0.0.0", "--port", "8000", "--threshold", "20")


def _keepalived(stage: Stage, name: str) -> Process:
    """Starts it, in the foreground, with its files away from those of the machine's own."""
    flags = ["--vrrp", "--dont-fork", "--log-console", "--log-detail", "--no-syslog"]
    files = [f"--pid={stage.folder / name}.pid", f"--vrrp_pid={stage.folder / name}-vrrp.pid"]
    return stage.program(name, ["keepalived", f"--use-file={CONFIGURATIONS / name}.conf", *flags, *files])


@pytest.fixture
def network() -> Iterator[Network]:
    """The two hosts, one for the predictors, one for the clients, on one switch."""
    if missing := [program for program in ("keepalived", "curl") if shutil.which(program) is None]:
        pytest.skip(f"no {missing[0]} on PATH: install Debian's package {missing[0]}")
    with Network([*HOSTS, "predictors", "client"]) as network:
        yield network


def cut_active(hosts: Sequence[RouterHost], network: Network, load: Load) -> Cut:
    """Cuts the link of the host that has the address, looks at new connections for a while, and mends it."""
    active, other = sorted(hosts, key=lambda host: host.state() != "MASTER")
    wait_until(lambda: (active.state(), other.state()) == ("MASTER", "BACKUP") and other.serves())
    begun_s = time.monotonic()
    wait_until(lambda: any(answer.sent_at_s > begun_s for answer in load.good()))
    cut = Cut(time.monotonic(), (network.cut(active.name), time.monotonic())[1])
    wait_until(lambda: other.state() == "MASTER")
    wait_until(lambda: any(answer.sent_at_s > cut.done_s + LOOK_S for answer in load.good()))
    network.mend(active.name)
    return cut


def deploy(stage: Stage, network: Network) -> list[RouterHost]:
    """Starts predictors, routers and keepalived; one predictor is drained at both routers."""
    with network.inside("predictors"):
        stubs = stage.stubs(3, SERVICE_TIME_S, network.addresses["predictors"])
    hosts = [RouterHost(name, stage, network, stubs) for name in HOSTS]
    for host in hosts:
        host.order(DRAINED, "drain")
    wait_until(lambda: {host.state() for host in hosts} == {"MASTER", "BACKUP"})
    return hosts


def check_that_an_answer_keeps_the_address(hosts: Sequence[RouterHost]) -> None:
    """One that has no free predictor keeps it, for the other has the same ones; one that has ended does not."""
    active, other = sorted(hosts, key=lambda host: host.state() != "MASTER")
    for predictor in ("predict1", "predict2"):
        active.order(predictor, "drain")
    assert (active.health(), active.check()) == (503, True)
    active.router.kill()
    wait_until(lambda: (active.state(), other.state()) == ("FAULT", "MASTER"))
    assert not active.check()


def what_happened(cuts: Sequence[Cut], lost: Sequence[Answer], hosts: Sequence[RouterHost]) -> str:
    """When the links were cut and these requests sent, in seconds since the first cut, and what keepalived said."""
    start_s = cuts[0].begun_s
    moments = [f"cut {cut.done_s - start_s:.3f}" for cut in cuts]
    moments += [f"sent {answer.sent_at_s - start_s:.3f}: {answer.status} {answer.body!r}" for answer in lost]
    return "\n".join([*moments, *(f"{host.name}:\n{host.log()}" for host in hosts)])


def test_configurations_differ_where_they_say_so() -> None:
    """What must be the same on both hosts is."""
    a, b = ((CONFIGURATIONS / f"{name}.conf").read_text().splitlines() for name in HOSTS)
    assert len(a) == len(b)
    assert [line for line, other in zip(a[2:], b[2:], strict=True) if line != other and "# differs" not in line] == []
    assert sum("# differs" in line for line in a) == 3


@pytest.mark.timeout(LONGEST_S + 60)
def test_cut_of_the_active_host_loses_what_was_in_flight_alone(stage: Stage, network: Network) -> None:
    """A new connection is answered within 1.5 s; who tries the other address loses nothing; drains hold on both."""
    hosts = deploy(stage, network)
    load = Load(MOVING, RATE_PER_S, LONGEST_S, silent_s=SILENT_S)
    trying = TwoAddressLoad([network.addresses[name] for name in HOSTS], RATE_PER_S / 2)
    with ExitStack() as sending:
        with network.inside("client"):  # its threads stay there
            sending.enter_context(load)
            sending.enter_context(trying)
        cuts = [cut_active(hosts, network, load) for _ in range(CUTS)]
    check_that_an_answer_keeps_the_address(hosts)
    for host in hosts:
        host.stop()
    slowest_s = [max(answer.took_s for answer in load.good() if cut.is_before(answer)) for cut in cuts]
    print(
        f"two hosts: {CUTS} cuts, lost {len(load.lost())} of {len(load.answers)}, new connections answered within "
        f"{min(slowest_s):.2f} to {max(slowest_s):.2f} s; with two addresses lost {len(trying.lost())} of "
        f"{len(trying.answers)}, slowest {trying.slowest_s():.2f} s",
        flush=True,
    )
    beyond = [answer for answer in load.lost() if not any(cut.met(answer) for cut in cuts)]
    assert beyond == [], what_happened(cuts, beyond, hosts)
    assert load.lost(), "nothing was in flight: nothing is shown"
    assert min(slowest_s) <= NEW_WITHIN_S
    assert trying.lost() == []
    assert load.answered_by(DRAINED) + trying.answered_by(DRAINED) == []
    assert [line for host in hosts for line in host.log().splitlines() if "(Line " in line or "WARNING" in line] == []
