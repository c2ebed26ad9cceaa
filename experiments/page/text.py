"""Words that several reports put together in the same way."""

from collections.abc import Sequence

NONE = "-"
"""What is shown where there is no figure."""


def join_words(parts: Sequence[str]) -> str:
    """The parts in one text: with commas between, and `and` before the last."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
