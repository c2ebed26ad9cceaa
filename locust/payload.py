"""The payload: a JSON file whose content users POST instead of asking with GET; checked before it is sent.

A file that cannot be one raises ArgumentTypeError with the reason and the remedy.
"""

import functools
import json
from argparse import ArgumentTypeError
from pathlib import Path
from typing import NoReturn

PAYLOAD_LIMIT_BYTES = 1024 * 1024  # the router's own limit for a body


def read_payload(name: str) -> bytes:
    """Returns the file's content, unchanged. Raises ArgumentTypeError where it is missing, too large or no JSON."""
    path = Path(name)
    try:
        if not path.is_file():
            raise ArgumentTypeError(
                f"{name!r}: no such file: name a JSON file (relative to {str(Path.cwd())!r}, or absolute)"
            )
        with path.open("rb") as file:
            content = file.read(PAYLOAD_LIMIT_BYTES + 1)
    except OSError as error:
        raise ArgumentTypeError(f"{name!r}: {error.strerror}: name another file") from None
    if len(content) > PAYLOAD_LIMIT_BYTES:
        raise ArgumentTypeError(
            f"{name!r}: over {PAYLOAD_LIMIT_BYTES} bytes, more than the router takes: send less at once"
        )
    _require_json(name, content)
    return content


def _require_json(name: str, content: bytes) -> None:
    try:
        json.loads(content, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        raise ArgumentTypeError(f"{name!r}: not JSON at {position}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise ArgumentTypeError(f"{name!r}: not JSON: {reason}") from None


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


read_payload_once = functools.cache(read_payload)
"""For --payload: Locust parses the command line again for each load of its page, when the file may be in the making."""


def payload_option(text: str) -> str:
    """Returns the value of --payload. Raises ArgumentTypeError."""
    read_payload_once(text)
    return text
