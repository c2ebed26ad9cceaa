"""Server files for the stand-ins of real model servers, which stand in tests/harness/model_servers."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.harness.project import ROOT

MODEL_SERVERS = ROOT / "tests" / "harness" / "model_servers"
SUPERVISOR = str(ROOT / "tests" / "harness" / "supervisor.py")
"""A process manager, for predictors that are no children of the rig."""

PAYLOAD = b'{"features": [0.5, 1.25, 2.0]}\n'
SCORE = 3.75
"""What they answer to PAYLOAD."""

HOSTILE = "'\"`: {x} #--- !!int [&a *b] | > %% $HOME $$ $(POD_NAME) ${port} \\n\ttab\n---\nnull"
"""What would mean something else in YAML, in a shell, or to Kubernetes."""


def stand_in(kind: str, *options: object) -> list[str]:
    """Returns the command of a stand-in, plain or escaping, with further options; its placeholders are unfilled."""
    words = ["--host", "{host}", "--port", "{port}", "--name", "{name}", *map(str, options)]
    return [sys.executable, str(MODEL_SERVERS / f"{kind}.py"), *words]


def write_server_file(folder: Path, kind: str, *options: object, **keys: Any) -> Path:
    """Writes `KIND.json` and its payload into the folder; `keys` are further or other ones (command None: none)."""
    (folder / "score.json").write_bytes(PAYLOAD)
    document = {
        "command": stand_in(kind, *options),
        "path": "/score",
        "health": "/healthz",
        "payload": "score.json",
        **keys,
    }
    if document["command"] is None:
        del document["command"]
    path = folder / f"{kind}.json"
    path.write_text(json.dumps(document, indent=2))
    return path


def full_server(folder: Path, **keys: object) -> Path:
    """A server file that says all that it can, in texts that try to be something else."""
    (folder / "payload.bin").write_bytes(b"\xff\x00\r\n" + HOSTILE.encode())
    document = {
        "command": ["serve", HOSTILE.replace("{port}", "port"), "--name", "{name}", "--at", "{host}:{port}", "{port3}"],
        "path": "/v1/predict?x=%20'",
        "health": "/up?deep=1",
        "payload": "payload.bin",
        "headers": {"X-Own": "yes # 'no' \"null\""},
        "env": {"TEXT": HOSTILE, "WHO": "{name}/{port2}", "PORT": "1", "YES": "y", "OCTAL": "0o17"},
        "capacity": 4,
        "ready_within_s": 900.5,
        "stop_within_s": 33,
        "health_interval_s": 2.5,
        "health_timeout_s": 1.5,
        **keys,
    }
    path = folder / "server.json"
    path.write_text(json.dumps(document))
    return path
