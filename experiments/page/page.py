"""Reports as one HTML file each: templates, and charts put inside, so that a page refers to nothing outside."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

TEMPLATES = Path(__file__).resolve().parent / "templates"

Target = Path | BinaryIO
"""Where a chart is drawn to."""


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


def draw_both(draw: Callable[[Target, Sheet], None], path: Path) -> Chart:
    """Draws a chart into its file, and once more for a narrow page."""
    draw(path, WIDE)
    drawn = io.BytesIO()
    draw(drawn, NARROW)
    return Chart(_data_address(path.read_bytes()), _data_address(drawn.getvalue()))


def render_page(template: Path, **values: Any) -> str:
    """The page that the template makes of the values; it extends templates/base.html."""
    import jinja2  # only a page needs it, no --help

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template.name).render(**values)


def _data_address(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")
