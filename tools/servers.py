"""`python -m tools.servers install [NAME ...]`: real model servers from PyPI, each in an environment of its own."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cli import CommandError, Parser, UsageError, run_subcommand
from tools import servers_table

SERVERS = Path(__file__).resolve().parents[1] / "servers"
LINKS = SERVERS / ".env"
"""Where the server files look for the environments: links into the cache folder, ignored by git."""

PREFIX, SUFFIX = "requirements-", ".txt"
COMPLETE = "installed"
"""The file that an environment has once all is in it: an interrupted installation is begun again."""

MIB = 1024 * 1024


def names() -> list[str]:
    """Returns the servers that can be installed, in alphabetical order."""
    return sorted(path.stem.removeprefix(PREFIX) for path in SERVERS.glob(f"{PREFIX}*{SUFFIX}"))


def environment(name: str) -> Path:
    """Returns the folder of a server's environment; other requirements, or another Python, have another folder."""
    pinned = (SERVERS / f"{PREFIX}{name}{SUFFIX}").read_bytes()
    key = hashlib.sha256(pinned + b"%d.%d" % sys.version_info[:2]).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ha-model-servers" / f"{name}-{key}"


def install(name: str) -> Path:
    """Makes a server's environment unless it is there, and the link that its file names; returns its folder.

    Raises CommandError when pip cannot install it; pip has told why by then.
    """
    folder = environment(name)
    if not (folder / COMPLETE).exists():
        _make(name, folder)
    _link(LINKS / name, folder)
    return folder


def _make(name: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pinned = str(SERVERS / f"{PREFIX}{name}{SUFFIX}")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    for words in ([sys.executable, "-m", "venv", str(folder)], [*pip, "-r", pinned]):
        status = subprocess.run(words, check=False).returncode
        if status != 0:
            raise CommandError(f"{name} could not be installed: {' '.join(words[1:3])} ended with exit status {status}")
    (folder / COMPLETE).touch()


def _link(link: Path, folder: Path) -> None:
    link.parent.mkdir(exist_ok=True)
    new = link.with_name(f"{link.name}.{os.getpid()}")
    new.symlink_to(folder)
    new.replace(link)


def size_mib(folder: Path) -> float:
    """Returns how much all files of a folder hold, links not followed, in MiB."""
    return sum(path.lstat().st_size for path in folder.rglob("*")) / MIB


def install_command(arguments: Sequence[str]) -> None:
    """Installs the servers named, or all, and prints where each is and how large. Raises CommandError."""
    parser = Parser(
        prog="python -m tools.servers install",
        description="Install real model servers from PyPI, each in an environment of its own\n"
        "in ~/.cache/ha-model-servers (about 1.5 GB in all; what is there stays).",
        epilog="example: python -m tools.servers install fastapi",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names())}; none: all")
    wanted = parser.parse_args(arguments).names or names()
    for name in wanted:
        if name not in names():
            raise UsageError(f"unknown server {name!r}: give one of {', '.join(names())}")
    for name in wanted:
        print(f"{name}: ", end="", flush=True)
        folder = install(name)
        print(f"{size_mib(folder):,.0f} MiB in {folder}", flush=True)


COMMANDS = {
    "install": (install_command, "install the servers of servers/ from PyPI"),
    "table": (servers_table.command, "the measured table of docs/servers.md, from run folders"),
}

if __name__ == "__main__":
    sys.exit(run_subcommand("tools.servers", COMMANDS, sys.argv[1:]))
