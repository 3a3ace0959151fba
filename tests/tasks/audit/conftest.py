"""A nearly correct model, a corpus for it, and a configuration with both."""

from pathlib import Path

import pytest
from tiny_models import LABELS, SENTENCES, VOCABULARY, save_bag

from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store
from nerbench.tasks.config import Config
from nerbench.tasks.training.setup import train_tokenizer

REPEATS = 16


def tag_of(word: str) -> str:
    """Capitals before N are persons, later ones locations."""
    return "O" if not word[0].isupper() else "B-PER" if word[0] < "N" else "B-LOC"


def write_corpus(path: Path, *, documents: bool = True) -> str:
    """A corpus in which every second sentence ends a document and one entity per document differs from the model."""
    lines = []
    for number in range(REPEATS):
        for place, words in enumerate(SENTENCES):
            if documents and place % 2 == 0:
                lines.append("-DOCSTART- O\n")
            tags = ["B-LOC" if word == "Ada" and number % 4 == 0 else tag_of(word) for word in words]
            lines.append("".join(f"{word} {tag}\n" for word, tag in zip(words, tags, strict=True)))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that tags words like `tag_of`, by their first token."""
    pieces = {number: piece for piece, number in train_tokenizer(SENTENCES, VOCABULARY, 512).get_vocab().items()}
    folder = tmp_path_factory.mktemp("audited") / "bag"
    return save_bag(folder, lambda piece: LABELS.index(tag_of(pieces[piece])), positions=64)


@pytest.fixture
def config(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration with the model's store, and results that must not be written."""
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    Store(str(tmp_path / "store")).publish(model, "bag", Provenance())
    return Config.model_validate(
        {
            "store": str(tmp_path / "store"),
            "results": str(tmp_path / "results"),
            "datasets": [{"name": "own", "files": {"test": write_corpus(tmp_path / "test.txt")}}],
            "benchmark": {"device": "cpu", "speed": False},
        }
    )
