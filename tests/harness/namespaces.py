"""Hosts of their own on one machine; a test that needs them is skipped, with the reason, where there can be none."""

from collections.abc import Sequence

import pytest

from experiments.testbed import namespaces


class Network(namespaces.Network):
    """A network of hosts, for a test."""

    def __init__(self, hosts: Sequence[str]) -> None:
        """Makes it, or skips the test."""
        try:
            super().__init__(hosts)
        except namespaces.NamespacesError as error:
            pytest.skip(f"no network namespaces: {error}")
