"""One Prefect server for all flow tests, and one small pipeline run that they look at."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.launch import quiet
from tasks.config import Config

os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
quiet()

SENTENCES = (
    "Anna Berg visited Oslo .|B-PER I-PER O B-LOC O",
    "Acme Corp opened in Paris .|B-ORG I-ORG O O B-LOC O",
    "Anna Berg left Acme Corp .|B-PER I-PER O B-ORG I-ORG O",
    "The German team won .|O B-MISC O O O",
    "Oslo and Paris are cities .|B-LOC O B-LOC O O O",
    "Rain fell on Monday .|O O O O O",
)
TINY = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def write_corpus(path: Path, repeats: int) -> str:
    """A CoNLL file of our sentences, each repetition a document."""
    document = ["-DOCSTART- O\n"]
    for line in SENTENCES:
        words, tags = (part.split() for part in line.split("|"))
        document.append("".join(f"{word} {tag}\n" for word, tag in zip(words, tags, strict=True)))
    path.write_text("\n".join(document * repeats) + "\n")
    return str(path)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real Prefect server in a home of its own, and a model cache of its own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("NERBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=90),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield
    patch.undo()


@pytest.fixture(scope="session")
def config(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two tiny models, a corpus of our own, local store and results."""
    folder = tmp_path_factory.mktemp("job")
    files = {"train": 30, "validation": 1, "test": 3}
    model = {"epochs": 12, "learning_rate": 5e-3, "batch_tokens": 256, "vocabulary": 300}
    return Config.model_validate(
        {
            "store": str(folder / "store"),
            "results": str(folder / "results"),
            "datasets": [{"name": "own", "files": {s: write_corpus(folder / f"{s}.txt", n) for s, n in files.items()}}],
            "models": [{"name": "tiny", "base": TINY, **model}, {"name": "tinier", "base": TINY, **model, "seed": 1}],
            "benchmark": {"speed": False, "device": "cpu"},
        }
    )


@pytest.fixture(scope="session")
def finished(config: Config) -> dict[str, Any]:
    """The summary of a pipeline run over `config`."""
    from flows.pipeline import pipeline

    return pipeline(config)
