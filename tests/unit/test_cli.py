"""The end of every command, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRINTS_AT_ITS_END = """
import contextlib
from cli import run_command

def main():
    with contextlib.suppress(OSError):
        print("stopped", flush=True)

run_command("test", main)
"""


def test_command_whose_reader_is_gone_ends_well() -> None:
    """A supervisor that has closed the pipe gets status 0, and no complaint."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-c", PRINTS_AT_ITS_END], cwd=ROOT, stdout=output, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")
