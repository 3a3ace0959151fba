"""Files of a user's own."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes code to a file, from its second line on; the first one imports `nerbench`, and `metric`."""

    def file(*code: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(["import nerbench; metric = nerbench.metric", *code]) + "\n")
        return path

    return file
