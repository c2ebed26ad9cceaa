"""Predictors that wait: one process on many ports, each request answered after the service time, cheaply.

`python waiting_predictors.py SERVICE_TIME_S PORT...`
"""

import socket
import sys
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

import gevent
from gevent.server import StreamServer

BODY = b'{"label": "benign", "probability": 0.98}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


def answer_all(service_time_s: float, connection: Any, _: Any) -> None:
    """Answers the requests of one connection, one after the other."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = connection.makefile("rb")
    with suppress(OSError):  # the other side may go at any moment
        _answer(service_time_s, connection, reader)


def _answer(service_time_s: float, connection: Any, reader: BinaryIO) -> None:
    while line := reader.readline():
        length = 0
        while (header := reader.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        reader.read(length)
        if line.startswith(b"POST"):
            gevent.get_hub().loop.update_now()  # else all requests of one round would end at the same moment
            gevent.sleep(service_time_s)
        connection.sendall(ANSWER)


def main(service_time_s: str, *ports: str) -> None:
    """Serves until ended."""
    handle = partial(answer_all, float(service_time_s))
    servers = [StreamServer(("127.0.0.1", int(port)), handle, backlog=256) for port in ports]
    for server in servers:
        server.start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
