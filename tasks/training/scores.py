"""Validation scores that select the best epoch, and the Trainer's `compute_metrics` that returns them."""

from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory

from transformers import EvalPrediction

from nerbench.tasks.corpora.labels import entity_types
from nerbench.tasks.scoring.counts import OVERALL, count
from nerbench.tasks.scoring.score import score
from nerbench.tasks.scoring.tagged import from_tags
from nerbench.tasks.training.examples import Examples

Sentences = Sequence[Sequence[str]]
"""Tags, sentence by sentence."""


def entity_scores(predictions: Sentences, references: Sentences) -> dict[str, float]:
    """Micro-averaged entity scores of IOB2 tags and token accuracy; what is undefined is 0, as in seqeval."""
    predicted, gold = ([tag for sentence in tags for tag in sentence] for tags in (predictions, references))
    words = from_tags(
        gold,
        predicted,
        types=entity_types([*gold, *predicted]),
        sentences=[number for number, sentence in enumerate(references) for _ in sentence],
    )
    rows = [row for row in score(count([words]), OVERALL) if row["label"] == OVERALL]
    micro = {(row["mode"], row["metric"]): row["value"] or 0.0 for row in rows if row["average"] == "micro"}
    return {
        "precision": micro["strict", "precision"],
        "recall": micro["strict", "recall"],
        "f1": micro["strict", "f1"],
        "conlleval_f1": micro["conlleval", "f1"],
        "accuracy": micro["tag", "accuracy"],
    }


def evaluate_scores(predictions: Sentences, references: Sentences) -> dict[str, float]:
    """Like `entity_scores`, but computed by the `evaluate` metric `nerbench_entities`.

    Not the default: `import evaluate` takes 6 to 9 s and 500 MB.
    """
    from nerbench.tasks.metrics.nerbench_entities.nerbench_entities import NerbenchEntities

    with TemporaryDirectory(prefix="nerbench-") as cache:
        metric = NerbenchEntities(cache_dir=cache)
        tags = {"predictions": predictions, "references": references}
        strict, conlleval = (metric.compute(**tags, mode=mode, zero=0.0) for mode in ("strict", "conlleval"))
    pairs = [pair for each in zip(predictions, references, strict=True) for pair in zip(*each, strict=True)]
    return {
        **{name: strict[name] for name in ("precision", "recall", "f1")},
        "conlleval_f1": conlleval["f1"],
        "accuracy": sum(predicted == gold for predicted, gold in pairs) / len(pairs) if pairs else 0.0,
    }


SCORERS: dict[str, Callable[[Sentences, Sentences], dict[str, float]]] = {
    "scorer": entity_scores,
    "evaluate": evaluate_scores,
}
"""Scorers by the value of the key `compute_metrics`."""


def metrics_of(scorer: str, examples: Examples) -> Callable[[EvalPrediction], dict[str, float]]:
    """The `compute_metrics` of a Trainer that validates on these examples; it takes (words,) label indexes."""
    return lambda predicted: SCORERS[scorer](examples.tagged(predicted.predictions), examples.corpus.tags)
