"""Kubelet's part for a container that runs as a process here: its words, variables, files, probes; and no more."""

import base64
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tests.harness.processes import Process

REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
Manifest = dict[str, Any]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replaces `$(NAME)` where there is such a variable, and `$$` by a dollar sign, as Kubernetes does."""
    return REFERENCE.sub(lambda match: "$" if match[1] is None else variables.get(match[1], match[0]), text)


def write_config_map(config: Manifest, folder: Path, hosts: Mapping[str, str]) -> None:
    """Writes its files, read-only as where it is mounted; these host names become addresses, for there is no DNS."""
    for name, text in config.get("data", {}).items():
        found = re.sub(r'"([^"]*)"', lambda match: f'"{hosts.get(match[1], match[1])}"', text) if hosts else text
        (folder / name).write_bytes(found.encode())
    for name, text in config.get("binaryData", {}).items():
        (folder / name).write_bytes(base64.b64decode(text))
    folder.chmod(0o500)


@dataclass(frozen=True)
class Container:
    """A container of a pod. `stands_for`: what a pod has for itself, ports and paths -> what stands for it here."""

    manifest: Manifest
    pod: str
    address: str
    workdir: Path
    stands_for: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Its variables alone, beside PATH: what this process has is no part of a pod."""
        variables: dict[str, str] = {}
        for each in self.manifest.get("env", []):
            variables[each["name"]] = self._value(each, variables)
        here = [str(Path(sys.executable).parent), os.environ["PATH"]]
        return {"PATH": os.pathsep.join(here)} | {name: self._here(text) for name, text in variables.items()}

    def words(self, command: list[str]) -> list[str]:
        """The words of its command as the process gets them."""
        return [self._here(expand(word, self.environment())) for word in command]

    def start(self, folder: Path) -> Process:
        """Starts its command; what it prints goes to files in the folder."""
        return Process(self.pod, self.words(self.manifest["command"]), folder, self.workdir, self.environment())

    def execute(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Runs another command in it, as a probe or a hook is run."""
        words = [self._here(word) for word in command]
        return subprocess.Popen(words, cwd=self.workdir, env=self.environment(), stderr=subprocess.DEVNULL)

    def passes(self, probe: str) -> bool:
        """Whether this probe of it passes now."""
        rule = self.manifest[probe]
        if "exec" in rule:
            return self.execute(rule["exec"]["command"]).wait(rule["timeoutSeconds"]) == 0
        with suppress(OSError, HTTPException):
            if "tcpSocket" in rule:
                socket.create_connection((self.address, rule["tcpSocket"]["port"]), rule["timeoutSeconds"]).close()
                return True
            return 200 <= self._status(rule["httpGet"], rule["timeoutSeconds"]) < 400
        return False

    def _status(self, get: Manifest, timeout_s: float) -> int:
        connection = HTTPConnection(self.address, get["port"], timeout=timeout_s)
        try:
            headers = {each["name"]: each["value"] for each in get.get("httpHeaders", [])}
            connection.request("GET", get["path"], headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _value(self, variable: Manifest, earlier: Mapping[str, str]) -> str:
        source = variable.get("valueFrom", {})
        if "fieldRef" in source:
            assert source["fieldRef"]["fieldPath"] == "metadata.name"
            return self.pod
        return self.secrets[source["secretKeyRef"]["key"]] if source else expand(variable["value"], earlier)

    def _here(self, text: str) -> str:
        for there, here in {"0.0.0.0": self.address, **self.stands_for}.items():
            text = text.replace(there, here)
        return text
