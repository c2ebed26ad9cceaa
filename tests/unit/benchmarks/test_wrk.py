"""wrk as the client: its script, and what is read from its output."""

from pathlib import Path

import pytest

from benchmarks import wrk
from cli import CommandError

PRINTED = """Running 3s test @ http://127.0.0.1:1/predict
  100 requests in 2.00s, 2.34MB read
BENCH {"requests": 100, "us": 2000000, "errors": [0, 1, 0, 2, 1], "p50_us": 1500, "p99_us": 9000, "max_us": 12000}
"""


def test_parse_reads_what_the_script_prints() -> None:
    """Counts, times in ms, and all kinds of errors together."""
    assert wrk.parse(PRINTED) == wrk.Burst(100, 2.0, 4, 1.5, 9.0, 12.0)


def test_parse_without_a_result_names_what_wrk_printed() -> None:
    """A script that did not run to its end is no burst of zero requests."""
    with pytest.raises(CommandError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_script_sends_the_body_by_post_and_none_by_get(tmp_path: Path) -> None:
    """The Lua script of each method is complete: no placeholder is left."""
    post = wrk.write_script(tmp_path, "POST", tmp_path / "sample.json").read_text()
    get = wrk.write_script(tmp_path, "GET").read_text()
    assert 'wrk.method = "POST"' in post
    assert f'io.open("{tmp_path}/sample.json")' in post
    assert 'if "" ~= ""' in get
    assert "@" not in post + get
