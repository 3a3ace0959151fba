"""Entity scores for other projects: `evaluate.load("path/to/nerbench_entities")`, offline, nothing to install.

`evaluate` copies this file before importing it, so it stands alone: the definitions of nerbench's modes `strict` and
`conlleval`, written a second time in plain Python and held to the first by a test.
"""

from collections import Counter
from typing import Any

import datasets
import evaluate

_DESCRIPTION = """Precision, recall and F1 of named entities in IOB2 tags: micro-averaged, and by entity type.

strict: an entity begins with B- and goes on with I- of its type (seqeval's mode="strict", scheme=IOB2).
conlleval: the same, but an I- that continues nothing of its type begins one too (the CoNLL script; seqeval's default).
An entity is right where its words and its type are."""
_INPUTS = """predictions, references: one list of IOB2 tags (O, B-TYPE, I-TYPE) a sentence.
mode: "strict" (default) or "conlleval".
zero: what is given where a denominator is zero; None by default."""
MODES = ("strict", "conlleval")

Entity = tuple[int, int, int, str]
"""Sentence, first word, word after the last, type."""


class NerbenchEntities(evaluate.Metric):  # type: ignore[misc]
    """`compute(predictions=…, references=…)` gives precision, recall, f1, tp, n_pred, n_gold, n_invalid, by_type."""

    def _info(self) -> Any:
        tags = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(
        self,
        predictions: list[list[str]],
        references: list[list[str]],
        mode: str = "strict",
        zero: float | None = None,
    ) -> dict[str, Any]:
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is none of {', '.join(MODES)}")
        for number, (tags, right) in enumerate(zip(predictions, references, strict=True)):
            if len(tags) != len(right):
                raise ValueError(f"sentence {number} has {len(right)} tags and {len(tags)} predicted ones")
        predicted, gold = (set(entities(sentences, mode)) for sentences in (predictions, references))
        n_pred, n_gold, tp = (Counter(entity[3] for entity in found) for found in (predicted, gold, predicted & gold))
        types = sorted({*n_pred, *n_gold})
        invalid = sum(tag.startswith("I-") and not continues for tag, continues in _transitions(predictions))
        return {
            **_scores(tp.total(), n_pred.total(), n_gold.total(), zero),
            "n_invalid": invalid,
            "by_type": {kind: _scores(tp[kind], n_pred[kind], n_gold[kind], zero) for kind in types},
        }


def entities(sentences: list[list[str]], mode: str) -> list[Entity]:
    """The entities of sentences by a mode; raises ValueError for an invalid tag of IOB2."""
    found: list[Entity] = []
    for number, tags in enumerate(sentences):
        start, kind = 0, None
        for position, tag in enumerate([*tags, "O"]):
            letter, its_kind = _split(tag)
            if letter == "I" and its_kind == kind:
                continue
            if kind is not None and (mode == "conlleval" or tags[start].startswith("B-")):
                found.append((number, start, position, kind))
            start, kind = position, its_kind
    return found


def _transitions(sentences: list[list[str]]) -> list[tuple[str, bool]]:
    """Each tag, and whether the one before it in its sentence is of its type."""
    return [
        (tag, position > 0 and tags[position - 1][2:] == tag[2:] and tags[position - 1] != "O")
        for tags in sentences
        for position, tag in enumerate(tags)
    ]


def _split(tag: str) -> tuple[str, str | None]:
    if tag == "O":
        return "O", None
    if tag[:2] not in ("B-", "I-") or len(tag) < 3:
        raise ValueError(f"{tag!r} is not an IOB2 tag")
    return tag[0], tag[2:]


def _scores(tp: int, n_pred: int, n_gold: int, zero: float | None) -> dict[str, Any]:
    return {
        "precision": tp / n_pred if n_pred else zero,
        "recall": tp / n_gold if n_gold else zero,
        "f1": 2 * tp / (n_pred + n_gold) if n_pred + n_gold else zero,
        "tp": tp,
        "n_pred": n_pred,
        "n_gold": n_gold,
    }
