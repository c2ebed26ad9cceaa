"""Where predictors are that the topology names by host name: addresses for HAProxy, looked up here, and again.

HAProxy itself would refuse the whole topology for one unknown name, and would not look a name up a second time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from routing.haproxy.configuration import UNRESOLVED_ADDRESS
from routing.haproxy.runtime import RuntimeApi
from routing.health import probe_all
from routing.topology import Topology
from routing.upstream.client import Upstream


class Addresses:
    """The addresses that HAProxy knows, of predictors with a host name; none for those that answered nowhere yet."""

    def __init__(self, topology: Topology, upstreams: Mapping[str, Upstream]) -> None:
        self._topology = topology
        self._named = {name: upstream for name, upstream in upstreams.items() if upstream.resolver.is_name}
        self._known: dict[str, str] = {}

    def resolved(self) -> tuple[Topology, list[str]]:
        """Returns the topology with addresses for an HAProxy that starts, and who has none as it answered nowhere."""
        known = {name: upstream.resolver.first or self._known.get(name) for name, upstream in self._named.items()}
        self._known = {name: address for name, address in known.items() if address is not None}
        entries = (replace(entry, host=self._known.get(entry.name, entry.host)) for entry in self._topology.entries)
        return replace(self._topology, entries=tuple(entries)), [n for n in self._named if n not in self._known]

    def resume(self, addresses: Mapping[str, str]) -> None:
        """Takes over an HAProxy that knows these."""
        known = {name: addresses.get(name, UNRESOLVED_ADDRESS) for name in self._named}
        self._known = {name: address for name, address in known.items() if address != UNRESOLVED_ADDRESS}

    def find(self, down: Iterable[str]) -> dict[str, str]:
        """Looks up and probes these; returns the addresses where they are healthy and HAProxy does not know them."""
        upstreams = {name: self._named[name] for name in down if name in self._named}
        failures = probe_all(upstreams)
        found = {name: upstream.resolver.first for name, upstream in upstreams.items() if name not in failures}
        return {name: address for name, address in found.items() if address and address != self._known.get(name)}

    def apply(self, runtime: RuntimeApi, found: Mapping[str, str]) -> None:
        """Has HAProxy use these addresses from now on. Raises RuntimeApiError."""
        backups = {entry.name for entry in self._topology.backups}
        for name, address in found.items():
            runtime.set_address(name, address, with_spare=name in backups)
            self._known[name] = address
