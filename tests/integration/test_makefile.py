"""The Makefile's first step: a Python that cannot make the environment is told in one line, with the remedy."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.project import ROOT

PYTHONS = {
    "none": (None, "is not found: install Python 3.11 or newer"),
    "old": ("exit 1", "is not Python 3.11 or newer: name one that is"),
    "bare": ('case "$2" in *ensurepip*) exit 1;; esac', "lacks the module venv: install it (Debian and Ubuntu: apt"),
}
"""Case -> what the program does when it is asked, and what is told."""


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("there_is_one", [False, True], ids=["first_time", "environment_is_there"])
@pytest.mark.parametrize("case", PYTHONS)
def test_make_with_a_python_that_will_not_do_says_so_in_one_line(tmp_path: Path, case: str, there_is_one: bool) -> None:
    """Not found, too old, or without venv: what was named, what is wrong, what to write; and nothing is made."""
    script, told = PYTHONS[case]
    program = tmp_path / "python-of-mine"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    if there_is_one:
        (tmp_path / ".venv" / "bin").mkdir(parents=True)
        (tmp_path / ".venv" / "bin" / "python").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", f"PYTHON={program}", "demo"]  # of its own, though `make test` runs this
    made = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    first, last = made.stderr.splitlines()
    assert first.startswith(f"make: {program} {told}")
    assert first.endswith(", as in: make PYTHON=python3.12 demo")
    assert "Error 2" in last, "make's own word for it"
    assert made.stdout == ""
    assert there_is_one or not (tmp_path / ".venv").exists()
