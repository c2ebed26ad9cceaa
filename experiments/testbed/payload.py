"""The payload of `--payload`: a JSON file that every user POSTs to the rig's own predictors, and the time it takes."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from cli import UsageError
from experiments.results.records import PayloadRecord
from experiments.testbed.deployment import Deployment
from experiments.testbed.servers.probes import on_one_line, predict
from server_file import OWN, read_payload

BELOW_S = 10.0
"""All that a prediction may take, as `--service-time` alone: what is in flight when a swarm ends must be let finish."""

ANSWERED_WITHIN_S = 30.0
SHOWN_CHARACTERS = 160
OPTION, TIME_OPTION = "argument --payload:", "argument --service-time-per-mb:"


@dataclass(frozen=True)
class Payload:
    """A payload that can be sent."""

    given: str
    """The file, as the command line names it."""
    content: bytes
    record: PayloadRecord
    """What settings.json keeps of it."""

    @property
    def file(self) -> Path:
        """Where it stands, in full."""
        return Path(self.given).resolve()

    def require_accepted(self, deployment: Deployment) -> None:
        """Raises UsageError unless one of the predictors, asked directly, gives a good answer to it."""
        name = next(name for name in deployment.topology.predictors if name not in deployment.topology.cold())
        outcome = predict(replace(OWN, payload=self.content), *deployment.address(name), ANSWERED_WITHIN_S)
        if not outcome.is_good:
            answer = on_one_line(outcome.body, SHOWN_CHARACTERS)
            raise UsageError(f"{OPTION} {self.given!r}: {name} {outcome.said}: {answer}")


def choose_payload(given: str | None, per_mb_s: float, service_time_s: float) -> tuple[Payload | None, float]:
    """Returns the payload, None where none is given, and the seconds that a prediction of it takes in all.

    `service_time_s` is what each takes, `per_mb_s` what comes on top for each megabyte. Raises UsageError.
    """
    if given is None:
        if per_mb_s:
            why = "users send GET, which has no body"
            raise UsageError(f"{TIME_OPTION} {per_mb_s:g}: {why}: give --payload FILE, or leave it out")
        return None, service_time_s
    payload = _read(given)
    whole_s = round(service_time_s + payload.record.takes_s(per_mb_s), 6)
    if whole_s >= BELOW_S:
        why = f"with {payload.record.size_bytes} bytes a prediction takes {whole_s:g} s"
        raise UsageError(f"{TIME_OPTION} {per_mb_s:g}: {why}: give less, for below {BELOW_S:g} s in all")
    return payload, whole_s


def _read(given: str) -> Payload:
    content = read_payload(given, Path.cwd(), OPTION)
    try:
        json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise UsageError(f"{OPTION} {given!r}: not JSON ({reason}): name a JSON file") from error
    record = PayloadRecord(Path(given).name, len(content), hashlib.sha256(content).hexdigest())
    return Payload(given, content, record)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
