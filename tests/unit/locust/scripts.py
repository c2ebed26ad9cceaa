"""Processes for what would patch this one: importing Locust patches sockets."""

import atexit
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HEAD = "import json\nfrom types import SimpleNamespace as Some\n"
"""What every script begins with."""

ROOT = Path(__file__).resolve().parents[3]
WARM = Path(__file__).with_name("warm_locust.py")


@functools.cache
def warm_locust() -> "subprocess.Popen[str]":
    """Starts warm_locust.py, which ends with this process, however that ends: nobody holds its pipe any more."""
    warm = subprocess.Popen([sys.executable, str(WARM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(warm.communicate)
    return warm


def run(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs Python with these words to its end, where Locust has been imported."""
    warm = warm_locust()
    assert warm.stdin
    assert warm.stdout
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("out", "err")]
        print(json.dumps([words, str(cwd), *map(str, files)]), file=warm.stdin, flush=True)
        status = int(warm.stdout.readline())
        return subprocess.CompletedProcess(words, status, *(file.read_text() for file in files))


def printed(script: str) -> str:
    """Returns the output of HEAD and a script that imports modules as Locust does: from their own folder."""
    done = run("-c", HEAD + script, cwd=ROOT / "locust")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
