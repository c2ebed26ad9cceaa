"""What every command keeps to at its end, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAYS_A_LAST_WORD = """
import contextlib
from cli import run_command

def main():
    with contextlib.suppress(OSError):
        print("stopped", flush=True)

run_command("test", main)
"""


def test_command_whose_reader_is_gone_ends_well() -> None:
    """A supervisor that has read what it wanted and closed the pipe gets status 0, and no complaint."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-c", SAYS_A_LAST_WORD], cwd=ROOT, stdout=output, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")
