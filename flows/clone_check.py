"""Refuses to run flows from a clone that differs from the installed nerbench.

`flow.from_source` loads `flows/benchmark.py` of a clone as a file. That file imports everything else from the installed
package, so that two versions would run together.
"""

from importlib import import_module
from pathlib import Path

from nerbench import __version__
from nerbench.artifacts.errors import InputError

REMEDY = "install nerbench from the commit of the clone"
PACKAGES = ("artifacts", "flows", "nerbench/taggers", "tasks")
"""The folders of a clone with code."""


def require_installed(module: str, file: str) -> None:
    """Raise InputError if a flow's file, loaded as `module`, is in a clone that differs from the installed nerbench."""
    if not module.startswith("nerbench.") and (name := differing_file(Path(file).resolve().parents[1])):
        raise InputError(f"the flow in {file}", f"{name} differs from the installed nerbench {__version__}", REMEDY)


def require_imported(file: str) -> None:
    """Raise InputError if a flow's function is not from an imported file.

    If importing a clone fails, Prefect takes the function alone from the source, and names its file `<ast>`.
    """
    if file == "<ast>":
        problem = f"cannot be imported; its clone differs from the installed nerbench {__version__}"
        raise InputError("the flow", problem, REMEDY)


def differing_file(clone: Path) -> str | None:
    """The first file of code, relative to the clone, that is not the same in both; None if there is none."""
    for package in PACKAGES:
        module = f"nerbench.{Path(package).name}"
        installed = Path(str(import_module(module).__file__)).resolve().parent
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
