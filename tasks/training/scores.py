"""The scores by which the best epoch is chosen."""

from collections.abc import Sequence

from nerbench.tasks.corpora.labels import entity_types
from nerbench.tasks.scoring.counts import OVERALL, count
from nerbench.tasks.scoring.score import score
from nerbench.tasks.scoring.tagged import from_tags

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
