"""Environments that contain only the wheel and its declared dependencies."""

import os
import shutil
import subprocess
from importlib.metadata import Distribution, EntryPoint, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".venv-lock" / "bin" / "uv"
"""`make test-wheel` installs it."""


def private_variables(folder: Path) -> dict[str, str]:
    """The variables of this process without those about its own Python, and with folders of Prefect and nerbench."""
    foreign = ("PYTHON", "PREFECT", "PYTEST", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {
        "PREFECT_HOME": str(folder / "prefect"),
        "NERBENCH_CACHE": str(folder / "cache"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",  # Prefect waits 20 seconds for its own server
        "DO_NOT_TRACK": "1",
    }


class Environment:
    """A virtual environment and a working folder."""

    def __init__(self, python: str, folder: Path) -> None:
        self.bin, self.work = folder / "venv" / "bin", folder / "work"
        self.work.mkdir()
        self.variables = private_variables(folder) | {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        subprocess.run([python, "-m", "venv", folder / "venv"], check=True)

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """The output of a program of the environment, which must end with status 0."""
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=cwd or self.work,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self, wheel: Path) -> None:
        """Install the wheel and its dependencies from the package index."""
        constraints = str(ROOT / "constraints.txt")
        self.run(
            *(str(UV), "pip", "install", "--quiet", "--python", str(self.bin / "python")), "-c", constraints, str(wheel)
        )

    def install_copies(self, wheel: Path) -> None:
        """Install the wheel, and link its dependencies from the environment of the tests, without the package index."""
        site = Path(self.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        self.run("pip", "uninstall", "--quiet", "--yes", "setuptools")  # the version of `venv`, before Python 3.12
        for needed in _needed("nerbench"):
            for file in needed.files or ():
                if ".." not in file.parts:  # scripts are outside, and name the interpreter of the other environment
                    _link(Path(str(needed.locate_file(file))), site / file)
            for script in needed.entry_points.select(group="console_scripts"):
                self._write_script(script)
        self.run("pip", "install", "--quiet", "--no-deps", str(wheel))

    def _write_script(self, script: EntryPoint) -> None:
        path = self.bin / script.name
        call = f"import sys; from {script.module} import {script.attr}; sys.exit({script.attr}())"
        path.write_text(f"#!{self.bin / 'python'}\n{call}\n")
        path.chmod(0o755)


def _needed(package: str) -> list[Distribution]:
    """The direct and transitive dependencies of a package, without its extras."""
    found: dict[str, Distribution] = {}
    waiting = [(package, frozenset[str]())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        here = found.setdefault(name, distribution(name))
        for line in here.requires or ():
            one = Requirement(line)
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras or {""}):
                asked = (one.name.lower().replace("_", "-"), frozenset(one.extras))
                if asked not in seen:
                    seen.add(asked)
                    waiting.append(asked)
    return [needed for name, needed in found.items() if name != package]


def _link(source: Path, target: Path) -> None:
    if not source.is_file() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)
