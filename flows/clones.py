"""Refuses to run flows from a clone that differs from the installed nerbench.

`flow.from_source` loads `flows/benchmark.py` of a clone as a file. That file imports everything else from the installed
package, so that two versions would run together.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nerbench.artifacts.errors import InputError

PACKAGES = ("artifacts", "flows", "tasks")


def require_installed(module: str, file: str) -> None:
    """Raise InputError if a flow's file, loaded as `module`, belongs to a clone that is not the installed nerbench."""
    if module.startswith("nerbench."):
        return
    clone = Path(file).resolve().parents[1]
    remedy = f"install the clone that the worker loads: pip install {clone}"
    try:
        installed = version("nerbench")
    except PackageNotFoundError:
        raise InputError(f"the flow in {file}", "needs nerbench, which is not installed", remedy) from None
    if name := differing_file(clone):
        raise InputError(f"the flow in {file}", f"{name} differs from the installed nerbench {installed}", remedy)


def differing_file(clone: Path) -> str | None:
    """The first file of code, relative to the clone, that is not the same in both; None if there is none."""
    for package in PACKAGES:
        installed = Path(str(import_module(f"nerbench.{package}").__file__)).resolve().parent
        if installed == clone / package:
            continue
        ours, theirs = (
            {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.py")}
            for folder in (installed, clone / package)
        )
        for name in sorted({*ours, *theirs}):
            if ours.get(name) != theirs.get(name):
                return f"{package}/{name}"
    return None
