"""The audit of dependencies: its output, and when it fails."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect_site import ROOT

CLEAN = {"name": "a", "version": "1", "vulns": []}
VULNERABLE = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": []}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}
PIP_AUDIT = """#!{python}
import os, sys
if answer := os.environ["ANSWER"]:
    open(sys.argv[sys.argv.index("--output") + 1], "w").write(answer)
else:
    sys.exit("no connection")
"""


def audit(folder: Path, packages: list[dict[str, Any]] | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of the audit with a fake pip-audit that gives this answer, or none."""
    program = folder / ".venv-audit" / "bin" / "pip-audit"
    program.parent.mkdir(parents=True)
    program.write_text(PIP_AUDIT.format(python=sys.executable))
    program.chmod(0o755)
    script = folder / ".ci" / "audit"
    script.parent.mkdir()
    script.write_text((ROOT / ".ci" / "audit").read_text())
    answer = "" if packages is None else json.dumps({"dependencies": packages})
    command = [sys.executable, script, *arguments]
    return subprocess.run(command, env=os.environ | {"ANSWER": answer}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("packages", "status", "strict", "done"),
    [
        ([CLEAN], 0, 0, True),
        ([CLEAN, VULNERABLE], 1, 1, True),
        ([CLEAN, UNKNOWN], 0, 1, False),
        ([UNKNOWN], 0, 1, False),
        (None, 0, 1, False),
    ],
)
def test_an_audit_without_an_answer_is_reported_and_fails_if_strict(
    tmp_path: Path, packages: list[dict[str, Any]] | None, status: int, strict: int, done: bool
) -> None:
    loose, closed = audit(tmp_path / "a", packages), audit(tmp_path / "b", packages, "--strict")
    assert (loose.returncode, closed.returncode) == (status, strict)
    assert ("NOT DONE" in closed.stderr) is not done
    assert ("CVE-1" in closed.stdout) is (packages is not None and VULNERABLE in packages)
