"""The metrics: what Prometheus is told, read by its own parsers; and the dashboard that asks for them."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from routing import __version__
from routing.admin.metrics import Metrics
from routing.counters import BOUNDS_S, Counters, Histogram
from tests.unit.routing.admin.stub_engine import StubEngine

ROOT = Path(__file__).resolve().parents[4]
DASHBOARD = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text())
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def engine() -> StubEngine:
    """An engine without any traffic yet."""
    return StubEngine()


def scrape(engine: StubEngine) -> dict[tuple[str, ...], float]:
    """Every sample of the exposition: its value by its name and the values of its labels."""
    text, _ = Metrics(lambda: engine).exposition("")
    families = parse_text(text.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def families(engine: StubEngine) -> list[Metric]:
    """The families as the strict parser of OpenMetrics reads them."""
    text, content_type = Metrics(lambda: engine).exposition(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    return list(parse_openmetrics(text.decode()))


def test_exposition_passes_both_official_parsers(engine: StubEngine) -> None:
    """The exposition is valid in Prometheus' own format and in OpenMetrics, whichever is asked for."""
    engine.counters.count_answer("one", 200, 0.1)
    text, content_type = Metrics(lambda: engine).exposition("")
    assert content_type.startswith("text/plain; version=")
    assert {f.name for f in parse_text(text.decode())} >= {"ha_router_requests", "process_cpu_seconds"}
    names = [family.name for family in families(engine)]
    assert len(names) == len(set(names))


def test_metric_names_and_helps_follow_the_conventions(engine: StubEngine) -> None:
    """One prefix, lower case, base units, and a help that is a sentence; counters end in _total by themselves."""
    for family in families(engine):
        if family.name.startswith(("process_", "python_")):
            continue
        assert re.fullmatch(r"ha_router_[a-z]+(_[a-z]+)*", family.name)
        assert not re.search(r"_(total|ms|milliseconds|count)$", family.name)
        assert re.fullmatch(r"\S.*\.", family.documentation)


def test_counters_are_exposed_by_predictor_code_and_reason(engine: StubEngine) -> None:
    """Answers by predictor and code, refusals by reason, re-sent requests by the predictor that failed."""
    engine.counters.answers = Counter({("one", "200"): 5, ("one", "404"): 1, ("gone", "200"): 2})
    engine.counters.refused["saturated"] = 4
    engine.counters.resends["one"] = 3
    found = scrape(engine)
    told = {key[1:]: value for key, value in found.items() if key[0] == "ha_router_requests_total"}
    assert told == {("200", "one"): 5, ("404", "one"): 1, ("200", "two"): 0, ("200", "gone"): 2}
    assert found["ha_router_refusals_total", "saturated"] == 4
    assert found["ha_router_refusals_total", "down"] == 0
    assert found["ha_router_resends_total", "one"] == 3


def test_good_answers_have_one_series_from_the_start_in_the_engines_own_code(engine: StubEngine) -> None:
    """An engine that counts classes of codes has no series of a single code, which would never move."""
    engine.counters = Counters(success_code="2xx", latency=None)
    series = {key[1:] for key in scrape(engine) if key[0] == "ha_router_requests_total"}
    assert series == {("2xx", "one"), ("2xx", "two")}


def test_latency_is_a_histogram_that_adds_up(engine: StubEngine) -> None:
    """Buckets count up to the number of answers; a duration on a bound belongs to that bound's bucket."""
    for duration_s in (0.05, 0.05001, 60.0):
        engine.counters.count_answer("one", 200, duration_s)
    found = scrape(engine)
    name = "ha_router_request_duration_seconds"
    assert [found[f"{name}_bucket", bound] for bound in ("0.02", "0.05", "0.1", "20.0", "+Inf")] == [0, 1, 2, 2, 3]
    assert found[f"{name}_count",] == 3
    assert found[f"{name}_sum",] == pytest.approx(60.10001)


