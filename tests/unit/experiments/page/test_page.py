"""What pages share: charts in the colours of the page that shows them, and definitions under the figures' labels."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.blocking import figures as blocking
from experiments.blocking import pairs as blocking_pairs
from experiments.compare import figures as compare
from experiments.failover import metrics as failover
from experiments.page.page import DARK, TEMPLATES, render_page, with_dark_colours

SVG = """<svg><defs><style type="text/css">*{stroke-linejoin: round}</style></defs>
<path style="fill: #ffffff"/>
<path style="stroke: #0072b2"/><path style="fill: #cc79a7"/><use xlink:href="#m1aa3233"/></svg>"""
PAGE = '{% extends "base.html" %}{% block body %}{% endblock %}'


def test_chart_on_a_page_has_its_colours_in_light_and_in_dark() -> None:
    """A colour of DARK becomes a variable with two values; others, addresses and the light look stay."""
    drawn = with_dark_colours(SVG)
    light, dark = re.findall(r"svg\{([^}]*)\}", drawn)
    assert "--ffffff:#ffffff;--000000:#000000;" in light
    assert f"--ffffff:{DARK['#ffffff']};--000000:{DARK['#000000']};" in dark
    assert drawn.index("prefers-color-scheme:dark") < drawn.index(dark)
    assert 'style="fill: var(--ffffff)"' in drawn
    assert 'style="stroke: var(--0072b2)"' in drawn
    assert 'style="fill: #cc79a7"' in drawn
    assert '"#m1aa3233"' in drawn


def test_every_grey_of_a_chart_has_a_dark_one() -> None:
    """A light ground or a dark line that is drawn in a chart would stand out on a dark page."""
    sources = [path.read_text(encoding="utf-8") for path in TEMPLATES.parents[1].rglob("*.py")]
    greys = {found[0].lower() for source in sources for found in re.findall(r'"(#(\w\w)\2\2)"', source)}
    assert greys <= DARK.keys()


DEFINED = {
    "blocking": (blocking.DEFINITIONS, blocking.LABELS),
    "blocking, topologies": (blocking_pairs.PAIR_DEFINITIONS, blocking_pairs.PAIR_LABELS),
    "compare": (compare.DEFINITIONS, compare.LABELS),
    "failover": (failover.DEFINITIONS, failover.LABELS),
}


@pytest.mark.parametrize("page", DEFINED)
def test_every_definition_has_the_label_of_a_table_or_chart(page: str) -> None:
    """A reader finds a figure under the name that the tables call it."""
    definitions, labels = DEFINED[page]
    assert definitions.keys() <= labels.keys()


def test_definitions_are_listed_by_label_with_the_key_beside_it(tmp_path: Path) -> None:
    """The label first, the key of the files in small type; a figure without a label goes by its key."""
    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    settings = SimpleNamespace(started_at="2026-01-02T03:04:05", versions={}, machine={}, command="", server=None)
    texts = {"time_s": "seconds to it", "odd": "something else"}
    summary = SimpleNamespace(finding=["It went well."], settings=settings, definitions=texts)
    html = render_page(tmp_path / "page.html", summary, labels={"time_s": "Time, s"}, title="T", cards=[], layout="")
    assert "<dt>Time, s <code>time_s</code></dt><dd>seconds to it</dd>" in html
    assert "<dt><code>odd</code></dt><dd>something else</dd>" in html


def test_dark_ground_of_charts_is_that_of_the_page() -> None:
    """No box stands out where a chart begins."""
    assert f"--paper: light-dark(#ffffff, {DARK['#ffffff']})" in (TEMPLATES / "style.css").read_text(encoding="utf-8")
