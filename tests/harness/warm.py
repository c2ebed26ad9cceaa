"""Programs that are short, and whose imports are not: each in a process of its own that is forked from one."""

import atexit
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.harness.project import ROOT

PROCESS = Path(__file__).with_name("warm_process.py")


def run_warm(imported: tuple[str, ...], *words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Runs Python with these words to its end, where these modules have been imported, in this order."""
    warm = _warm_process(imported)
    assert warm.stdin
    assert warm.stdout
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("out", "err")]
        print(json.dumps([words, str(cwd), *map(str, files)]), file=warm.stdin, flush=True)
        status = int(warm.stdout.readline())
        return subprocess.CompletedProcess(words, status, *(file.read_text() for file in files))


@functools.cache
def _warm_process(imported: tuple[str, ...]) -> "subprocess.Popen[str]":
    """Starts warm_process.py, which ends with this process, however that ends: nobody holds its pipe any more."""
    command = [sys.executable, str(PROCESS), *imported]
    warm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(warm.communicate)
    return warm
