"""A bound on waiting that ends it quietly."""

from collections.abc import Iterator
from contextlib import contextmanager

import gevent


@contextmanager
def silent_timeout(seconds: float) -> Iterator[None]:
    """Leaves the block without an error when it has waited this long."""
    with gevent.Timeout(seconds, False):  # type: ignore[arg-type]  # the stubs do not know False, which means: quietly
        yield
