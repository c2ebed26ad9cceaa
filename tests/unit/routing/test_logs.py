"""What the operator reads: a line per change, with its time, as text or as JSON."""

import errno
import io
import json
import re
import sys
from collections.abc import Iterator

import pytest

from routing import logs
from routing.options import LOG_FORMATS

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class FullDisk(io.StringIO):
    """An output that takes nothing."""

    tried = False

    def write(self, text: str) -> int:
        """Refuses the text."""
        self.tried = True
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The logger as it was, after each test."""
    before = logs.LOGGER.handlers, logs.LOGGER.level, logs.LOGGER.propagate
    yield
    logs.LOGGER.handlers, _, logs.LOGGER.propagate = before
    logs.LOGGER.setLevel(before[1])


def test_change_as_text_has_time_event_predictor_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """One line to be read by people, in UTC."""
    logs.set_up("text")
    logs.log_change("promoted", "predict3", "predict1 is down")
    out, err = capsys.readouterr()
    assert re.fullmatch(TIME + r" router: promoted predict3: predict1 is down\n", out)
    assert err == ""


def test_change_of_a_predictor_that_is_wanted_or_no_longer_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reads the log of a router run by hand learns what to start, and why."""
    logs.set_up("text")
    logs.log_change("wanted", "predict3", "predict1 is down")
    assert capsys.readouterr().out.endswith(" router: predict3 is wanted: start it (predict1 is down)\n")
    logs.log_change("unwanted", "predict3", "predict1 is up")
    assert capsys.readouterr().out.endswith(" router: predict3 is no longer wanted (predict1 is up)\n")


def test_change_as_json_has_a_field_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object to be read by machines; a line break in a reason does not end the line."""
    logs.set_up("json")
    logs.log_change("ejected", "predict1", "two\nlines")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    assert re.fullmatch(TIME, told.pop("time"))
    assert told == {"level": "info", "event": "ejected", "predictor": "predict1", "reason": "two\nlines"}


def test_message_as_json_has_its_event_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """What is said in words is said in fields too."""
    logs.set_up("json")
    logs.info("topology 2active, was single", "topology", topology="2active")
    told = json.loads(capsys.readouterr().out)
    assert (told["event"], told["topology"], told["message"]) == ("topology", "2active", "topology 2active, was single")


@pytest.mark.parametrize("log_format", LOG_FORMATS)
def test_warning_goes_to_stderr(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    """Warnings do not mix with what a program may read from stdout."""
    logs.set_up(log_format)
    logs.warning("the disk is full")
    out, err = capsys.readouterr()
    assert out == ""
    assert "warning" in err
    assert "the disk is full" in err


def test_line_that_cannot_be_printed_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under the output is no reason to stop serving."""
    logs.set_up("text")
    full = FullDisk()
    monkeypatch.setattr("sys.stdout", full)
    logs.info("nobody reads this")
    assert full.tried


def test_letters_that_the_output_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is told in any encoding: one that could not be would end the router."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    logs.set_up("text")
    logs.info("topology né")
    assert written.getvalue().endswith(b"topology n\\xe9\n")
