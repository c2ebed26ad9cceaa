"""A topology as an HAProxy configuration, HAProxy 2.6 or newer. A pure function from data to text."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from routing.topology import Entry, Topology

POOL = "pool"
SPARE = ".spare"
"""What follows a standby's name in the name of its spare entry, which re-sends reach when no active is up."""

PROMOTABLE, COOLING_DOWN = 1, 2
"""A spare entry's weight: its standby may serve at need, or only replace a failure; 0: it may do nothing."""

LUA = Path(__file__).with_name("sample.lua")
BUFFER_BYTES = 8 * 1024
MAX_CHUNKED_BYTES = 4 * 1024
MAX_HEADERS_BYTES = 2 * 1024
"""Together with HAProxy's own reserve they fit into a buffer, so that what has come is known to be whole."""

MAX_RETRIES = 2
"""Two actives that die together cut a request off and refuse it: the third attempt reaches the standby."""

FRAMING = ("content-length", "transfer-encoding")
TO_PREDICTORS = (*FRAMING, "content-type", "content-encoding", "host")
TO_CLIENTS = (*FRAMING, "content-type", "content-encoding", "retry-after", "allow")
"""The headers that are passed on; all others end at the router."""

UNRESOLVED_ADDRESS = "192.0.2.1"
"""Stands for an address that is not known yet, as HAProxy can only replace one: nobody has it (RFC 5737)."""

RETRY_STATUSES = "500 501 502 503 504"


@dataclass(frozen=True)
class ProxyOptions:
    """What shapes a configuration besides the topology; times in seconds."""

    bind: str
    """The public address as HAProxy writes it: `127.0.0.1:8000`, or `fd@3` for a socket that it inherits."""
    sample: Path
    """The file that GET /predict sends."""
    sample_socket: str
    """A Unix socket of HAProxy's own, on which GET /predict goes through the same rules again."""
    runtime_socket: str | None = None
    deadline_s: float = 10.0
    resend: bool = True
    body_limit_bytes: int = 1024 * 1024
    body_timeout_s: float = 10.0
    keepalive_s: float = 14.0
    connect_timeout_s: float = 0.25
    probe_interval_s: float = 0.5
    unresolved: Collection[str] = ()
    """Predictors whose address is not known: HAProxy starts without them, until they are resolved."""
    weights: Mapping[str, int] = field(default_factory=dict)
    """The server entries' weights, where HAProxy takes over in the middle; as planned where none is given."""


def configuration(topology: Topology, options: ProxyOptions) -> str:
    """Returns the whole configuration, with a comment for each rule."""
    sections = [
        _header(topology),
        _global(options),
        _defaults(options),
        _frontend(topology, options),
        _refusals(),
        _pool(topology, options),
    ]
    return "\n".join(line for section in sections for line in (*section, ""))


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


def _header(topology: Topology) -> list[str]:
    slots = sum(entry.capacity for entry in topology.entries)
    return [
        f"# Topology {topology.name}: {len(topology.entries)} predictors, {slots} slots with every standby promoted.",
        "# Made by `python -m routing.haproxy`; HAProxy 2.6 or newer, built with Lua and PCRE2.",
    ]


def _global(options: ProxyOptions) -> list[str]:
    lines = [
        "global",
        "    # One thread: a request sees the counts that the one before it left, so capacity is exact.",
        "    nbthread 1",
        "    fd-hard-limit 20000",
        "    # A stop waits for requests in flight this long.",
        f"    hard-stop-after {_ms(options.deadline_s + options.body_timeout_s)}",
        "    # A request that fits into a buffer is whole before it takes a slot and can be sent again. Larger ones",
        "    # are slow: HAProxy copies the whole buffer of each request that it may have to send again.",
        f"    tune.bufsize {BUFFER_BYTES}",
        "    # Requests that no predictor answered, which no other counter tells apart.",
        "    set-var proc.timeout int(0)",
        "    set-var proc.bad_answer int(0)",
        "    set-var proc.unplaced int(0)",
        "    # GET /predict sends the built-in sample: only this path runs Lua.",
        f"    setenv ROUTER_SAMPLE {_quoted(str(options.sample))}",
        f"    setenv ROUTER_SAMPLE_SOCKET {_quoted('unix@' + options.sample_socket)}",
        f"    setenv ROUTER_SAMPLE_TIMEOUT_S {options.deadline_s + 1:g}",
        f"    lua-load {_quoted(str(LUA))}",
    ]
    if options.runtime_socket is not None:
        lines += [f"    stats socket {_quoted(options.runtime_socket)} mode 600 level admin"]
    return lines


