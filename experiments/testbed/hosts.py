"""The hosts of a deployment's predictors: the router's, or a network namespace for each that is named."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from cli import CommandError
from experiments.testbed.namespaces import HUB, NamespacesError, Network
from experiments.testbed.topologies import Topology


class Hosts:
    """All predictors are on the router's host, whatever the topology says."""

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each predictor that is on another host than the router."""
        return {}

    def beside(self, name: str) -> AbstractContextManager[None]:
        """Lets this thread, and the threads and processes that it starts, be on that predictor's host."""
        return nullcontext()

    def cut(self, names: Iterable[str]) -> None:
        """Cuts the links of these predictors' hosts: what is sent to them or by them vanishes."""
        raise NotImplementedError

    def mend(self, names: Iterable[str]) -> None:
        """Mends them."""
        raise NotImplementedError


class SeparateHosts(Hosts):
    """Each host that the topology names is there, with a link that can be cut; the router's is the hub."""

    def __init__(self, topology: Topology) -> None:
        """Makes them. Raises CommandError."""
        hosts = topology.hosts()
        links = {host: f"host{number}" for number, host in enumerate(dict.fromkeys(hosts.values()), start=1)}
        self._links = {name: links[host] for name, host in hosts.items()}
        try:
            self._network = Network(list(links.values()))
        except NamespacesError as error:
            raise CommandError(f"no network namespaces: {error}") from error

    @contextmanager
    def at_the_router(self) -> Iterator[Hosts]:
        """Lets this thread, and what it starts, be on the router's host; ends all hosts afterwards."""
        with self._network, self._network.inside(HUB):
            yield self

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each predictor that is on a host of its own."""
        return {name: self._network.addresses[link] for name, link in self._links.items()}

    def beside(self, name: str) -> AbstractContextManager[None]:
        """Lets this thread, and what it starts, be on that predictor's host."""
        return self._network.inside(self._links[name]) if name in self._links else nullcontext()

    def cut(self, names: Iterable[str]) -> None:
        """Cuts the links of these predictors' hosts."""
        for link in {self._links[name] for name in names}:
            self._network.cut(link)

    def mend(self, names: Iterable[str]) -> None:
        """Mends them."""
        for link in {self._links[name] for name in names}:
            self._network.mend(link)
