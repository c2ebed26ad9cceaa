"""Other proxies in front of the same stubs, each as its own documentation has it for speed, with one thread as HAProxy.

Each keeps its connections to the stubs, checks their health or takes who fails out, writes no access log, and chooses
by the least connections, as far as it knows that. What is measured, and how, is not decided here.
"""

import json
from collections.abc import Callable, Sequence
from string import Template
from typing import Any

from benchmarks.benchmark import Programs, Server, SkippedError
from benchmarks.stubs import Stubs
from cli import UsageError
from experiments.results.folders import PROJECT
from experiments.testbed.ports import free_ports
from experiments.testbed.routers import rendering, router_file

ONE_THREAD = ["env", "GOMAXPROCS=1"]
"""Go's one thread for code; its runtime has some more that wait."""

# nginx.org/en/docs/http/ngx_http_upstream_module.html: keepalive needs HTTP/1.1 and no Connection header; the limits of
# 1,000 requests per connection would have it connect anew all the time. Body and answer fit into its buffers.
NGINX = Template("""
daemon off;
worker_processes 1;
pid $FOLDER/nginx.pid;
error_log stderr error;
events { worker_connections 8000; }
http {
    access_log off;
    client_body_temp_path $FOLDER/nginx-body;
    proxy_temp_path $FOLDER/nginx-proxy;
    fastcgi_temp_path $FOLDER/nginx-fastcgi;
    uwsgi_temp_path $FOLDER/nginx-uwsgi;
    scgi_temp_path $FOLDER/nginx-scgi;
    keepalive_requests 1000000000;
    upstream predictors {
        least_conn;
        $SERVERS
        keepalive 256;
        keepalive_requests 1000000000;
    }
    server {
        listen 127.0.0.1:$PORT;
        location / {
            proxy_pass http://predictors;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
""")

# caddyserver.com/docs/caddyfile/directives/reverse_proxy: by itself it keeps 32 idle connections to each server, fewer
# than the load has, and asks for compressed answers.
CADDY = Template("""
{
    admin off
    auto_https off
    persist_config off
    log {
        level ERROR
    }
}
http://:$PORT {
    bind 127.0.0.1
    reverse_proxy $SERVERS {
        lb_policy least_conn
        health_uri /health
        health_interval 2s
        transport http {
            keepalive_idle_conns_per_host 256
            compression off
        }
    }
}
""")


def find_program(name: str) -> str:
    """Returns the path of a peer's program, on PATH or beside this Python. Raises SkippedError where there is none."""
    return version_command(name)[0]


def version_command(name: str) -> list[str]:
    """Returns what prints the version of a peer, as its router file has it. Raises SkippedError."""
    file = router_file.read(PROJECT / "routers" / f"{name}.json")
    program, *words = file.version
    try:
        return [rendering.find_program(program, file), *words]
    except UsageError as error:
        raise SkippedError(f"{name} is not installed ({file.install})") from error


def start_nginx(programs: Programs, stubs: Stubs) -> Server:
    """NGINX: one worker, which knows a failed server by its failures. Raises SkippedError."""
    program = find_program("nginx")
    [port] = free_ports(1)
    servers = " ".join(f"server {address};" for address in _addresses(stubs))
    config = _write(programs, "nginx.conf", NGINX.substitute(PORT=port, SERVERS=servers, FOLDER=programs.folder))
    return programs.serve("nginx", [program, "-e", "stderr", "-p", str(programs.folder), "-c", config], port)


def start_envoy(programs: Programs, stubs: Stubs) -> Server:
    """Envoy: one worker. Raises SkippedError."""
    program = find_program("envoy")
    [port] = free_ports(1)
    config = _write(programs, "envoy.json", json.dumps(_envoy(port, stubs), indent=4))
    words = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "--config-path", config]
    return programs.serve("envoy", [program, *words], port)


