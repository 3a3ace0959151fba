"""A real uncased encoder sees no case and no accents, so that such perturbations change none of its tags.

`MINILM=folder pytest -m slow tests/tasks/inference/test_uncased_model.py`, with MiniLM or another uncased encoder.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nerbench.tasks.config import DatasetConfig, Perturbation
from nerbench.tasks.config.schema_robustness import PerturbationName
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.data.perturbations import count_changes, perturb
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.prediction import predict

SENTENCES = 500
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder with a random classifier."""
    if not (folder := os.environ.get("MINILM")):
        pytest.skip("MINILM names no folder of an uncased encoder")
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    target = tmp_path_factory.mktemp("uncased")
    torch.manual_seed(0)
    labels = dict(enumerate(tag_vocabulary(["LOC", "MISC", "ORG", "PER"])))
    AutoModelForTokenClassification.from_pretrained(folder, id2label=labels).save_pretrained(target)
    AutoTokenizer.from_pretrained(folder).save_pretrained(target)
    return target


def test_an_uncased_model_loses_exactly_nothing_without_case_and_accents(shared: Path, model: Path) -> None:
    whole = load_splits(DatasetConfig(name="c", files={"test": str(shared / "data/conllpp/test.txt")}))["test"]
    corpus = replace(whole, words=whole.words[:SENTENCES], tags=whole.tags[:SENTENCES], documents=None)
    tagger = load_tagger(model, device=torch.device("cpu"))

    def tags(name: PerturbationName | None) -> list[int]:
        changed = perturb(corpus, Perturbation(name=name, seed=0, share=0.2), None) if name else corpus
        assert name is None or count_changes(corpus, changed).words > 500
        return [int(label) for block in predict(tagger, changed.words) for label in block.labels]

    clean = tags(None)
    assert len({*clean}) > 4
    for name in ("lower", "upper", "title", "accents"):
        assert tags(name) == clean, name
    assert tags("ocr") != clean
