"""Files with custom code."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file with this code after a first line that imports `nerbench` and `metric`."""

    def file(*code: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(["import nerbench; metric = nerbench.metric", *code]) + "\n")
        return path

    return file
