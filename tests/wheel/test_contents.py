"""The wheel and the source archive contain every module and every file that the code reads."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("artifacts", "deployments", "flows", "tasks")
SUFFIXES = {".css", ".jinja", ".js", ".LICENSE", ".py", ".typed", ".yaml"}


def tracked() -> list[str]:
    """The tracked files that belong to the package."""
    listed = subprocess.check_output(["git", "ls-files", "nerbench", *FOLDERS], cwd=ROOT, text=True).splitlines()
    return [path for path in listed if Path(path).suffix in SUFFIXES]


def test_the_wheel_holds_the_tree_below_one_name(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {path if path.startswith("nerbench/") else f"nerbench/{path}" for path in tracked()}


def test_the_source_archive_holds_the_tree(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    assert set(tracked()) - held == set()
