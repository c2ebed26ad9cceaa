"""Runs a program that must not outlive the router: `python guard.py ROUTER_PID PROGRAM ARGUMENT...`, on Linux.

The kernel kills the program when the router ends, however that ends. Nothing of the project is imported here.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(router: str, *command: str) -> None:
    """Becomes the program, tied to the router's life; prctl(2): the tie survives exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() == int(router):  # else it has ended before the tie held
        os.execv(command[0], command)  # noqa: S606  # a path, not a shell's command


if __name__ == "__main__":
    main(*sys.argv[1:])