def test_latency_that_the_engine_cannot_know_is_left_out(engine: StubEngine) -> None:
    """No histogram is better than one of zeros."""
    engine.counters.latency = None
    engine.counters.count_answer("one", 200, 0.1)
    assert not [key for key in scrape(engine) if "duration" in key[0]]


def test_latency_bounds_ascend_and_fit_the_counts() -> None:
    """Each bound is above the last, and there is one count more, for what is beyond all."""
    assert list(BOUNDS_S) == sorted(set(BOUNDS_S))
    assert len(Histogram().counts) == len(BOUNDS_S) + 1


def test_predictors_state_is_exposed_as_gauges(engine: StubEngine) -> None:
    """Load, capacity, up, in rotation and drained for each predictor; role, region and address as an info."""
    found = scrape(engine)
    values = {key[0].removeprefix("ha_router_predictor_"): value for key, value in found.items() if key[-1] == "one"}
    wanted = {"load": 3, "peak_load": 7, "capacity": 10, "up": 1, "in_rotation": 1, "drained": 0}
    assert {name: values[name] for name in wanted} == wanted
    assert [found[f"ha_router_predictor_{name}", "two"] for name in ("up", "in_rotation", "drained")] == [0, 0, 1]
    assert found["ha_router_predictor_info", "127.0.0.1:9696", "two", "B", "standby"] == 1


def test_changes_are_counted_by_predictor(engine: StubEngine) -> None:
    """Promotions and ejections stand at 0 from the start, so that the first one is an increase."""
    engine.counters.events["two", "promoted"] += 1
    found = scrape(engine)
    assert [found["ha_router_promotions_total", name] for name in ("one", "two")] == [0, 1]
    assert found["ha_router_ejections_total", "one"] == 0


def test_build_names_the_projects_version(engine: StubEngine) -> None:
    """The version in the metrics is the project's."""
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert [key for key in scrape(engine) if key[0] == "ha_router_build_info" and __version__ in key]


# The dashboard


def queries() -> list[str]:
    """Every query of the dashboard's panels."""
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_dashboard_asks_only_for_metrics_that_exist(engine: StubEngine) -> None:
    """Every metric in a query, or in a variable's, is in the exposition."""
    exposed = {key[0] for key in scrape(engine)}
    variables = [v["query"]["query"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]
    asked = set(re.findall(r"\b(?:ha_router|process)_\w+", " ".join([*queries(), *variables])))
    assert len(asked) > 10
    assert asked <= exposed


def test_dashboard_shows_every_metric_of_traffic_and_state() -> None:
    """Rates, refusals, latency, load, capacity, up, role, promotions, ejections and re-sends each have a panel."""
    wanted = ("requests_total", "refusals_total", "request_duration_seconds_bucket", "predictor_load", "predictor_up")
    wanted += ("predictor_capacity", "predictor_info", "promotions_total", "ejections_total", "resends_total")
    assert [name for name in wanted if f"ha_router_{name}" not in " ".join(queries())] == []


def test_dashboard_can_be_imported_with_any_data_source() -> None:
    """Panels have ids and places of their own, and take the data source from the variable."""
    panels = DASHBOARD["panels"]
    assert DASHBOARD["id"] is None  # Grafana gives it one
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    cells = [cell for panel in panels for cell in cells_of(**panel["gridPos"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def cells_of(x: int, y: int, w: int, h: int) -> list[tuple[int, int]]:
    """The cells of Grafana's grid, 24 wide, that a panel covers."""
    return [(x + right, y + down) for right in range(w) for down in range(h)]


def test_cold_standby_that_is_wanted_and_loads_is_two_gauges(engine: StubEngine) -> None:
    """An alert can tell that a process is to be started from one that is starting."""
    engine.predictors["two"] |= {"state": "loading", "wanted": True}
    samples = scrape(engine)
    assert [samples["ha_router_predictor_wanted", name] for name in ("one", "two")] == [0, 1]
    assert [samples["ha_router_predictor_loading", name] for name in ("one", "two")] == [0, 1]