def _defaults(options: ProxyOptions) -> list[str]:
    return [
        "defaults",
        "    mode http",
        f"    timeout client {_ms(options.body_timeout_s)}",
        "    # Headers that drip in, and connections without a request, end after this.",
        f"    timeout http-request {_ms(options.keepalive_s)}",
        f"    timeout http-keep-alive {_ms(options.keepalive_s)}",
        "    option http-ignore-probes",
        "    # HAProxy's own errors, as JSON.",
        _error(400, "not a valid HTTP request"),
        _error(408, f"the request was not complete in time; its body has {options.body_timeout_s:g} s"),
        _error(500, "internal error"),
        _error(501, "not a method or coding that is spoken here"),
        _error(502, "no usable answer", "bad_answer"),
        _error(503, "no other predictor can take the request", "down") + " hdr Retry-After 1",
        _error(504, f"no answer within {options.deadline_s:g} s", "timeout"),
    ]


def _frontend(topology: Topology, options: ProxyOptions) -> list[str]:
    return [
        "frontend public",
        f"    bind {options.bind} proto h1",
        f"    bind {_quoted('unix@' + options.sample_socket)} mode 600 proto h1",
        "    acl predict path /predict",
        "    acl health path /health",
        "    acl get method GET",
        "    acl post method POST",
        "    # Below 1: nobody in rotation has a free slot. Below 0: nobody is in rotation, only a spare entry is up.",
        f"    acl no_room be_conn_free({POOL}) lt 1",
        f"    acl nobody be_conn_free({POOL}) lt 0",
        "    acl stand_in var(txn.stand_in) -m found",
        *_request_checks(options),
        *_standby_choice(topology),
        "    # The predictor gets the body, its type and coding, and the client's Host; nothing else of the client's.",
        f"    http-request del-header {_all_but(*TO_PREDICTORS)} -m reg",
        "    http-request set-pathq /predict if { query -m found }",
        "    http-request allow if predict",
        "    # The router's own health: whether some predictor could take a request now.",
        f"{_respond(200)} if !no_room",
        f"{_respond(200)} if stand_in",
        _respond(503, "no predictor can take a request"),
        "    # No queue: placed now, or refused now.",
        f"    use_backend down if no_room !stand_in {{ nbsrv({POOL}) eq 0 }}",
        "    use_backend saturated if no_room !stand_in",
        f"    default_backend {POOL}",
    ]


def _request_checks(options: ProxyOptions) -> list[str]:
    """What is refused whatever the predictors do, and what becomes of a GET."""
    limit = options.body_limit_bytes
    too_large = _respond(413, f"the body is larger than {limit} bytes")
    not_whole = _respond(413, f"a body in chunks must be below {MAX_CHUNKED_BYTES} bytes, or send its length")
    not_allowed = _respond(405, "this method is not allowed here")
    return [
        "    # Two paths, two methods, nothing else.",
        f"{_respond(404, 'unknown path')} if !predict !health",
        f'{not_allowed} hdr Allow "GET, POST" if !post !get predict',
        f"{not_allowed} hdr Allow GET if !predict !get",
        "    # A body that announces too much is refused unread; any other is awaited, as far as the buffer goes.",
        f"{too_large} if {{ req.hdr_val(content-length) gt {limit} }}",
        f"    http-request wait-for-body time {_ms(options.body_timeout_s)} if post",
        "    # Chunks that fit into the buffer go on as a body of plain length; a larger body has to say its length.",
        "    acl chunked req.fhdr(transfer-encoding) -m found",
        f"    acl fits req.body_len lt {MAX_CHUNKED_BYTES}",
        f"    acl short_headers req.hdrs,length lt {MAX_HEADERS_BYTES}",
        f"{not_whole} if chunked !fits || chunked !short_headers",
        "    http-request set-header content-length %[req.body_len] if chunked",
        "    http-request del-header transfer-encoding if chunked",
        "    # GET sends the built-in sample, through these same rules, as a POST.",
        "    http-request use-service lua.sample if get predict",
    ]


def _standby_choice(topology: Topology) -> Iterator[str]:
    """Names the standby that takes this request where nobody in rotation can: the first with a free slot."""
    if topology.backups:
        yield "    # The request that finds no room goes to the first standby that may stand in and has a free slot."
    for entry in topology.backups:
        rule = f"    http-request set-var(txn.stand_in) str({entry.name}) if no_room !stand_in"
        rule += f" {{ srv_is_up({POOL}/{entry.name}) }} {{ srv_conn_free({POOL}/{entry.name}) gt 0 }}"
        yield f"{rule} {{ srv_weight({POOL}/{spare(entry.name)}) {PROMOTABLE} }}"
        yield f"{rule} nobody {{ srv_weight({POOL}/{spare(entry.name)}) {COOLING_DOWN} }}"


def _refusals() -> list[str]:
    """A backend for each reason, so that its counters count the refusals."""
    lines = ["# Refusals, each in a backend of its own: its counters count them."]
    for reason, text in (("down", "no predictor is up"), ("saturated", "every predictor in rotation is at capacity")):
        lines += [f"backend {reason}", _respond(503, text, reason) + " hdr Retry-After 1", ""]
    return lines[:-1]


