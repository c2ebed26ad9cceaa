"""Run folders: where a new one is made, and how one is named to the user. What stands in one: store.py."""

from datetime import datetime
from pathlib import Path

from cli import UsageError

PROJECT = Path(__file__).resolve().parents[2]
"""The project's folder."""


def new_folder(out: Path | None) -> Path:
    """Makes the run folder: `out`, else results/<date-time>, with a suffix where that exists. Raises UsageError."""
    if out is not None:
        return _given_folder(out)
    name = datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in range(1, 100):
        folder = PROJECT / "results" / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"{folder}: cannot be made: {error.strerror}; give another with --out") from error
        return folder
    raise UsageError(f"results/{name}: all suffixes are taken; give another folder with --out")


def require_unused(out: Path) -> None:
    """Raises UsageError where a folder has something in it, or can be none."""
    there = next(each for each in (out, *out.absolute().parents) if each.exists())
    if not there.is_dir():
        raise UsageError(f"argument --out: {out}: {there} is a file: give a new folder")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"argument --out: {out} is not empty: give a new folder, so that no records mix")


def _given_folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        require_unused(out)
    except OSError as error:
        raise UsageError(f"argument --out: {out}: cannot be made: {error.strerror}") from error
    return out.resolve()


def display_path(folder: Path) -> str:
    """The folder as the user would type it."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
