"""The kit of every command: how one ends, in a process of its own, and what it reads."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import duration

ROOT = Path(__file__).resolve().parents[2]
PRINTS_AT_ITS_END = """
import contextlib
from cli import run_command

def main():
    with contextlib.suppress(OSError):
        print("stopped", flush=True)

run_command("test", main)
"""


SUBCOMMAND_PRINTS = """
import sys
from cli import run_subcommand

sys.exit(run_subcommand("test", {"all": (lambda _: print("line\\n" * 10_000, flush=True), "")}, ["all"]))
"""


@pytest.mark.parametrize(("program", "status"), [(PRINTS_AT_ITS_END, 0), (SUBCOMMAND_PRINTS, 1)])
def test_command_whose_reader_is_gone_ends_without_complaint(program: str, status: int) -> None:
    """A supervisor that has closed the pipe, or `head`; an answer that nobody read to its end is no success."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, stdout=output, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (status, b"")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15m", 900.0),
        ("90s", 90.0),
        ("250ms", 0.25),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1h 30 min", 5400.0),
        ("30 s", 30.0),
        ("30sec", 30.0),
        ("2d", 172_800.0),
        ("2d1h0.5s", 176_400.5),
        ("900", 900.0),
        (" 1.5m ", 90),
    ],
)
def test_duration_reads_what_people_write(text: str, seconds: float) -> None:
    """A number and its unit; seconds where there is none."""
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0m", "-5s", "m", "15 minutes", "1e3", "nan", "inf", "15M", "1h30", "0h0m", "1h-30m"]
)
def test_duration_that_is_none_is_told_with_what_is_accepted(text: str) -> None:
    """The value, and how to write one."""
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        duration(text)
    assert str(raised.value) == f"{text!r} is not a time: give one like 15m, 90s, 1h30m, 2d or 900 (seconds)"
