"""A process that has imported what many programs begin with, and forks for each of them: what one does stays in it.

`python warm_process.py MODULE ...` imports these modules, and reads orders from stdin, a line of JSON each: the words
after `python`, the folder to work in, a file for stdout and one for stderr; answers with the exit status.
"""

import importlib
import json
import os
import runpy
import sys
from os import fork, waitpid  # as they are before gevent makes them cooperative
from pathlib import Path


def serve() -> list[str] | None:
    """Follows orders until there are none more; in a child, returns the words of its order."""
    for line in sys.stdin:
        words, folder, *files = json.loads(line)
        if (child := fork()) == 0:
            for descriptor, file in enumerate(files, start=1):
                os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            os.chdir(folder)
            return list(words)
        print(os.waitstatus_to_exitcode(waitpid(child, 0)[1]), flush=True)
    return None


def follow(words: list[str]) -> None:
    """Does what Python does with these words: `-c` and a script, `-m` and a module, or a file; with arguments."""
    kind, *rest = words
    if "gevent" in sys.modules:
        sys.modules["gevent"].reinit()
    if kind == "-c":
        sys.argv, sys.path[0] = [kind, *rest[1:]], ""
        exec(rest[0], {"__name__": "__main__"})  # noqa: S102  # the test's own script
    elif kind == "-m":
        sys.argv, sys.path[0] = rest, str(Path.cwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = words, str(Path(kind).resolve().parent)
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    sys.path.insert(1, str(Path(__file__).resolve().parents[2]))
    for name in sys.argv[1:]:
        importlib.import_module(name)
    if order := serve():
        follow(order)
