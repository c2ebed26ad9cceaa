"""wrk as the client: its script, running it, and reading what the script prints at the end."""

import json
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from cli import CommandError

MARK = "BENCH "
TIMEOUT_S = 5
SCRIPT = Template("""
wrk.method = "$METHOD"
if "$BODY" ~= "" then
  local file = io.open("$BODY")
  wrk.body = file:read("*a")
  file:close()
  wrk.headers["Content-Type"] = "application/json"
end
if $SPREAD_MS > 0 then
  local begun = 0
  function delay()
    begun = begun + 1
    if begun <= $CONNECTIONS then return math.random(0, $SPREAD_MS) end
    return 0
  end
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '$MARK{"requests": %d, "us": %d, "errors": [%d, %d, %d, %d, %d], "p50_us": %d, "p99_us": %d, "max_us": %d}\\n',
    summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
""")


@dataclass(frozen=True)
class Burst:
    """Result of one run of wrk; an error is a failed connection, read or write, a timeout, or a status from 400 on."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def write_script(
    folder: Path, method: str, body: Path | None = None, spread_s: float = 0.0, connections: int = 0
) -> Path:
    """Writes the Lua script of a method; the body is a file's content.

    `spread_s` has this many connections begin at random moments of that time, in place of all at once.
    """
    values = {"METHOD": method, "BODY": body or "", "MARK": MARK, "CONNECTIONS": connections}
    path = folder / f"{method.lower()}.lua"
    path.write_text(SCRIPT.substitute(values, SPREAD_MS=round(1000 * spread_s)), encoding="utf-8")
    return path


def run(url: str, script: Path, connections: int, seconds: float) -> Burst:
    """Sends as fast as this many connections allow. Raises CommandError."""
    longest = round(seconds) + 2  # wrk's own clock knows whole seconds only: it is interrupted before
    command = ["wrk", "-t1", f"-c{connections}", f"-d{longest}s", f"--timeout={TIMEOUT_S}s", "-s", str(script), url]
    wrk = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    try:
        with suppress(subprocess.TimeoutExpired):
            wrk.wait(seconds)
        wrk.send_signal(signal.SIGINT)
        out, err = wrk.communicate(timeout=longest + 30)
    finally:
        wrk.kill()
        wrk.wait()
    if wrk.returncode:
        raise CommandError(f"wrk ended with {wrk.returncode}: {(err or out).strip()[:200]}")
    return parse(out)


def parse(text: str) -> Burst:
    """Reads the line that the script prints at the end. Raises CommandError where there is none."""
    lines = [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]
    if not lines:
        raise CommandError(f"wrk printed no result: {text.strip()[:200] or 'nothing'}")
    found: dict[str, Any] = json.loads(lines[-1])
    latencies_ms = (found[name] / 1000 for name in ("p50_us", "p99_us", "max_us"))
    return Burst(found["requests"], found["us"] / 1e6, sum(found["errors"]), *latencies_ms)
