"""On what an experiment ran: the machine, and the versions of everything that shapes its figures."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = (
    "flask",
    "requests",
    "locust",
    "gunicorn",
    "gevent",
    "geventhttpclient",
    "scikit-learn",
    "numpy",
    "matplotlib",
)


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory, system; and the load average, for figures on a busy machine are worth less."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "processor": _processor(),
        "cores": str(psutil.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load average at the start (1, 5, 15 min)": load,
    }


def describe_versions(root: Path) -> dict[str, str]:
    """Python's, the project's (a commit, where git knows it) and the packages' versions."""
    versions = {"python": platform.python_version(), "project": _commit(root)}
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


def _commit(root: Path) -> str:
    """The commit of the working tree, with -dirty when it has changes; unknown outside of git."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() or "unknown"
