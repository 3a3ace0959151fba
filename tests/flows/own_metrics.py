"""Custom metrics and slices, which the flow tests configure; `calls.txt` in the same folder counts calls."""

from pathlib import Path

from nerbench.tasks.scoring.metrics import metric


@metric("words", tags=["mine"])
def words(predictions):
    return predictions.table.num_rows


@metric("found", labels=["LOC", "PER"], tags=["mine"])
def found(predictions, *, label):
    """The number of predicted entities of a type."""
    return sum(one.type == label for one in predictions.predicted)


@metric("halved", needs="counts", tags=["mine"])
def halved(sums):
    return sums.tp / sums.n_gold / 2


@metric("broken", tags=["bad"])
def broken(predictions):
    return 1 / 0


@metric("parameters", needs="model", tags=["size"])
def parameters(predictions, tagger):
    with Path(__file__).with_name("calls.txt").open("a") as file:
        file.write("x")
    return sum(one.numel() for one in tagger.model.parameters())


def is_paris(words):
    return [text == "Paris" for text in words["text"].to_pylist()]
