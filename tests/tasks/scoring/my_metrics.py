"""Custom metrics, as in `docs/explanation/scores.md`."""

from nerbench import metric
from nerbench.tasks.scoring.metrics import Sums, ratio


@metric("long_recall", tags=["shape"], labels="all", parameters={"words": [2, 3]}, undefined="none so long in the gold")
def long_recall(predictions, *, label, words):
    """The share of the gold's long entities of a type that were found."""
    gold = [one for one in predictions.gold if one.type == label and one.end - one.start >= words]
    found = {(one.start, one.end, one.type) for one in predictions.predicted}
    return sum((one.start, one.end, one.type) in found for one in gold) / len(gold) if gold else None


@metric("sure", tags=["confidence"])
def sure(predictions):
    """How sure the model is of its words: two numbers, `sure.mean` and `sure.least`."""
    scores = predictions.to_pandas()["score"]
    return {"mean": scores.mean(), "least": scores.min()}


@metric(
    "fbeta",
    needs="counts",
    tags=["shape"],
    parameters={"beta": [0.5, 2]},
    share=True,  # between 0 and 1, and so is its interval
    undefined="neither predicted nor in gold",
)
def fbeta(sums: Sums, *, beta):
    """In every mode, label, slice and average, with an interval."""
    return ratio((1 + beta**2) * sums.credit, beta**2 * sums.n_gold + sums.n_pred)


@metric("parameters", needs="model", tags=["size"])
def parameters(predictions, tagger):
    """Called with the loaded model too."""
    return sum(one.numel() for one in tagger.model.parameters())
