"""On what an experiment ran: the commit, and what of it was changed."""

import subprocess
from pathlib import Path

from experiments.results.environment import describe_commit


def git(root: Path, *arguments: str) -> None:
    """Runs git with an author of its own."""
    name = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *name, *arguments], check=True, capture_output=True)


def test_commit_names_the_files_that_were_changed(tmp_path: Path) -> None:
    """The stamp names the files that differ from the commit, counts those after the third, and none where none does."""
    assert describe_commit(tmp_path) == "unknown"
    names = ["router.py", *(f"topology/{number}.json" for number in range(4))]
    (tmp_path / "topology").mkdir()
    for name in names:
        (tmp_path / name).write_text("topology = 0")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = describe_commit(tmp_path)
    assert len(commit) == 12
    (tmp_path / "router.py").write_text("topology = 1")
    (tmp_path / "new.py").write_text("untracked")
    assert describe_commit(tmp_path) == f"{commit}, with changes in router.py"
    for name in names:
        (tmp_path / name).write_text("topology = 2")
    assert describe_commit(tmp_path) == (
        f"{commit}, with changes in router.py, topology/0.json, topology/1.json and 2 more"
    )
