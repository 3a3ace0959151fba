"""The names of `import nerbench`: cheap to import, complete, documented with examples, and typed."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import nerbench

ROOT = Path(__file__).resolve().parents[1]
NAMES = [name for name in nerbench.__all__ if name != "__version__"]


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys; before = {*sys.modules}; import nerbench; print(*sorted({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert "nerbench" in imported
    assert not imported - {"nerbench"} - set(sys.stdlib_module_names)


def test_results_are_read_without_torch_and_prefect() -> None:
    names = ("results", "compare", "load_config", "Store", "read_results", "metric")
    code = f"import sys, nerbench; [getattr(nerbench, name) for name in {names}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"torch", "prefect", "transformers", "datasets"} & set(done.stdout.split())


def test_every_name_exists_with_an_example() -> None:
    assert nerbench.__all__ == sorted(nerbench.__all__) == dir(nerbench)
    assert [name for name in NAMES if ">>>" not in (inspect.getdoc(getattr(nerbench, name)) or "")] == []
    methods = ("to_pandas", "headline", "plot")
    assert all(">>>" in getattr(nerbench.Results, name).__doc__ for name in methods)


def test_editors_know_the_same_names() -> None:
    body = ast.parse((ROOT / "nerbench/__init__.py").read_text()).body
    typed = next(node for node in body if isinstance(node, ast.If))
    imported = {
        alias.asname: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == {name: nerbench._HOMES[name] for name in NAMES}
    for name, home in imported.items():
        assert getattr(nerbench, name).__module__ == home