def _pool(topology: Topology, options: ProxyOptions) -> list[str]:
    return [
        f"backend {POOL}",
        "    # The fewest requests in flight; ties go round robin.",
        "    balance leastconn",
        f"    timeout connect {_ms(options.connect_timeout_s)}",
        "    # Each attempt's share of the deadline, as others may follow.",
        f"    timeout server {_ms(options.deadline_s / (1 + (_retries(topology) if options.resend else 0)))}",
        "    # Re-sends may find their new predictor full: they wait for a slot no longer than this.",
        "    timeout queue 10ms",
        "    # Health checks: two failures in a row take a predictor out, two passes bring it back.",
        "    option httpchk GET /health",
        "    http-check expect status 200",
        f"    timeout check {_ms(options.probe_interval_s)}",
        f"    default-server check inter {_ms(options.probe_interval_s)} fastinter 100ms fall 2 rise 2",
        "    # A refused connection takes it out at once.",
        "    default-server observe layer4 error-limit 1 on-error mark-down",
        "    # A host name that is unknown takes its predictor out, not all of them.",
        "    default-server init-addr libc,none",
        *_resending(topology, options),
        "    # The client hears who answered, and of the answer's headers what belongs to it.",
        f"    http-response del-header {_all_but(*TO_CLIENTS)} -m reg",
        "    http-response set-header Content-Type application/octet-stream if !{ res.hdr(content-type) -m found }",
        "    http-response set-header X-Predictor %s",
        *_predictor_names(topology),
        *(
            f"    http-after-response set-var(proc.{name}) var(proc.{name}),add(1) "
            f"if {{ status {status} }} !{{ res.hdr(x-predictor) -m found }}"
            for name, status in (("bad_answer", 502), ("unplaced", 503), ("timeout", 504))
        ),
        *_servers(topology, options),
    ]


def _retries(topology: Topology) -> int:
    """How many more attempts a request gets; HAProxy counts connections that were refused among them."""
    return min(len(topology.entries) - 1, MAX_RETRIES)


def _resending(topology: Topology, options: ProxyOptions) -> Iterator[str]:
    retries = _retries(topology)
    yield f"    retries {retries}"
    if not retries:
        return
    yield "    # A request whose predictor failed goes to another; where no active is left, to a standby's spare entry."
    yield "    option redispatch 1"
    yield "    option allbackups"
    if options.resend:
        yield f"    retry-on conn-failure empty-response junk-response response-timeout {RETRY_STATUSES}"
    else:
        yield "    retry-on conn-failure"


def _predictor_names(topology: Topology) -> Iterator[str]:
    for entry in topology.backups:
        yield f"    http-response set-header X-Predictor {entry.name} if {{ srv_name {spare(entry.name)} }}"


def _servers(topology: Topology, options: ProxyOptions) -> Iterator[str]:
    weights = {**planned_weights(topology.entries), **options.weights}
    yield "    # maxconn is the capacity."
    for entry in topology.entries:
        if not entry.role.is_backup:
            yield _server(entry, weights, options)
    if not topology.backups:
        return
    yield "    # A standby has weight 0: it gets what `use-server` gives it, until the router promotes it (weight 1)."
    yield "    # Its spare entry serves re-sends while no active is up; its weight tells what the standby may do."
    for entry in topology.backups:
        yield f"    use-server {entry.name} if {{ var(txn.stand_in) -m str {entry.name} }}"
        yield _server(entry, weights, options)
        yield (
            f"    server {spare(entry.name)} {_address(entry, options)} no-check backup track {POOL}/{entry.name}"
            f" weight {weights[spare(entry.name)]}"
        )


def _server(entry: Entry, weights: Mapping[str, int], options: ProxyOptions) -> str:
    weight = "" if weights[entry.name] == 1 else f" weight {weights[entry.name]}"
    disabled = " disabled" if entry.name in options.unresolved else ""
    return f"    server {entry.name} {_address(entry, options)} maxconn {entry.capacity}{weight}{disabled}"


def _respond(status: int, text: str | None = None, reason: str | None = None) -> str:
    body = """'{"status": "ok"}'""" if text is None else _json(text, reason)
    return f"    http-request return status {status} content-type application/json string {body}"


def _error(status: int, text: str, reason: str | None = None) -> str:
    return f"    http-error status {status} content-type application/json string {_json(text, reason)}"


def _json(text: str, reason: str | None) -> str:
    fields = {"error": text} if reason is None else {"error": text, "reason": reason}
    return "'{" + ", ".join(f'"{key}": "{value}"' for key, value in fields.items()) + "}'"


def _address(entry: Entry, options: ProxyOptions) -> str:
    return (replace(entry, host=UNRESOLVED_ADDRESS) if entry.name in options.unresolved else entry).authority


def _quoted(text: str) -> str:
    """Quotes for HAProxy: strong quotes keep all but themselves as it is."""
    return "'" + text.replace("'", "'\\''") + "'"


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def _all_but(*headers: str) -> str:
    return f"^(?!({'|'.join(headers)})$)"
