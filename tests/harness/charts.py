"""Reports without drawing: that takes most of a report's time, and few tests look at a chart."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from experiments.page import page

EMPTY = b"<svg><style></style></svg>"


@contextmanager
def empty_charts() -> Iterator[None]:
    """Has every chart of a page that is made while the block runs be an empty one."""
    with patch.object(page, "drawn", lambda *_: EMPTY):
        yield