def start_traefik(programs: Programs, stubs: Stubs) -> Server:
    """Traefik: one thread for code. Raises SkippedError."""
    program = find_program("traefik")
    [port] = free_ports(1)
    routing = _write(programs, "traefik.yml", json.dumps(_traefik(stubs), indent=4))  # JSON is YAML
    options = {
        "entryPoints.web.address": f"127.0.0.1:{port}",
        "providers.file.filename": routing,
        "providers.file.watch": "false",
        "experimental.fastProxy": "true",  # its own HTTP/1.1 client in place of Go's
        "log.level": "ERROR",
        "global.checkNewVersion": "false",
        "global.sendAnonymousUsage": "false",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    return programs.serve("traefik", [*ONE_THREAD, program, *words], port)


def start_caddy(programs: Programs, stubs: Stubs) -> Server:
    """Caddy: one thread for code. Raises SkippedError."""
    program = find_program("caddy")
    [port] = free_ports(1)
    config = _write(programs, "Caddyfile", CADDY.substitute(PORT=port, SERVERS=" ".join(_addresses(stubs))))
    at_home = f"HOME={programs.folder}"  # where it would keep certificates
    words = [*ONE_THREAD, at_home, program, "run", "--adapter", "caddyfile", "--config", config]
    return programs.serve("caddy", words, port)


PEERS: dict[str, Callable[[Programs, Stubs], Server]] = {
    "nginx": start_nginx,
    "envoy": start_envoy,
    "traefik": start_traefik,
    "caddy": start_caddy,
}
"""By their programs' names."""


def _envoy(port: int, stubs: Stubs) -> dict[str, Any]:
    """Returns its configuration by its own advice: no circuit breaker, no request ids, no statistics.

    Source: envoyproxy.io/docs/envoy/latest/faq/performance/how_to_benchmark_envoy.
    """
    listener = {
        "address": _socket(port),
        "filter_chains": [
            {"filters": [_typed("filters.network.http_connection_manager", _HTTP, _connection_manager())]}
        ],
    }
    return {
        "static_resources": {"listeners": [listener], "clusters": [_cluster(stubs.ports)]},
        "stats_config": {"stats_matcher": {"reject_all": True}},
    }


_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
_HTTP = f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = f"{_EXTENSIONS}.http.router.v3.Router"
MOST = 1_000_000


def _connection_manager() -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "predictors", "timeout": "60s"}}
    return {
        "stat_prefix": "front",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [_typed("filters.http.router", _ROUTER, {"dynamic_stats": False})],
    }


def _cluster(ports: Sequence[int]) -> dict[str, Any]:
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), MOST)
    check = {
        "timeout": "1s",
        "interval": "2s",
        "unhealthy_threshold": 3,
        "healthy_threshold": 2,
        "tcp_health_check": {},
    }
    endpoints = [{"endpoint": {"address": _socket(port)}} for port in ports]
    return {
        "name": "predictors",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [limits]},
        "health_checks": [check],
        "load_assignment": {"cluster_name": "predictors", "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _typed(name: str, kind: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"envoy.{name}", "typed_config": {"@type": kind, **values}}


def _socket(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _traefik(stubs: Stubs) -> dict[str, Any]:
    """Returns its routing; it has no least connections, but of two at random the one with fewer.

    Source: doc.traefik.io/traefik/v3.7/reference/routing-configuration/http/load-balancing/service.
    """
    balancer = {
        "strategy": "p2c",
        "servers": [{"url": f"http://{address}"} for address in _addresses(stubs)],
        "healthCheck": {"path": "/health", "interval": "2s", "timeout": "1s"},
    }
    router = {"rule": "PathPrefix(`/`)", "entryPoints": ["web"], "service": "predictors"}
    return {"http": {"routers": {"all": router}, "services": {"predictors": {"loadBalancer": balancer}}}}


def _addresses(stubs: Stubs) -> list[str]:
    return [f"127.0.0.1:{port}" for port in stubs.ports]


def _write(programs: Programs, name: str, text: str) -> str:
    path = programs.folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)
