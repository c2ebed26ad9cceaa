"""Reports without drawing: that takes most of a report's time, and few tests look at a chart.

`python -m tests.harness.charts COMMAND` is `python -m experiments COMMAND` with empty charts.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from unittest.mock import patch

from matplotlib.figure import Figure

from experiments.__main__ import main

EMPTY = b"<svg><style></style></svg>"


@contextmanager
def empty_charts() -> Iterator[None]:
    """Has every chart that is saved while the block runs be an empty one."""
    with patch.object(Figure, "savefig", _save_empty):
        yield


def _save_empty(_: Figure, target: Path | BinaryIO, **options: Any) -> None:
    if isinstance(target, Path):
        target.write_bytes(EMPTY)
    else:
        target.write(EMPTY)


if __name__ == "__main__":
    with empty_charts():
        sys.exit(main(sys.argv[1:]))
