"""A topology as an HAProxy configuration, HAProxy 2.6 or newer: data for haproxy.cfg.j2, which holds the rules."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from routing.topology import Entry, Topology
from server_file import Server

PUBLIC = "public"
POOL = "pool"
SPARE = ".spare"
"""What follows a standby's name in the name of its spare entry, which re-sends reach when no active is up."""

PROMOTABLE, COOLING_DOWN = 1, 2
"""A spare entry's weight: its standby may serve at need, or only replace a failure; 0: it may do nothing."""

EMPTY = "%[str()]"
"""An empty text as HAProxy's formats write it: no argument would be an error."""

TEMPLATE = Path(__file__).with_name("haproxy.cfg.j2").read_text(encoding="utf-8")

MAX_RETRIES = 3
"""Of two actives that die together one cuts a request off and both refuse it: the fourth attempt finds them down."""

UNRESOLVED_ADDRESS = "192.0.2.1"
"""Stands for an address that is not known yet, as HAProxy can only replace one: nobody has it (RFC 5737)."""


@dataclass(frozen=True)
class ProxyOptions:
    """What shapes a configuration besides the topology; times in seconds."""

    bind: str
    """The public address as HAProxy writes it: `127.0.0.1:8000`, or `fd@3` for a socket that it inherits."""
    runtime_socket: str | None = None
    deadline_s: float = 10.0
    resend: bool = True
    body_limit_bytes: int = 1024 * 1024
    body_timeout_s: float = 10.0
    keepalive_s: float = 14.0
    connect_timeout_s: float = 0.25
    unresolved: Collection[str] = ()
    """Predictors whose address is not known: HAProxy starts without them, until they are resolved."""
    weights: Mapping[str, int] = field(default_factory=dict)
    """The server entries' weights, where HAProxy takes over in the middle; as planned where none is given."""


def why_inexpressible(topology: Topology) -> str | None:
    """Returns which entry HAProxy cannot serve beside the others, and the remedy; None: it can serve all.

    Its rules change a request before its server is chosen, and check all servers of a backend alike.
    """
    first, *others = topology.entries
    for entry in others:
        for key in ("path", "health"):
            own, common = getattr(entry.server, key), getattr(first.server, key)
            if own != common:
                both = f"{key} is {json.dumps(own)}, {first.name}'s {json.dumps(common)}"
                return f"{topology.path}: {entry.name}: {both}: HAProxy has one for all: use --engine flask"
    return None


def header_variables(server: Server) -> dict[str, str]:
    """Returns environment variables for HAProxy that hold the server file's headers: no value stands in a file."""
    values = server.header_values().values()
    return {_variable(number): value.replace("%", "%%") or EMPTY for number, value in enumerate(values, start=1)}


def _variable(number: int) -> str:
    return f"ROUTER_HEADER_{number}"


def configuration(topology: Topology, options: ProxyOptions) -> str:
    """Returns the whole configuration, with a comment for each rule."""
    import jinja2  # no --help needs it

    def address(entry: Entry) -> str:
        return (replace(entry, host=UNRESOLVED_ADDRESS) if entry.name in options.unresolved else entry).authority

    environment = jinja2.Environment(  # noqa: S701  # no HTML
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"ms": _ms, "quoted": _quoted, "literal": lambda text: text.replace("%", "%%")}
    return environment.from_string(TEMPLATE).render(
        topology=topology,
        options=options,
        server=topology.entries[0].server,  # as to path and health they are all alike: why_inexpressible
        header_variable=_variable,
        address=address,
        weights={**planned_weights(topology.entries), **options.weights},
        retries=_retries(len(topology.entries)),  # refused connections are counted among them
        PROMOTABLE=PROMOTABLE,
        COOLING_DOWN=COOLING_DOWN,
    )


def _retries(predictors: int) -> int:
    """Of two one is left to ask; of more two may refuse before they are known to be down."""
    return predictors - 1 if predictors < 3 else MAX_RETRIES


def spare(name: str) -> str:
    """Returns the name of a standby's spare entry."""
    return name + SPARE


def planned_weights(entries: Iterable[Entry]) -> dict[str, int]:
    """Returns each server entry's weight while all goes by plan."""
    weights: dict[str, int] = {}
    for entry in entries:
        weights[entry.name] = int(not entry.role.is_backup)
        if entry.role.is_backup:
            weights[spare(entry.name)] = PROMOTABLE
    return weights


def _quoted(text: object) -> str:
    """Quotes for HAProxy: strong quotes keep all but themselves as it is."""
    return "'" + str(text).replace("'", "'\\''") + "'"


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
