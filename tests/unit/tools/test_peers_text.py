"""Where docs/peers.md says another router to be better, from results made by hand."""

from dataclasses import replace

import pytest

from experiments.theory.verdicts import Verdict
from tests.unit.tools.test_peers_page import cell, results
from tools.peers_figures import CONNECTIONS, Kind, compare, gaps, usual_beside
from tools.peers_results import Results, Speed
from tools.peers_text import where_others_are_better


def text_of(found: Results, *beside: str) -> str:
    """The sentences about who is better."""
    return "\n".join(where_others_are_better(compare(found, beside or usual_beside(found))))


def test_where_another_router_is_better_it_is_named_with_its_figures() -> None:
    """Five windows without a loss beside five with 4 or more: no chance."""
    found = results(cell("flask", 4, 5, 4, 6, 5), cell("haproxy", 0, 0, 0, 0, 0), cell("nginx", 0, 0, 0, 0, 1))
    text = text_of(found)
    assert (
        "**Fewer requests lost than with `flask` (this router)** (requests per fault):\n\n"
        "| fault | `flask` | better |\n| --- | --- | --- |\n| crash | 4.8 | nginx&nbsp;0.2 |\n"
    ) in text
    assert "`haproxy` (this router)** (requests per fault): nothing measured here was, beyond chance." in text


def test_where_this_projects_router_is_better_nobody_is_named() -> None:
    """The other way round."""
    text = text_of(results(cell("flask", 0, 0, 0, 0, 1), cell("nginx", 4, 5, 4, 6, 5)))
    assert "than with `flask` (this router)** (requests per fault): nothing measured here was" in text
    assert "nginx" not in text
    assert "in 0 the other router is better, in 1 worse" in text


def test_what_may_be_chance_is_told_apart() -> None:
    """Fewer lost, but not by more than chance: named as that, and without the windows in which nothing was broken."""
    own, other = (0, 3, 0, 0), (0, 1, 0, 0)
    quiet = [cell(name, *lost, fault="none") for name, lost in (("flask", own), ("nginx", other))]
    text = text_of(results(cell("flask", *own), cell("nginx", *other), *quiet))
    assert "nothing measured here was" in text
    assert "| fault | `flask` | better, but not told apart from chance |" in text
    assert "| crash | 0.8 | nginx&nbsp;0.2 |" in text
    assert "| none |" not in text


@pytest.mark.parametrize(("other_s", "named"), [(0.45, False), (0.35, True)])
def test_waits_that_nobody_would_care_for_are_not_named(other_s: float, named: bool) -> None:
    """Half a second beside 0.45 s; beside 0.35 s it is told, with its unit."""
    own = cell("flask", 0, longest_wait_s=[0.5])
    text = text_of(results(own, cell("nginx", 0, longest_wait_s=[other_s])))
    assert ("| crash | 0.50&nbsp;s | nginx&nbsp;0.35&nbsp;s |" in text) is named


def test_too_few_windows_are_called_that() -> None:
    """Of 3 and 3 the rarest of 20 arrangements is none of 5 %, whichever side it is on; of 4 and 4 it is."""
    few = text_of(results(cell("flask", 9, 9, 9), cell("nginx", 0, 0, 0)))
    assert "(requests per fault): cannot be decided: the test needs 4 windows per cell, and has 3." in few
    assert "beyond chance" not in few
    assert "chance alone would put up to 0 into" in few
    assert "| crash | 9.0 | nginx&nbsp;0.0 |" in text_of(results(cell("flask", *[9] * 4), cell("nginx", *[0] * 4)))


def test_others_are_put_beside_whom_one_names() -> None:
    """nginx beside envoy and this project's router."""
    found = results(cell("flask", 0, 0, 0, 0), cell("nginx", 5, 6, 5, 6), cell("envoy", 9, 9, 8, 9))
    text = text_of(found, "nginx")
    assert "**Fewer requests lost than with `nginx`**" in text
    assert "| crash | 5.5 | flask&nbsp;0.0 |" in text
    assert "2 comparisons with `nginx`" in text


def test_without_this_projects_router_the_first_is_beside_whom_the_others_are() -> None:
    """Something is said of those that were measured."""
    found = results(cell("nginx", 5, 6, 5, 6), cell("envoy", 0, 0, 0, 0))
    assert usual_beside(found) == ["nginx"]
    assert "| crash | 5.5 | envoy&nbsp;0.0 |" in text_of(found)


def test_one_router_alone_is_beside_nobody() -> None:
    """It says so."""
    assert text_of(results(cell("nginx", 5))) == "No two routers were measured in the same."


