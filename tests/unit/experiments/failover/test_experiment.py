"""The command line of the scorecard: what each version does, and which loads it offers."""

import dataclasses
import shlex
from pathlib import Path
from unittest.mock import Mock

import pytest
from rich.console import Console

from cli import UsageError
from experiments.failover import experiment
from experiments.failover.experiment import EXPERIMENT
from experiments.failover.faults import FAULTS
from experiments.failover.records import CALM, N_PLUS_1, FailoverSettings
from experiments.failover.run import DeploymentRun
from experiments.testbed.programs import Programs
from experiments.testbed.servers.chosen import ChosenServer
from experiments.testbed.topologies import find_topology
from server_file import Server
from tests.harness.server_records import SERVER

ROOT = Path(__file__).resolve().parents[4]
HARD = ["none", "crash", "double crash", "hang", "surge while down"]


def settings_of(*words: str) -> FailoverSettings:
    """The settings of this command line."""
    return EXPERIMENT.plan(EXPERIMENT.parser().parse_args(words), ROOT, Console())[0]


RARE = ("region", "host", "stall", "truncated", "reset", "flapping", "black hole", "saturation")
"""With --full, or by name."""


def faults_of(settings: FailoverSettings) -> dict[str, list[str]]:
    """Load -> its faults."""
    return {load.name: load.faults for load in settings.loads}


def test_quick_offers_calm_with_all_faults_and_n_plus_1_with_the_hardest() -> None:
    """Each list in the registry's order; `faults` names all that strike under either."""
    settings = settings_of()
    calm = [name for name in FAULTS if name not in RARE]
    assert faults_of(settings) == {CALM: calm, N_PLUS_1: HARD}
    assert settings.faults == faults_of(settings)[CALM]
    assert [load.rate_per_s for load in settings.loads] == [
        pytest.approx(5.58, abs=0.02),
        pytest.approx(30.08, abs=0.1),
    ]
    assert (settings.rate_per_s, settings.window_s, settings.repeats) == (settings.loads[0].rate_per_s, 10.0, 1)


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose hooks crash, start and stop it: it cannot be made to hang."""
    server = Server(hooks=dict.fromkeys(("crash", "start", "stop"), ("true",)))
    chosen = ChosenServer(server, SERVER, 0.4, 10)
    monkeypatch.setattr(experiment, "choose_server", lambda *_, **__: chosen)


@pytest.mark.parametrize("words", ["--faults crush", "--loads calmer"])
def test_unknown_names_are_refused_before_a_server_is_measured(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preflight takes half a minute."""
    measured = Mock()
    monkeypatch.setattr(experiment, "choose_server", measured)
    with pytest.raises(UsageError, match="unknown"):
        settings_of(*words.split())
    measured.assert_not_called()


@pytest.mark.usefixtures("hooked")
def test_faults_without_their_hook_are_left_out_by_name() -> None:
    """Of the defaults and of those asked for; none left is a mistake. A user's own server meets the stall, too."""
    settings = settings_of()
    assert settings.left_out == {"hang": "the server file has no hook `hang`"}
    assert faults_of(settings) == {
        CALM: [name for name in FAULTS if name == "stall" or name not in {"hang", *RARE}],
        N_PLUS_1: [name for name in HARD if name != "hang"],
    }
    assert settings_of("--faults", "hang,crash").faults == ["crash"]
    with pytest.raises(UsageError, match="argument --faults: hang: the server file has no hook `hang`: give another"):
        settings_of("--faults", "hang")


def test_host_is_left_out_by_name_where_hosts_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without network namespaces, where a topology names hosts; asked for alone it is a mistake."""
    asked = ("--faults", "crash,host", "--topologies")
    assert settings_of(*asked, "2hosts").topologies[0].hosts["predict1"] == "127.0.0.2"
    monkeypatch.setattr(experiment, "why_impossible", lambda: "said")
    assert settings_of(*asked, "2hosts").left_out == {"host": "no network namespaces: said"}
    assert settings_of(*asked, "2active").faults == ["crash", "host"]
    with pytest.raises(UsageError, match="argument --faults: host: no network namespaces: said: give another"):
        settings_of("--faults", "host", "--topologies", "2hosts")


@pytest.mark.usefixtures("hooked")
def test_host_is_left_out_where_hooks_reach_the_predictors() -> None:
    """Their hosts are none of this machine's."""
    settings = settings_of("--faults", "crash,host", "--topologies", "2hosts")
    assert settings.left_out == {"host": "hooks reach the predictors on hosts that nothing here can cut off"}


def test_full_adds_faults_to_both_loads() -> None:
    """Region to calm; error, slow and upgrade to n+1."""
    settings = settings_of("--full")
    assert faults_of(settings)[CALM] == list(FAULTS)
    assert set(faults_of(settings)[N_PLUS_1]) == {*HARD, "slow", "error", "upgrade"}
    assert (settings.window_s, settings.repeats, settings.hold_down_s) == (12.0, 5, 5.0)


