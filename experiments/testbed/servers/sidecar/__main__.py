"""`python -m experiments.testbed.servers.sidecar --port P --upstream HOST:PORT --control PORT [...] [-- COMMAND...]`.

Listens while the server behind it accepts connections: where that refuses, so does this. COMMAND is its child: SIGTERM
is passed on, the two end together, with the child's status.
"""

import argparse
import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cli import CommandError, Parser, port_number, run_command
from experiments.testbed.servers.sidecar.control import LOOPBACK, FaultSwitch, serve_control
from experiments.testbed.servers.sidecar.relay import Relay, Route

LOOK_EVERY_S = 0.05
"""How often it is tried whether a server that refused accepts connections."""

LOOK_AGAIN_EVERY_S = 0.2
"""How often a server that is no child is looked at: its end is not seen otherwise."""

DRAIN_S = 10.0
"""How long what the server has answered may take to reach the clients once it has ended."""

PR_SET_PDEATHSIG = 1


class Listener:
    """Accepts connections as long as the server behind does."""

    def __init__(self, host: str, port: int, route: Route, *, watched: bool) -> None:
        """`watched`: whether the server's end shows in the refusal of a connection alone."""
        self._host, self._port, self._route, self._watched = host, port, route, watched
        self._server: asyncio.Server | None = None
        self._in_doubt = asyncio.Event()
        route.refused = self._in_doubt.set

    async def follow(self) -> None:
        """Opens and closes the port as the server's opens and closes, until it is cancelled."""
        while True:
            self._in_doubt.clear()
            if not await self._accepts():
                self.close()
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            await self._open()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._in_doubt.wait(), LOOK_AGAIN_EVERY_S if self._watched else None)

    def close(self) -> None:
        """Refuses new connections."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _open(self) -> None:
        if self._server is None:
            loop, route = asyncio.get_running_loop(), self._route
            self._server = await loop.create_server(lambda: Relay(route).client, self._host, self._port, backlog=512)

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self._route.host, self._route.port)
        except OSError:
            return False
        writer.close()
        return True


async def run(options: argparse.Namespace) -> int:
    """Runs until the child, or without one this process, is ended; returns the child's status. Raises CommandError."""
    loop, switch, stopped = asyncio.get_running_loop(), FaultSwitch(), asyncio.Event()
    host, _, port = options.upstream.rpartition(":")
    route = Route(host, int(port), options.path, options.health, switch)
    switch.on_change = lambda: loop.call_soon_threadsafe(route.release_stalled)
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    child = await _start(options.command, options.cwd) if options.command else None
    try:
        serve_control(options.control, switch)
        await _serve_until_over(Listener(options.host, options.port, route, watched=child is None), child, stopped)
        status = await _end(child, stopped)
    except OSError as error:
        raise CommandError(f"port {options.port} or {options.control}: {error.strerror}") from error
    finally:
        if child is not None and child.returncode is None:
            child.kill()
    if child is not None:
        await _drain(route)
    return status


async def _serve_until_over(listener: Listener, child: Process | None, stopped: asyncio.Event) -> None:
    """Follows the server until it, or this process, is ended, and refuses connections then. Raises OSError."""
    following = asyncio.create_task(listener.follow())
    ends: list[asyncio.Task[Any]] = [following, asyncio.create_task(stopped.wait())]
    if child is not None:
        ends.append(asyncio.create_task(child.wait()))
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    following.cancel()
    listener.close()
    with suppress(asyncio.CancelledError):
        await following


async def _end(child: Process | None, stopped: asyncio.Event) -> int:
    """Passes SIGTERM on, if that has come, and waits for the child; returns its status, 0 without one."""
    if child is None:
        return 0
    if stopped.is_set():
        with suppress(ProcessLookupError):
            child.terminate()
    return await child.wait()


async def _start(command: Sequence[str], cwd: Path | None) -> Process:
    """Starts the child, which is killed with this process. Raises CommandError."""
    parent, libc = os.getpid(), ctypes.CDLL(None)

    def die_with_parent() -> None:
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        return await asyncio.create_subprocess_exec(*command, cwd=cwd, preexec_fn=die_with_parent)
    except OSError as error:
        raise CommandError(f"{command[0]} could not be started: {error.strerror}") from error


async def _drain(route: Route) -> None:
    """Waits until the clients have what the server sent, DRAIN_S at most."""
    route.end()
    end_s = asyncio.get_running_loop().time() + DRAIN_S
    while route.relays and asyncio.get_running_loop().time() < end_s:
        await asyncio.sleep(LOOK_EVERY_S)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m experiments.testbed.servers.sidecar",
        description="Stand in front of a model server; pass bytes on, and make predictions fail on demand.",
        epilog="example: python -m experiments.testbed.servers.sidecar --port 5001 --upstream 127.0.0.1:6001 "
        "--control 7001",
    )
    add = parser.add_argument
    add("--host", default=LOOPBACK, help="address to serve on")
    add("--port", type=port_number, required=True, help="port to serve on")
    add("--upstream", required=True, metavar="HOST:PORT", help="where the server listens")
    add("--control", type=port_number, required=True, metavar="PORT", help="port of 127.0.0.1 that takes POST /fault")
    add("--path", default="/predict", help="path of predictions, which alone meet faults")
    add("--health", metavar="PATH", help="path of health checks, where it may be that of predictions")
    add("--cwd", type=Path, metavar="FOLDER", help="where COMMAND runs")
    add("command", nargs="*", metavar="COMMAND", help="starts the server, after --; none: it runs elsewhere")
    return parser


def _main() -> None:
    status = asyncio.run(run(_parser().parse_args()))
    if status < 0:  # ended by a signal: so does this process, for whoever looks at its status
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    run_command("sidecar", _main)