def test_waits_that_differ_by_milliseconds_are_equal() -> None:
    """However sure it is; by half a second is another matter."""
    own = cell("flask", *[0] * 5, longest_wait_s=[0.412, 0.413, 0.414, 0.415, 0.416])
    close = cell("nginx", *[0] * 5, longest_wait_s=[0.402, 0.403, 0.404, 0.405, 0.406])
    longer = cell("envoy", *[0] * 5, longest_wait_s=[0.9, 0.95, 0.99, 0.97, 0.96])
    found = {
        each.other: each.verdict for each in compare(results(own, close, longer), ["flask"]) if each.kind is Kind.WAIT
    }
    assert found == {"nginx": Verdict.EQUAL, "envoy": Verdict.WORSE}


def test_faster_routers_are_named_by_connections() -> None:
    """Throughput by answers per second, latency by what is added to going direct."""
    speeds = [
        Speed(name, 8, [1, 2, 3, 4], [rate, rate, rate, rate + 40], [p50] * 4, [10 * p50] * 4)
        for name, rate, p50 in (("direct", 9000, 0.1), ("flask", 1000, 0.8), ("nginx", 5000, 0.2))
    ]
    text = text_of(results(speeds=speeds))
    assert (
        "**More answers per second than with `flask` (this router)** (means of the repeats):\n\n"
        "| load | `flask` | better |" in text
    )
    assert "| 8&nbsp;connections | 1,010 | nginx&nbsp;5,010 |" in text
    assert "| 8&nbsp;connections | 0.70&nbsp;ms | nginx&nbsp;0.10&nbsp;ms |" in text
    assert "**Less added to the slowest 1 % than with `flask` (this router)** (mean of the repeats' p99):" in text
    assert "| 8&nbsp;connections | 7.00&nbsp;ms | nginx&nbsp;1.00&nbsp;ms |" in text


def test_shorter_outages_of_the_routers_own_faults_are_named() -> None:
    """A router that is back sooner; where no request is lost by right, and where nothing strikes, there is none."""
    own = cell("flask", *[3] * 4, fault="router crash", outage_s=[1.2, 1.3, 1.2, 1.3])
    other = cell("nginx", *[3] * 4, fault="router crash", outage_s=[0.2, 0.3, 0.2, 0.3])
    full, quiet = (
        [replace(each, fault=fault, refused=[3] * 4) for each in (own, other)] for fault in ("saturation", "none")
    )
    text = text_of(results(own, other, *full, *quiet))
    assert (
        "**Shorter outages than with `flask` (this router)** (means):\n\n"
        "| fault | `flask` | better |\n| --- | --- | --- |\n"
        "| router&nbsp;crash | 1.25&nbsp;s | nginx&nbsp;0.25&nbsp;s |\n\n"
    ) in text


def test_less_refused_at_saturation_and_sooner_is_named() -> None:
    """40 of 50 refused after 0.1 s beside 10 of 50 after 5 ms; a ms less is the same."""
    own = cell("flask", *[40] * 4, fault="saturation", refused=[40] * 4, refused_after_s=[0.1] * 4)
    other = cell("nginx", *[10] * 4, fault="saturation", refused=[10] * 4, refused_after_s=[0.005] * 4)
    close = cell("envoy", *[40] * 4, fault="saturation", refused=[40] * 4, refused_after_s=[0.099] * 4)
    text = text_of(results(own, other, close))
    assert "**Less refused at saturation than with `flask` (this router)** (mean share of" in text
    assert "| saturation | 80.0&nbsp;% | nginx&nbsp;20.0&nbsp;% |" in text
    assert "**Sooner refusals than with `flask` (this router)** (mean of" in text
    assert "| saturation | 0.100&nbsp;s | nginx&nbsp;0.005&nbsp;s |" in text
    found = {(each.kind, each.other): each.verdict for each in compare(results(own, other, close), ["flask"])}
    assert found[Kind.REFUSED_AFTER, "envoy"] is found[Kind.REFUSED, "envoy"] is Verdict.EQUAL


def test_gaps_are_faults_and_loads_without_a_figure() -> None:
    """Windows that all were left out make no comparison; nor does a load that one router had not."""
    found = results(
        cell("flask", left_out=2), cell("nginx", 0), cell("nginx", 0, fault="hang"),
        speeds=[Speed("direct", 1), *(Speed("flask", count) for count in CONNECTIONS), Speed("nginx", 8)],
    )  # fmt: skip
    assert gaps(found, ["hang", "crash"]) == {
        "flask": ["hang", "crash"],
        "nginx": ["1 connection", "64 connections"],
    }
