"""A copy of the router with all it needs, whose two variables can be saved with other values."""

import re
import shutil
from pathlib import Path

from tests.harness.project import ROOT, with_ports

PARTS = ("routing", "serving", "topology", "predictors")
MODULES = ("router.py", "cli.py", "json_files.py", "server_file.py")


class Tree:
    """The copy in `root`."""

    def __init__(self, root: Path, ports: list[int]) -> None:
        """Copies the project, its topology files with these ports."""
        self.root, self.script = root, root / "router.py"
        for part in PARTS:
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for module in MODULES:
            shutil.copy(ROOT / module, root)
        for name in ("single", "2active", "3active"):
            self.topology(name).write_text(with_ports(name, ports))

    def topology(self, name: str) -> Path:
        """The topology file of this name."""
        return self.root / "topology" / f"{name}.json"

    def save(self, **variables: object) -> int:
        """Saves router.py with other values, in place as an editor does; returns the last one's line number."""
        text = self.script.read_text()
        for name, value in variables.items():
            text, replaced = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value}", text)
            assert replaced == 1
        self.script.write_text(text)
        return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(f"{name} = "))
