"""A process that has imported Locust, which takes half a second, and forks for each script: what one does stays in it.

Reads orders from stdin, a line of JSON each: the words after `python`, the folder to work in, a file for stdout and
one for stderr; answers with the exit status. Locust comes first, for it patches sockets.
"""

import json
import os
import runpy
import sys
from os import fork, waitpid  # as they are before Locust makes them cooperative

import locust  # noqa: F401
from gevent import reinit


def serve() -> list[str] | None:
    """Follows orders until there are none more; in a child, returns the words of its order."""
    for line in sys.stdin:
        words, folder, *files = json.loads(line)
        if (child := fork()) == 0:
            reinit()
            for descriptor, file in enumerate(files, start=1):
                os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            os.chdir(folder)
            return list(words)
        print(os.waitstatus_to_exitcode(waitpid(child, 0)[1]), flush=True)
    return None


def follow(words: list[str]) -> None:
    """Does what Python does with these words: `-c` and a script, or `-m` and a module with its arguments."""
    kind, what, *rest = words
    sys.argv = [kind, *rest]
    sys.path[0] = os.getcwd() if kind == "-m" else ""
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})  # noqa: S102  # the test's own script


if order := serve():
    follow(order)
