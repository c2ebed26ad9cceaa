"""Text from the network, made fit for a log line, a table cell or a CSV cell."""

FORMULA_STARTS = ("=", "+", "-", "@")


def one_line(text: str) -> str:
    """Returns `text` without line breaks and control characters, cut to 80 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:80]


def csv_cell(text: str) -> str:
    """Returns `text` with a quote mark before what a spreadsheet program would take for a formula."""
    return f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) else text
