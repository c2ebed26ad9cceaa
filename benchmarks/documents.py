"""Documents with a part that a command writes: markdown tables, and where they go. Nothing is measured here."""

from collections.abc import Sequence
from pathlib import Path

from cli import UsageError
from experiments.results.folders import PROJECT

BEGIN, END = "<!-- generated: ", "<!-- end of the generated part -->"


def document(name: str) -> Path:
    """Returns the project's document of this name."""
    return PROJECT / "docs" / f"{name}.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def replace_generated(path: Path, text: str) -> None:
    """Puts the text between the two marks of the document. Raises UsageError where they are missing."""
    whole = path.read_text(encoding="utf-8")
    before, begin, rest = whole.partition(BEGIN)
    command, newline, rest = rest.partition("\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{path}: the marks of the generated part are missing: {BEGIN}COMMAND --> and {END}")
    path.write_text(f"{before}{begin}{command}{newline}\n{text}\n{END}{after}", encoding="utf-8")