def test_faults_and_loads_given_are_those_that_strike() -> None:
    """The same faults under both loads, or under the one that is named."""
    assert faults_of(settings_of("--faults", "none,hang")) == {CALM: ["none", "hang"], N_PLUS_1: ["none", "hang"]}
    assert faults_of(settings_of("--faults", "hang", "--loads", "n+1")) == {N_PLUS_1: ["hang"]}
    only = settings_of("--loads", "n+1")
    assert only.rate_per_s == only.loads[0].rate_per_s > 30


def test_n_plus_1_is_left_out_where_it_is_none_or_no_more_than_calm(tmp_path: Path) -> None:
    """It is said; and refused where nothing is left."""
    assert list(faults_of(settings_of("--topologies", "single"))) == [CALM]
    assert list(faults_of(settings_of("--rate", "70"))) == [CALM]
    with pytest.raises(UsageError, match=r"--loads: n\+1: no topology has a second predictor"):
        settings_of("--topologies", "single", "--loads", "n+1")
    _, run = EXPERIMENT.plan(EXPERIMENT.parser().parse_args(["--topologies", "single"]), ROOT, Console())
    console = Console(width=200, record=True, quiet=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.failover.experiment.run_all", lambda *_: None)
        run(tmp_path, console)
    assert console.export_text() == "load n+1 is left out: no topology has a second predictor\n"


NOT_DECIDING = (*RARE, "upgrade", "big input", "router restart", "router crash")


def test_until_decided_does_what_the_claims_need() -> None:
    """Calm alone, no capacity, no fault that no claim is about; options say otherwise."""
    settings = settings_of("--until-decided")
    assert faults_of(settings) == {CALM: [name for name in FAULTS if name not in NOT_DECIDING]}
    assert (settings.until_decided, settings.most_time_s, settings.capacity_spawn_rate_per_s) == (True, 900.0, 0.0)
    both = settings_of("--until-decided", "--most-time", "90s", "--loads", "calm,n+1", "--faults", "crash")
    assert (faults_of(both), both.most_time_s) == ({CALM: ["crash"], N_PLUS_1: ["crash"]}, 90.0)


def test_until_decided_waits_for_the_verdict_under_every_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that is decided under one load alone is not decided: each load's verdict counts for itself."""
    found = [Mock(claim="a", load=CALM, verdict="not decided"), Mock(claim="a", load=N_PLUS_1, verdict="holds")]
    monkeypatch.setattr(experiment, "read_finished", lambda *_: (None, None))
    monkeypatch.setattr(experiment.report, "summarize", lambda *_: Mock(verdicts=found))
    monkeypatch.setattr(experiment, "run_until_decided", lambda *given: judged.append(given[3](given[4])))
    judged: list[dict[str, str]] = []
    EXPERIMENT.plan(EXPERIMENT.parser().parse_args(["--until-decided"]), ROOT, Console())[1](tmp_path, Console())
    assert judged == [{"a (calm)": "not decided", "a (n+1)": "holds"}]


def test_options_of_router_predictors_and_margins_are_settings() -> None:
    """What shapes the figures is recorded; cold standbys stand in the plan."""
    settings = settings_of("--no-resend", "--load-time", "7", "--margin-lost", "2", "--topologies", "2active,2cold")
    assert (settings.resend, settings.load_time_s, settings.margins.lost_requests) == (False, 7.0, 2.0)
    assert [plan.cold for plan in settings.topologies] == [[], ["predict3"]]


@pytest.mark.parametrize(
    "words",
    [
        "--seed 7",
        "--seed 7 --full --no-resend --load-time 3 --margin-lost 2 --margin-percent 5",
        "--seed 7 --loads n+1 --faults crash,hang --topologies 2active,2cold",
        "--seed 7 --rate 20 --until-decided --most-time 5m",
    ],
)
def test_command_of_a_run_repeats_it(words: str) -> None:
    """Given again, it comes to the same settings."""
    settings = settings_of(*words.split())
    again = settings_of(*shlex.split(settings.command)[4:])
    assert dataclasses.replace(again, started_at=settings.started_at, machine=settings.machine) == settings


def test_expected_time_counts_the_operators_delay_and_loading() -> None:
    """A repair after 60 s makes each lasting fault's step that much longer; a start takes its loading."""

    def steps(*words: str) -> dict[str, float]:
        settings = settings_of("--no-capacity", "--topologies", "2active", *words)
        topology = find_topology("2active", ROOT / "topology")
        return dict(DeploymentRun(Path("x"), settings, topology, settings.topologies[0], 1, Programs(ROOT)).steps())

    usual, late, loading = steps(), steps("--repair-after", "60"), steps("--load-time", "40")
    assert late["hang"] >= 60.0 > usual["hang"]
    assert late["n+1: crash"] >= 60.0 > usual["n+1: crash"]
    assert late["router restart"] == usual["router restart"]
    assert loading["crash"] >= 43.0
    assert loading["hang"] == usual["hang"]
    assert list(usual)[:3] == ["start", "load", "none"]
    assert list(usual)[-1] == "n+1: again"
