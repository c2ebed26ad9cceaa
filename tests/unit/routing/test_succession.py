"""What two routers say to each other."""

import os
import socket

import gevent

from routing.succession import Conversation

TELLERS = 100
DEADLINE_S = 10.0
LONG = "x" * 10_000
"""Of these the kernel takes a few tens before they are heard."""


def test_all_who_tell_at_once_are_heard_whole_and_in_their_order() -> None:
    """As where a thousand connections are passed on to a router that does not listen yet."""
    older, newer = (Conversation(end.detach()) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    told = [gevent.spawn(older.tell, {"connection": number, "text": LONG}, 0) for number in range(TELLERS)]
    gevent.sleep(0)
    assert not all(each.ready() for each in told)
    with gevent.Timeout(DEADLINE_S):
        heard = [newer.hear() for _ in range(TELLERS)]
    for _, descriptors in heard:
        os.close(descriptors[0])
    assert [message["connection"] for message, _ in heard] == list(range(TELLERS))
    assert [each.get() for each in told] == [True] * TELLERS
    older.close()
    assert newer.hear() == ({}, [])
    newer.close()
