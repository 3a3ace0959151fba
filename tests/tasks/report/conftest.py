"""Results of two runs, written once."""

from pathlib import Path

import pytest
from report_site import two_nights


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Results that tests must not change."""
    folder: Path = tmp_path_factory.mktemp("nights") / "results"
    two_nights(str(folder))
    return str(folder)
