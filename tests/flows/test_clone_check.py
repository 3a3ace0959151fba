"""A clone runs only with the same code installed."""

import shutil
from pathlib import Path

import pytest

from nerbench.artifacts.errors import InputError
from nerbench.flows.clone_check import PACKAGES, differing_file, require_installed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("file", ["flows/train.py", "nerbench/taggers/child.py"])
def test_a_changed_file_of_a_clone_is_named(clone: Path, file: str) -> None:
    assert differing_file(ROOT) is None
    assert differing_file(clone) is None
    (clone / file).write_text("")
    assert differing_file(clone) == file
    with pytest.raises(InputError, match=f"{file} differs from the installed nerbench"):
        require_installed("train", str(clone / "flows" / "train.py"))
    require_installed("nerbench.flows.train", str(clone / "flows" / "train.py"))
