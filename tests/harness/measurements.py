"""What the fault tests measure, kept for the table of docs/reliability.md, which tools/reliability.py prints."""

import json
import os
from pathlib import Path

VARIABLE = "RELIABILITY_FIGURES"
MEASURING = bool(os.environ.get(VARIABLE))
"""Whether measurements are kept: then tests do as much as docs/reliability.md says, else what shows their rule."""

Value = float | int | str


def record(fault: str, words: str = "", /, **measured: Value) -> None:
    """Adds one measurement to the file that RELIABILITY_FIGURES names; without it, does nothing.

    `fault` begins with a key of `LINES` in tools/reliability.py and may say which case it was, or is a name of its own;
    cases named after a colon share a row; `words` say what no number can. A key of `measured` carries its unit as its
    end (`_s`, `_ms`, `_mib`, `_percent`, `_per_s`); `of` is the total of the key before it.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    line = json.dumps({"fault": fault, "measured": ({"": words} if words else {}) | measured})
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(line + "\n")  # one short write: tests in several processes share the file
