"""`python -m tools.conformance`: runs the conformance cases, prints both engines side by side."""

import tempfile
from pathlib import Path

from tests.harness.stage import Stage
from tests.integration.conformance import run_both
from tests.integration.conformance_rules import DEVIATIONS, ENGINES, EXPECTED


def table(seen: dict[str, dict[str, str]]) -> str:
    """Returns the table of agreement as Markdown."""
    lines = [f"| case | {' | '.join(ENGINES)} | |", "| --- |" + " --- |" * (len(ENGINES) + 1)]
    for rule in EXPECTED:
        found = [seen[engine].get(rule, "not seen") for engine in ENGINES]
        why = next((DEVIATIONS[engine, rule].why for engine in ENGINES if (engine, rule) in DEVIATIONS), "")
        verdict = "agree" if len(set(found)) == 1 else f"differ: {why or 'unexplained'}"
        lines.append(f"| {rule} | {' | '.join(found)} | {verdict} |")
    agreed = sum(len({seen[engine].get(rule) for engine in ENGINES}) == 1 for rule in EXPECTED)
    return "\n".join([*lines, "", f"{agreed} of {len(EXPECTED)} cases agree."])


def main() -> None:
    """Runs and prints."""
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage:
        print(table(run_both(stage)))


if __name__ == "__main__":
    main()
