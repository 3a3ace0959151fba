"""What the commands that only read stored results import: each of these packages takes a tenth of a second or more."""

import subprocess
import sys
from pathlib import Path

import pytest
from scored_runs import score

GOLD = [["B-PER", "O"]]
HEAVY = ("pandas", "prefect", "torch", "transformers", "datasets", "jinja2", "psutil", "urllib.request")
FOR_TABLES = ("numpy", "pyarrow")
RUN = f"""
import sys
from nerbench.flows import cli

status = cli.status_of(sys.argv[1:])
print([name for name in {(*HEAVY, *FOR_TABLES)!r} if name in sys.modules], file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.parametrize("command", ["results show", "history tagger"])
def test_commands_that_read_results_import_only_arrow(command: str, tmp_path: Path) -> None:
    for night in (1, 2):
        score(str(tmp_path / "results"), night, GOLD, GOLD, version=night)
    arguments = [*command.split(), "--results", str(tmp_path / "results")]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == str([*FOR_TABLES])


@pytest.mark.e2e
def test_a_mistyped_name_is_found_before_imports(tmp_path: Path) -> None:
    arguments = ["benchmark", "tagegr@latest", "--store", str(tmp_path / "store"), "--results", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    problem, imported = done.stderr.splitlines()
    assert "'tagegr@latest'" in problem
    assert (done.returncode, imported) == (2, "[]")
