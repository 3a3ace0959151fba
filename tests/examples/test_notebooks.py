"""The notebooks and scripts of `examples/` run from the first to the last line, and are stored without outputs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
LIMIT_S = 1800
"""Twenty times what the longest notebook takes on two quiet cores."""


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert outputs(notebook) == []
    assert {cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"} == {None}
    for cell in notebook["cells"]:
        for target in re.findall(r"\]\(([^)#:]+)", "".join(cell["source"])):
            assert (EXAMPLES / target).exists(), target


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any Prefect server or setting, in the kernel's event loop."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("matplotlib.font_manager")  # builds its cache, which it would report in the notebook
    for variable in [variable for variable in os.environ if variable.startswith("PREFECT_")]:
        monkeypatch.delenv(variable)
    places = {"PREFECT_HOME": "home", "NERBENCH_CACHE": "cache", "IPYTHONDIR": "ipython"}
    for variable, folder in places.items():
        monkeypatch.setenv(variable, str(tmp_path / folder))
    monkeypatch.setenv("NERBENCH_CODE", "")
    shutil.copy(EXAMPLES / f"{name}.ipynb", tmp_path)
    notebook = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=LIMIT_S, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    found = outputs(notebook)
    assert [output for output in found if output.get("name") == "stderr"] == []
    text = "".join(output["text"] for output in found if output["output_type"] == "stream")
    lines = [line for line in text.splitlines() if ": F1 " in line]
    assert lines, "each model has a line when it is scored"
    assert len(json.dumps(notebook)) < 300_000
    html = "".join("".join(output["data"].get("text/html", "")) for output in found if "data" in output)
    assert '<table class="keys"' in html
    CHECKS[name](text, found)


def check_first_run(text: str, found: list[Any]) -> None:
    trained = [line for line in text.splitlines() if ": trained in " in line]
    assert [line.partition(":")[0] for line in trained] == ["tiny-bert", "tiny-bert-1layer"]


def check_own_data(text: str, found: list[Any]) -> None:
    assert "mine: trained in " in text


def check_regression(text: str, found: list[Any]) -> None:
    values = [output["data"]["text/plain"] for output in found if output["output_type"] == "execute_result"]
    verdicts = [value.strip("'") for value in values if value.strip("'") in {"pass", "undecided", "regression"}]
    assert verdicts[-1] == "regression"


CHECKS = {
    "first-run": check_first_run,
    "your-own-data-and-model": check_own_data,
    "is-this-regression-real": check_regression,
}


def test_the_nightly_script_explains_a_wrong_request(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "nightly.py"), "nowhere.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert re.match(r".*there is no file nowhere\.yaml", done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
