"""The supervisor of `router.py --supervise`: it holds the sockets, has one router serve and keeps a spare ready.

Imports the standard library alone: it is to be small, and the last to fail.
"""

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from routing import logs
from routing.child import Child, Stage, out_of_the_way
from routing.supervision import GO, LEAVE, SERVING, WAITING, hear, say

SOON_S = 1.0
"""A router that ends within this of its turn has failed to take over."""

MOST_FAILURES = 5
"""So many failures in a row, and the supervisor gives up."""

TURN_PAUSE_S, SPARE_PAUSE_S = 0.1, 1.0
"""Before the turn after the second failure in a row, and before a spare after the first; doubled with each more."""

LONGEST_PAUSE_S = 30.0


def run(sockets: Sequence[socket.socket], log_format: str) -> int:
    """Supervises routers that serve on the public and the admin socket; returns the exit status."""
    logs.set_up(log_format)
    return Supervisor(sockets).run()


class Supervisor:
    """Has routers serve until it is stopped, or until none can.

    Who serves, or was told to, is `_current`; all others start, wait as spares, or end what they have in flight.
    """

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        """`sockets` are the public and the admin one."""
        life, self._life_end = (out_of_the_way(end) for end in os.pipe())  # the end is this process's alone
        self._inherited = [*(out_of_the_way(sock.detach()) for sock in sockets), life]
        self._children: dict[int, Child] = {}
        self._current: Child | None = None
        self._wanted = 0
        """The generation that is to serve: each upgrade asks for the next."""
        self._has_served = self._stopping = False
        self._status = 0
        self._failures = self._spare_failures = 0
        self._next_turn_s = self._next_spare_s = 0.0
        self._selector = selectors.DefaultSelector()
        self._signals = _signals()
        self._selector.register(self._signals, selectors.EVENT_READ)

    def run(self) -> int:
        """Supervises; returns the exit status."""
        while self._children or not self._stopping:
            if not self._stopping:
                self._try_to_act(time.monotonic())
            for key, _ in self._selector.select(self._pause_s(time.monotonic())):
                if key.data is None:
                    self._heed_signals()
                elif key.data.pid in self._children:
                    self._heed_word(key.data)
        return self._status

    def _try_to_act(self, now: float) -> None:
        try:
            self._act(now)
        except OSError as error:  # no process, or no descriptor, is to be had: whoever serves goes on
            self._next_spare_s = now + SPARE_PAUSE_S
            logs.warning(f"the supervisor lacks what it needs ({error}); it tries again")

    def _act(self, now: float) -> None:
        """Does what is to be done as things stand."""
        current, spares = self._current, self._spares()
        waiting = [spare for spare in spares if spare.stage is Stage.WAITING]
        if current is None and waiting and now >= self._next_turn_s:
            self._give_turn(waiting[-1])
        elif current is None or current.stage is Stage.SERVING:
            newest = [spare for spare in spares if spare.generation == self._wanted]
            if current is not None and current.generation < self._wanted and newest and newest[-1] in waiting:
                if not self._leaving():  # its requests and connections go to who follows it, and no further
                    self._hand_over(current, newest[-1])
            elif not newest and now >= self._next_spare_s:
                self._kill_older(spares, self._wanted, Stage.STARTING)
                self._start_spare()

    def _spares(self) -> list[Child]:
        """Returns who starts or waits, the newest last."""
        return [each for each in self._children.values() if each.stage in (Stage.STARTING, Stage.WAITING)]

    def _leaving(self) -> list[Child]:
        """Returns who has left, or is about to, and ends what it has in flight."""
        return [each for each in self._children.values() if each.stage is Stage.LEAVING]

    def _pause_s(self, now: float) -> float | None:
        """Returns how long nothing is to be done but for an event; None: for ever."""
        ahead = [at_s - now for at_s in (self._next_turn_s, self._next_spare_s) if at_s > now]
        return min(ahead, default=None)

    def _start_spare(self) -> None:
        child = Child.start(self._inherited, self._wanted, capture=self._has_served)
        self._children[child.pid] = child
        self._selector.register(child.channel, selectors.EVENT_READ, child)

    def _give_turn(self, child: Child, pair: socket.socket | None = None) -> None:
        self._current = child
        child.take_turn()
        say(child.channel, GO, None if pair is None else pair.fileno())

    def _hand_over(self, old: Child, new: Child) -> None:
        logs.info(f"process {new.pid} takes over from process {old.pid}", "hand-over", old=old.pid, new=new.pid)
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with one, other:
            old.stage = Stage.LEAVING
            say(old.channel, LEAVE, one.fileno())
            self._give_turn(new, other)

    def _heed_word(self, child: Child) -> None:
        word = hear(child.channel).word
        if not word:  # it has ended, or is about to
            self._selector.unregister(child.channel)
        elif word == WAITING:
            child.stage = Stage.WAITING
            self._spare_failures = 0
            if self._current is not None and child.generation <= self._current.generation:
                self._kill_older(self._spares(), child.generation)  # not before: there is always one that is ready
                logs.info(f"process {child.pid} is ready as the spare", "spare", process=child.pid)
            elif self._current is not None and (leaving := self._leaving()):
                logs.info(
                    f"process {child.pid} is ready to take over once process {leaving[0].pid} has ended",
                    "spare",
                    process=child.pid,
                )
            with suppress(OSError):
                sys.stderr.write(child.captured())
        elif word == SERVING and child is self._current:
            child.stage = Stage.SERVING
            if not self._has_served:
                logs.info(f"supervised by process {os.getpid()}: kill -HUP {os.getpid()} upgrades", "message")
            self._has_served = True
            if self._stopping:
                child.signal(signal.SIGTERM)

    def _heed_signals(self) -> None:
        for number in self._signals.recv(4096):
            if number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGHUP:
                self._wanted += 1
                self._next_spare_s = 0.0
            else:
                self._stop()

    def _reap(self) -> None:
        """Heeds who has ended; a container's first process gets every orphan too, such as HAProxy's guard."""
        with suppress(ChildProcessError):  # none is left
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if child := self._children.get(pid):
                    self._forget(child)
                    self._heed_end(child, os.waitstatus_to_exitcode(status), time.monotonic())

    def _forget(self, child: Child) -> None:
        del self._children[child.pid]
        with suppress(KeyError):
            self._selector.unregister(child.channel)

    def _heed_end(self, child: Child, status: int, now: float) -> None:
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        if self._stopping:
            self._status = _exit_status(status) if child is self._current else self._status
        elif child is self._current:
            self._current = None
            soon = child.stage is Stage.OPENING or now - child.turn_s < SOON_S
            self._failures = self._failures + 1 if soon else 0
            older = [spare.generation for spare in self._spares() if spare.generation < child.generation]
            if soon and older:
                self._wanted = max(older)  # the upgrade is off: its spare is of code that has served well
            self._note_failure(status, f"process {child.pid}, which served, {how}", now)
        elif child.stage is Stage.STARTING:
            self._heed_failed_start(child, status, how, now)
        elif child.stage is Stage.WAITING:
            logs.info(f"process {child.pid}, the spare, {how}: another is started", "message")
        elif status != 0:
            logs.warning(f"process {child.pid}, which had left, {how}: what it still had in flight is lost")
        child.close()

    def _heed_failed_start(self, child: Child, status: int, how: str, now: float) -> None:
        said = child.captured().strip().splitlines()
        why = f"a new router {how} at its start{f' ({said[-1]})' if said else ''}"
        self._spare_failures += 1
        self._next_spare_s = now + _pause_s(SPARE_PAUSE_S, self._spare_failures)
        if self._current is None:
            self._failures += 1
            self._note_failure(status, why, now)
            self._next_spare_s = self._next_turn_s
        elif child.generation > self._current.generation:
            self._wanted = self._current.generation
            logs.warning(f"{why}; process {self._current.pid} goes on")
        elif self._spare_failures == 1:
            logs.warning(f"{why}; it is tried again, and there is no spare until then")

    def _note_failure(self, status: int, what: str, now: float) -> None:
        """Has the next one take its turn, a little later after each failure in a row, or gives up."""
        if not self._has_served:  # it has told why itself
            self._give_up(status)
        elif self._failures >= MOST_FAILURES:
            logs.warning(f"{what}; {self._failures} failures in a row: the router gives up")
            self._give_up(status)
        else:
            logs.warning(f"{what}; the next one takes over")
            self._next_turn_s = now + _pause_s(TURN_PAUSE_S, self._failures - 1)

    def _give_up(self, status: int) -> None:
        self._stop()
        self._status = _exit_status(status)

    def _stop(self) -> None:
        """Has all end politely; said a second time, at once."""
        again, self._stopping = self._stopping, True
        waiting = [spare for spare in self._spares() if spare.stage is Stage.WAITING]
        if self._current is None and waiting and not self._status and not again:
            self._give_turn(waiting[-1])  # only that one puts the topology file back
        for child in list(self._children.values()):
            if child.stage in (Stage.STARTING, Stage.WAITING):
                self._kill(child)
            elif child.stage is not Stage.OPENING:
                child.signal(signal.SIGTERM)
            elif again:
                child.signal(signal.SIGKILL)
        if not again:
            for descriptor in self._inherited[:2]:  # now those that serve alone decide when nobody listens any more
                os.close(descriptor)

    def _kill_older(self, spares: list[Child], generation: int, *stages: Stage) -> None:
        """Ends spares of earlier generations, in these stages; in any where none is named."""
        for spare in spares:
            if spare.generation < generation and (not stages or spare.stage in stages):
                self._kill(spare)

    def _kill(self, spare: Child) -> None:
        """Ends a spare, and with it its hold on the sockets."""
        spare.signal(signal.SIGKILL)
        os.waitpid(spare.pid, 0)
        self._forget(spare)
        spare.close()


def _exit_status(status: int) -> int:
    """Returns what a shell would say of a process that ended so."""
    return 128 - status if status < 0 else status


def _pause_s(first_s: float, failures: int) -> float:
    return min(first_s * 2 ** (failures - 1), LONGEST_PAUSE_S) if failures > 0 else 0.0


def _signals() -> socket.socket:
    """Returns a socket on which each signal that is meant for the supervisor arrives as a byte, its number."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    for signum in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: None)
    return reader
