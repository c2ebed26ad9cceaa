"""Runs a program that must not outlive its owner: `python guard.py LIFE LOCK PROGRAM ARGUMENT...`.

LIFE is the descriptor of a pipe's read end; the write end is the owner's alone, and is closed when it ends, anyhow.
LOCK is that of a locked file, which guard and program hold until both have ended; the guard's process id stands in it.
Nothing of the project is imported here.
"""

import os
import signal
import sys
import threading
from contextlib import suppress

STDERR = 2


def main(life: str, lock: str, *command: str) -> None:
    """Ends with the program, and the program with the owner."""
    os.set_inheritable(int(life), False)
    os.pwrite(int(lock), b"%d\n" % os.getpid(), 0)
    signal.signal(signal.SIGUSR1, lambda *_: None)  # the group's order to stop is the program's; SIG_IGN would reach it
    program = os.posix_spawn(command[0], command, os.environ)
    _close_all_but(int(life), int(lock))
    threading.Thread(target=_kill_at_end_of_file, args=(int(life), program), daemon=True).start()
    os.waitpid(program, 0)
    os._exit(0)  # at once: until then it counts as running


def _close_all_but(*kept: int) -> None:
    """Closes what only the program was to inherit: a socket that is open here too would go on taking connections."""
    for descriptor in map(int, os.listdir("/dev/fd")):
        if descriptor > STDERR and descriptor not in kept:
            with suppress(OSError):  # that of the listing itself
                os.close(descriptor)


def _kill_at_end_of_file(life: int, program: int) -> None:
    os.read(life, 1)  # nobody ever writes
    os.kill(program, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
