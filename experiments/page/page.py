"""Reports as one HTML file each: templates, and charts put inside, so that a page refers to nothing outside."""

import base64
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

TEMPLATES = Path(__file__).resolve().parent / "templates"
EXPERIMENTS = TEMPLATES.parents[1]

Target = Path | BinaryIO
"""Where a chart is drawn to."""


DARK = {
    "#ffffff": "#16191d",  # the ground, as in style.css
    "#000000": "#e4e7ea",
    "#333333": "#c9d0d6",
    "#bbbbbb": "#7b858e",
    "#e5e5e5": "#31373e",
    "#eeeeee": "#262c32",
    "#0072b2": "#56b4e9",
    "#56b4e9": "#3b83b0",
    "#d55e00": "#f2803a",
    "#009e73": "#1fb98d",
}
"""A chart's colour -> the one that stands for it on a dark page; every other colour reads on both grounds."""


@dataclass(frozen=True)
class Sheet:
    """For which page a chart is drawn."""

    width_inches: float
    is_narrow: bool
    """Legends stand below the axes, not beside them, and titles are broken."""


WIDE, NARROW = Sheet(8.0, is_narrow=False), Sheet(4.2, is_narrow=True)
"""A page, and a phone's: each shows a chart's letters at about their size in the text."""


@dataclass(frozen=True)
class Chart:
    """A chart as data: addresses, drawn for a page and for a narrow one."""

    wide: str
    narrow: str


@dataclass(frozen=True)
class Card:
    """One large figure with its name, what it counts, and a few facts beside it."""

    name: str
    what: str
    figure: str
    unit: str
    facts: list[tuple[str, str]]


def draw_both(draw: Callable[[Target, Sheet], None], path: Path) -> Chart:
    """Draws a chart into its file, and once more for a narrow page."""
    wide = drawn(draw, WIDE)
    path.write_bytes(wide)
    return Chart(_data_address(wide), _data_address(drawn(draw, NARROW)))


def drawn(draw: Callable[[Target, Sheet], None], sheet: Sheet) -> bytes:
    """Returns what is drawn for this sheet."""
    target = io.BytesIO()
    draw(target, sheet)
    return target.getvalue()


def render_page(template: Path, summary: Any, *, labels: Mapping[str, str], **values: Any) -> str:
    """The page that the template makes of a summary and the values; it extends templates/base.html.

    `labels`: key of a figure -> its name in tables and charts, by which its definition is listed.
    """
    return render(template, summary=summary, settings=summary.settings, labels=labels, **values)


def render(template: Path, **values: Any) -> str:
    """The page that the template makes of the values; it extends templates/frame.html.

    Templates of the experiments' folders go by folder and name: "answer/box.html".
    """
    import jinja2  # only a page needs it, no --help

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, TEMPLATES, EXPERIMENTS]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template.name).render(**values)


def _data_address(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(with_dark_colours(svg.decode()).encode()).decode("ascii")


def with_dark_colours(svg: str) -> str:
    """The chart with DARK's colours as variables, so that it follows the page that shows it."""

    def variables(colours: Mapping[str, str]) -> str:
        return "".join(f"--{name[1:]}:{colour};" for name, colour in colours.items())

    light = {colour: colour for colour in DARK}
    style = f"svg{{fill:var(--000000);{variables(light)}}}"
    style += f"@media (prefers-color-scheme:dark){{svg{{{variables(DARK)}}}}}"
    named = re.sub("|".join(DARK), lambda colour: f"var(--{colour[0][1:]})", svg)
    return named.replace("</style>", f"{style}</style>", 1)
