"""`python -m routing.haproxy topology/2active.json > haproxy.cfg`: a topology file as an HAProxy configuration."""

from pathlib import Path

from cli import Parser, UsageError, port_number, positive_count, positive_seconds, run_command
from routing import topology as topology_file
from routing.haproxy.configuration import ProxyOptions, configuration, why_inexpressible


def main() -> None:
    """Prints the configuration."""
    options = _parser().parse_args()
    if not options.port:
        raise UsageError("--port 0 is no port that HAProxy could serve on: give a number from 1 to 65535")
    topology = topology_file.read(options.topology, options.threshold)
    if fault := why_inexpressible(topology):
        raise UsageError(fault)
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(
        configuration(
            topology,
            ProxyOptions(
                bind=f"{host}:{options.port}",
                runtime_socket=options.runtime_socket,
                deadline_s=options.deadline,
                resend=not options.no_resend,
            ),
        ),
        end="",
    )


def _parser() -> Parser:
    parser = Parser(
        prog="python -m routing.haproxy",
        description="Print a topology file as an HAProxy configuration with the router's rules.",
        epilog="example: python -m routing.haproxy topology/2active.json > haproxy.cfg; haproxy -f haproxy.cfg",
    )
    add = parser.add_argument
    add("topology", type=Path, metavar="FILE", help="the topology file")
    add("--host", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    add("--port", type=port_number, default=8000, help="port to serve on (default: %(default)s)")
    add("--threshold", type=positive_count, default=10, metavar="N",
        help="capacity of a predictor that names none (default: 10)")  # fmt: skip
    add("--deadline", type=positive_seconds, default=10.0, metavar="S", help="the longest a client waits (default: 10)")
    add("--no-resend", action="store_true", help="never send a request again that may have run")
    add("--runtime-socket", metavar="PATH", help="have HAProxy offer its Runtime API on this Unix socket")
    return parser


if __name__ == "__main__":
    run_command("routing.haproxy", main)
