"""On what an experiment ran: the machine, and the versions of everything that shapes its figures."""

import os
import platform
import subprocess
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from experiments.results.records import LOAD_AVERAGE

PACKAGES = (
    "flask", "requests", "locust", "gunicorn", "gevent", "geventhttpclient", "scikit-learn", "numpy", "matplotlib",
)  # fmt: skip
MOST_NAMED = 3
"""So many changed files are named; the others are counted."""


def describe_start(root: Path) -> dict[str, Any]:
    """The settings that say when and on what an experiment of the project in `root` began."""
    return {
        "started_at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "versions": describe_versions(root),
    }


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory, system; and the load average, for figures on a busy machine are worth less."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "processor": _processor(),
        "cores": str(psutil.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        LOAD_AVERAGE: load,
    }


def describe_versions(root: Path) -> dict[str, str]:
    """Python's, the project's (a commit, where git knows it) and the packages' versions."""
    versions = {"python": platform.python_version(), "project": describe_commit(root)}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe_commit(root: Path) -> str:
    """The commit of the working tree and the names of the files changed since; unknown outside of git.

    Names, for not every file shapes the figures: the variable `topology` of router.py, for one, does not.
    """
    commit = _git(root, "describe", "--always", "--abbrev=12")
    changed = _git(root, "diff", "--name-only", "HEAD").splitlines()
    if not commit or not changed:
        return commit or "unknown"
    more = [f"{len(changed) - MOST_NAMED} more"] if len(changed) > MOST_NAMED else []
    return f"{commit}, with changes in {' and '.join([', '.join(changed[:MOST_NAMED]), *more])}"


def _git(root: Path, *arguments: str) -> str:
    """The output of git; empty where it fails."""
    command = ["git", "-C", str(root), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
