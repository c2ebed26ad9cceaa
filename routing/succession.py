"""A supervised router's place between the one before it and the one after it: the supervisor's words, carried out.

On a planned hand-over the two routers talk over a pair of sockets, in JSON objects, until the older one ends:

- the first of all: `in_flight`, requests per predictor; `drained`, predictors; `file`, the topology's;
- `begun` or `ended` and a predictor, for each request from then on; `order` (drain, ready) and the `predictor`;
- `connection`, with the descriptor: the listener's number, and whether it was `served` before;
- `counted`, the last: what the older one counted since it left.
"""

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import gevent
import gevent.socket
from gevent.lock import BoundedSemaphore

from routing import logs, memory
from routing.engine import Engine
from routing.state_file import StateFileError, put_back
from routing.supervision import LEAVE, LEFT, SERVING, Supervision, hear, say
from routing.switchover import Switchover
from serving.server import Server

MOST_BYTES = 64 * 1024
"""Of one message."""


class Conversation:
    """One side of what two routers say to each other."""

    def __init__(self, descriptor: int) -> None:
        self._socket = _cooperative(descriptor, socket.SOCK_SEQPACKET)
        self._telling = BoundedSemaphore()  # gevent lets one at a time wait for a socket that takes no more

    def tell(self, message: dict[str, Any], *descriptors: int) -> bool:
        """Says it; returns whether somebody is there to hear it."""
        try:
            with self._telling:
                socket.send_fds(self._socket, [json.dumps(message).encode()], descriptors)
        except OSError:
            return False
        return True

    def hear(self) -> tuple[dict[str, Any], list[int]]:
        """Waits for a message; empty at the end."""
        try:
            text, descriptors, *_ = socket.recv_fds(self._socket, MOST_BYTES, 1)
        except OSError:
            return {}, []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return (memory.as_dict(json.loads(text)) if text else {}), list(descriptors)

    def close(self) -> None:
        """Ends it."""
        self._socket.close()


class Succession:
    """For a router that runs alone: nobody comes before or after it."""

    def __init__(self, supervision: Supervision | None) -> None:
        self._supervision = supervision
        self._predecessor: Conversation | None = None
        self._successor: Conversation | None = None
        self._foreign: dict[str, list[Callable[[], None]]] = {}
        """What ends the requests that the predecessor has in flight, by predictor."""

    def open(self, router: Switchover[Any]) -> None:
        """Opens the router when it is its turn, where one that leaves for it has left; raises as `Switchover.open`."""
        told: dict[str, Any] = {}
        if self._supervision is not None:
            word, descriptor = self._supervision.wait_for_turn()
            if not word:
                raise SystemExit  # the supervisor is dead
            if descriptor is not None:
                self._predecessor = Conversation(descriptor)
                told, _ = self._predecessor.hear()
        router.open()
        if told:
            self._go_on(router.engine, told)

    def _go_on(self, engine: Engine, told: dict[str, Any]) -> None:
        """Has the predecessor's orders hold, and its requests count until their end is told."""
        engine.follow_drains(memory.as_list(told.get("drained")))
        for name, number in memory.as_counts(told.get("in_flight")).items():
            for _ in range(number):
                self._begin(engine, name)
        if told.get("file") != str(engine.topology.path):
            with suppress(StateFileError):  # another router's already
                put_back(Path(str(told.get("file"))), logs.warning)

    def start(self, router: Switchover[Any], server: Server) -> None:
        """Tells the supervisor that the server serves, and does as it and the predecessor say from now on."""
        gevent.spawn(_hurry_when_asked, router, server)
        if self._supervision is not None:
            say(self._supervision.channel, SERVING)
            gevent.spawn(
                self._obey, _cooperative(self._supervision.channel.detach(), socket.SOCK_STREAM), router, server
            )
        if self._predecessor is not None:
            gevent.spawn(self._follow, self._predecessor, router, server)

    def close(self, router: Switchover[Any]) -> None:
        """Closes the router; one that has left tells what it has counted since."""
        if self._successor is None:
            router.close()
            return
        counted = router.close_left()
        self._successor.tell({"counted": counted})
        self._successor.close()

    # What the supervisor says

    def _obey(self, channel: socket.socket, router: Switchover[Any], server: Server) -> None:
        while True:
            word, descriptor = hear(channel)
            if not word:  # the supervisor is dead: nothing is waited for
                server.request_stop()
                server.request_stop()
                return
            if word == LEAVE and descriptor is not None:
                self._leave(Conversation(descriptor), router, server)
                say(channel, LEFT)

    def _leave(self, successor: Conversation, router: Switchover[Any], server: Server) -> None:
        """Lets the successor have the file, the new requests, and every connection between two requests."""
        router.settle()
        server.stop_accepting()
        router.engine.leave()
        self._successor = successor
        engine = router.engine
        in_flight = engine.follow_in_flight(partial(_tell_both_ends, successor))  # from here nothing waits
        engine.on_order = lambda order, name: cast(None, successor.tell({"order": order, "predictor": name}))
        successor.tell({"in_flight": in_flight, "drained": engine.drained(), "file": str(engine.topology.path)})
        still, pid = sum(in_flight.values()), os.getpid()
        text = f"process {pid} serves no more; requests that it still answers: {still}"
        logs.info(text, "leaving", process=pid, in_flight=still)
        server.leave(lambda number, sock, served: _pass_on(successor, number, sock, served))

    # What the predecessor says

    def _follow(self, predecessor: Conversation, router: Switchover[Any], server: Server) -> None:
        while True:
            message, descriptors = predecessor.hear()
            match message:
                case {"begun": str(name)}:
                    self._begin(router.engine, name)
                case {"ended": str(name)} if self._foreign.get(name):
                    self._foreign[name].pop()()
                case {"connection": int(number), "served": bool(served)} if descriptors:
                    server.adopt(number, descriptors.pop(), served)
                case {"order": "drain" | "ready" as order, "predictor": str(name)}:
                    with suppress(KeyError):
                        (router.engine.drain if order == "drain" else router.engine.ready)(name)
                case {"counted": dict(counted)}:
                    router.engine.add_counted(counted)
            for descriptor in descriptors:
                os.close(descriptor)
            if not message:
                break
        for ends in self._foreign.values():
            for end in ends:
                end()
        self._foreign.clear()
        predecessor.close()

    def _begin(self, engine: Engine, name: str) -> None:
        with suppress(KeyError):  # a predictor that this topology no longer has
            self._foreign.setdefault(name, []).append(engine.reserve_at(name))


def _hurry_when_asked(router: Switchover[Any], server: Server) -> None:
    server.wait_until_hurried()
    router.hurry()


def _tell_both_ends(successor: Conversation, name: str, counted: bool) -> Callable[[], None]:
    """Tells that a request begins, unless it is counted already; returns what tells its end."""
    if not counted:
        successor.tell({"begun": name})
    return lambda: cast(None, successor.tell({"ended": name}))


def _pass_on(successor: Conversation, number: int, sock: socket.socket, served: bool) -> None:
    successor.tell({"connection": number, "served": served}, sock.fileno())


def _cooperative(descriptor: int, kind: socket.SocketKind) -> socket.socket:
    made: Any = gevent.socket.socket(socket.AF_UNIX, kind, fileno=descriptor)
    return cast(socket.socket, made)
