"""The router's log: a line per state change, never one per request; as text or as JSON."""

import contextlib
import io
import json
import logging
import sys
from datetime import UTC, datetime

LOGGER = logging.getLogger("router")


def set_up(log_format: str) -> None:
    """Has lines go to stdout, warnings to stderr; `log_format` is `text` or `json`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path may have letters that the terminal's encoding lacks
    console = _Console()
    console.setFormatter(_Json() if log_format == "json" else _Text())
    LOGGER.handlers = [console]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def info(text: str, event: str = "message", **fields: object) -> None:
    """Logs one line; where lines are JSON, `event` and `fields` hold the same for a machine."""
    LOGGER.info(text, extra={"fields": {"event": event, "message": text, **fields}})


def log_serving(text: str) -> None:
    """Logs an address that is served now; it is the last word of `text`."""
    info(text, "serving", address=text.split()[-1])


def warning(text: str) -> None:
    """Logs in one line what is not as it should be."""
    LOGGER.warning(f"warning: {text}", extra={"fields": {"event": "warning", "message": text}})


WANTS = {
    "wanted": "{predictor} is wanted: start it ({reason})",
    "unwanted": "{predictor} is no longer wanted ({reason})",
}
"""What is said of a cold standby, where the event's name alone would not say what to do."""


def log_change(event: str, predictor: str, reason: str) -> None:
    """Logs that a predictor's state has changed, and why; of one that is wanted what to do."""
    fields = {"event": event, "predictor": predictor, "reason": reason}
    text = WANTS.get(event, "{event} {predictor}: {reason}")
    LOGGER.info(text.format(**fields), extra={"fields": fields})


class _Console(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Prints the line; a full disk under the output is no reason to stop serving."""
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        with contextlib.suppress(OSError):
            print(self.format(record), file=stream, flush=True)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_utc(record)} {record.name}: {record.getMessage()}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = record.__dict__.get("fields", {"message": record.getMessage()})
        return json.dumps({"time": _utc(record), "level": record.levelname.lower(), **fields})


def _utc(record: logging.LogRecord) -> str:
    """Returns the time in ISO 8601, UTC, to the millisecond."""
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return time.replace("+00:00", "Z")
