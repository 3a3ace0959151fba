"""Fixtures that several test files use."""

from pathlib import Path

import pytest


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
