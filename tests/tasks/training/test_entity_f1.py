"""The evaluate.Metric, as a class and by path, without a network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tagging import random_sentences

import nerbench.tasks.training.entity_f1


def test_by_class_and_by_path_as_seqeval(tmp_path: Path, load_metric: Callable[[Path], Any]) -> None:
    from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    gold, predicted = random_sentences(4, 50)
    strict = {"mode": "strict", "scheme": IOB2}
    expected = {
        "precision": precision_score(gold, predicted, **strict),
        "recall": recall_score(gold, predicted, **strict),
        "f1": f1_score(gold, predicted, **strict),
        "conlleval_f1": f1_score(gold, predicted),
        "accuracy": accuracy_score(gold, predicted),
    }
    by_path = load_metric(Path(nerbench.tasks.training.entity_f1.__file__))
    for metric in (nerbench.tasks.training.entity_f1.EntityF1(cache_dir=str(tmp_path)), by_path):
        assert metric.compute(predictions=predicted, references=gold) == pytest.approx(expected)
        nothing = metric.compute(predictions=[["O"]], references=[["O"]])
        assert nothing == {"precision": 0, "recall": 0, "f1": 0, "conlleval_f1": 0, "accuracy": 1}
        with pytest.raises(ValueError, match="sentence 1 has 2 tags and 1 predicted ones"):
            metric.compute(predictions=[["O"], ["O"]], references=[["O"], ["O", "O"]])
