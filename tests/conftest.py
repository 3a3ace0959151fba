"""Fixtures that several test files use, and how the tests are shared out among processes (`make test`: two)."""

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # or each process would start as many threads as there are cores

SERVERS = ("flows", "deployments")
"""Folders whose tests share a Prefect server: each is one process's work, and the longest, so it comes first."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file, or of a folder with a server, in one process; the longest first."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        group = folder if folder in SERVERS else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.path.relative_to(here).parts[0] not in SERVERS)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with the licensed corpora; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no ../shared/data: the licensed CoNLL files are not part of the project")
    return folder


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT with two entity types, as `save_pretrained` makes it; not to be changed."""
    from tiny_models import save_bert

    return save_bert(tmp_path_factory.mktemp("models") / "tiny")
