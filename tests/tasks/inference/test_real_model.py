"""Tests that need a trained model: short windows hardly lower the score, and no word or entity is lost.

`NERBENCH_MODEL=folder pytest -m slow tests/tasks/inference/test_real_model.py`, with a model fine-tuned on CoNLLpp.
"""

import os
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.optimize import optimize_for_inference
from nerbench.tasks.inference.prediction import predict
from nerbench.tasks.scoring.counts import OVERALL, count
from nerbench.tasks.scoring.score import score
from nerbench.tasks.scoring.tagged_words import from_corpus

SUPPORT = 5702
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus(shared: Path) -> Corpus:
    """CoNLLpp's test split."""
    return load_splits(DatasetConfig(name="conllpp", files={"test": str(shared / "data/conllpp/test.txt")}))["test"]


@pytest.fixture(scope="module")
def model() -> Path:
    """A model fine-tuned on CoNLLpp."""
    if not (folder := os.environ.get("NERBENCH_MODEL")):
        pytest.skip("NERBENCH_MODEL names no model fine-tuned on CoNLLpp")
    return Path(folder)


def strict_f1(model: Path, corpus: Corpus, window: int) -> float:
    tagger = load_tagger(model, device=torch.device("cpu"), window=window)
    labels = [int(label) for block in predict(tagger, corpus.words) for label in block.labels]
    assert len(labels) == corpus.n_words
    tags = [tagger.labels[label] if label >= 0 else "O" for label in labels]
    counts = count(from_corpus(corpus, pa.chunked_array([tags]), types=corpus.types))
    strict = {(row["metric"], row["average"]): row for row in score(counts, OVERALL) if row["mode"] == "strict"}
    assert strict["f1", "micro"]["n_gold"] == SUPPORT
    return float(strict["f1", "micro"]["value"])


def test_a_window_of_64_tokens_scores_like_one_of_512(model: Path, corpus: Corpus) -> None:
    assert strict_f1(model, corpus, 64) == pytest.approx(strict_f1(model, corpus, 512), abs=0.001)


@pytest.mark.parametrize("window", [16, 32])
def test_the_support_does_not_depend_on_the_window(model: Path, corpus: Corpus, window: int) -> None:
    assert strict_f1(model, corpus, window) > 0.8


@pytest.mark.parametrize(("precision", "share"), [("fp32", 0.0), ("bf16", 0.001)])
def test_tags_are_those_of_one_sentence_at_a_time(model: Path, corpus: Corpus, precision: str, share: float) -> None:
    plain = load_tagger(model, device=torch.device("cpu"))
    alone = [int(label) for words in corpus.words for block in predict(plain, [words]) for label in block.labels]
    tagger = optimize_for_inference(load_tagger(model, device=torch.device("cpu"), precision=precision))
    assert tagger.batching == "packed"
    together = [int(label) for block in predict(tagger, corpus.words) for label in block.labels]
    differing = sum(a != b for a, b in zip(alone, together, strict=True))
    assert differing <= share * len(alone)
