"""How a text stands in each configuration language, so that it stays one text; what cannot is refused.

The filters of router templates: `json` (YAML, too), `nginx`, `haproxy`, `caddy`; and `ms` and `seconds` for durations.
"""

import json
import re
from collections.abc import Callable
from typing import Any

NOT_IN_YAML = re.compile("[\x7f-\x9f\xa0\u2028\u2029\ufeff]")
"""Stand unescaped in JSON, where YAML takes some of them for line breaks."""


def as_json(value: Any) -> str:
    """Returns a value in JSON, which is YAML as well."""
    return NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def as_nginx(text: object) -> str:
    """Returns a text as one parameter of a directive. Raises ValueError: nginx has no way to write `$`."""
    escaped = _refuse(text, "$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def as_haproxy(text: object) -> str:
    """Returns a text as one word; strong quotes keep all but themselves as it is. Raises ValueError."""
    quoted = _refuse(text, "").replace("'", "'\\''")
    return f"'{quoted}'"


def as_caddy(text: object) -> str:
    """Returns a text as one token. Raises ValueError: braces are placeholders in any token, backquotes end this one."""
    return f"`{_refuse(text, '{}`')}`"


def as_ms(seconds: float) -> str:
    """Returns a duration as nginx, HAProxy, Traefik and Caddy write it."""
    return f"{max(1, round(seconds * 1000))}ms"


def as_seconds(seconds: float) -> str:
    """Returns a duration as Envoy writes it."""
    return f"{max(0.001, seconds):.3f}s"


def _refuse(value: object, characters: str) -> str:
    text = str(value)
    for character in text:
        if character in characters or not character.isprintable():
            raise ValueError(f"{character!r} in {text[:64]!r} cannot stand in a configuration of this kind")
    return text


FILTERS: dict[str, Callable[[Any], str]] = {
    "json": as_json,
    "nginx": as_nginx,
    "haproxy": as_haproxy,
    "caddy": as_caddy,
    "ms": as_ms,
    "seconds": as_seconds,
}
"""By their names in templates."""
