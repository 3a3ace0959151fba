"""Entity scores as an `evaluate.Metric`: `EntityF1()`, or offline `evaluate.load("tasks/training/entity_f1.py")`.

`evaluate` copies the file before importing it, so that it must stand alone: the scoring is imported on first use.
"""

from importlib import import_module
from typing import Any

import datasets
import evaluate

_DESCRIPTION = "Entity precision, recall and F1 (strict IOB2, micro), F1 by conlleval's rules, and token accuracy."
_INPUTS = "predictions, references: one list of IOB2 tags (O, B-TYPE, I-TYPE) a sentence."


class EntityF1(evaluate.Metric):  # type: ignore[misc]
    """Micro-averaged scores of IOB2 tags. What is undefined, as precision without predictions, is 0, as in seqeval."""

    def _info(self) -> Any:
        tags = datasets.List(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        for number, (predicted, gold) in enumerate(zip(predictions, references, strict=True)):
            if len(predicted) != len(gold):
                raise ValueError(f"sentence {number} has {len(gold)} tags and {len(predicted)} predicted ones")
        scores: dict[str, float] = import_module("nerbench.tasks.training.scores").entity_scores(
            predictions, references
        )
        return scores
