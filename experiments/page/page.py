"""Reports as one HTML file each: templates, and charts put inside, so that a page refers to nothing outside."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).resolve().parent / "templates"


def render_page(template: str, **values: Any) -> str:
    """The page that the template makes of the values."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(**values)


@dataclass(frozen=True)
class Chart:
    """A chart as data: addresses, drawn for a page and for a narrow one."""

    wide: str
    narrow: str


def inline(drawn: bytes) -> str:
    """A drawing, by the contents of its SVG file, as a data: address."""
    return "data:image/svg+xml;base64," + base64.b64encode(drawn).decode("ascii")
