"""`uv sync`, `pipx install .` and `uvx --from .` install the source tree, and the command trains and benchmarks.

Everything comes from the package index, with the interpreters of NERBENCH_PYTHONS. `uv sync` installs torch's CUDA
build, which uv.lock names; UV_TORCH_BACKEND=cpu and PIP_EXTRA_INDEX_URL choose its CPU build for the other two.
"""

import os
import subprocess
from pathlib import Path

import pytest
from environments import UV, private_variables

PYTHONS = os.environ.get("NERBENCH_PYTHONS", "")
COMMANDS = {
    "uv sync": ("{uv} sync --locked --project {tree}", "{uv} run --locked --project {tree} nerbench"),
    "pipx install": ("{uv} tool run pipx install {tree}", "{folder}/bin/nerbench"),
    "uvx": ("{uv} --version", "{uv} tool run --from {tree} nerbench"),
}
"""For each installer, the command that installs and the one that runs what is installed."""

pytestmark = [
    pytest.mark.wheel,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not PYTHONS, reason="NERBENCH_PYTHONS names no interpreter; this test needs the network"),
]


@pytest.mark.parametrize("python", PYTHONS.split(","))
@pytest.mark.parametrize("installer", COMMANDS)
def test_the_command_runs(installer: str, python: str, tree: Path, tmp_path: Path) -> None:
    variables = private_variables(tmp_path) | {
        "UV_PYTHON": python,
        "PIPX_DEFAULT_PYTHON": python,
        "PIPX_HOME": f"{tmp_path}/pipx",
        "PIPX_BIN_DIR": f"{tmp_path}/bin",
    }
    install, command = (part.format(uv=UV, tree=tree, folder=tmp_path).split() for part in COMMANDS[installer])
    epochs = [option for number in (0, 1) for option in ("--set", f"models.{number}.epochs=1")]
    for arguments in (install, [*command, "run", "--json", *epochs]):
        done = subprocess.run(arguments, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert '"artifacts"' in done.stdout
