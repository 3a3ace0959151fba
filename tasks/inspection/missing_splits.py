"""Divides data if splits are missing that training and benchmarks need."""

from itertools import groupby
from typing import NamedTuple

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig, SplitConfig
from nerbench.tasks.data.readers import Source, read_splits
from nerbench.tasks.data.splits import split_sizes
from nerbench.tasks.inspection.guess_dataset import DIVIDED

_FEW = 10
"""Minimum number of documents for a division by document; data with fewer documents is divided by sentence."""
_WITH_TEST = {split: amount for split, amount in DIVIDED.items() if split != "by"}
_WITHOUT_TEST = {"train": "90%", "validation": "10%"}


class HeldOut(NamedTuple):
    """A data set with its division, and a sentence about the decision."""

    dataset: DatasetConfig
    assumptions: tuple[str, ...]


def hold_out(dataset: DatasetConfig) -> HeldOut:
    """Divide the only source, or else a train split if there is no validation split; otherwise do nothing.

    The division is by document if there are enough documents.

    Raises CorpusError if the data set cannot be read.
    """
    sources = read_splits(dataset)
    divided = "all" if "all" in sources else "train"
    is_decided = dataset.split is not None and dataset.split != SplitConfig.model_validate(DIVIDED)
    if is_decided or divided not in sources or "validation" in sources:
        return HeldOut(dataset, ())
    amounts = _WITHOUT_TEST if "test" in sources else _WITH_TEST
    n_documents, n_sentences = _sizes(sources[divided])
    by = "document" if n_documents >= _FEW else "sentence"
    split = SplitConfig.model_validate({**amounts, "by": by})
    try:
        split_sizes(split, n_documents if by == "document" else n_sentences)
    except ValueError as error:
        if divided == "all":
            raise CorpusError(sources[divided].name, f"cannot be divided: {error}", "name it test=FILE") from error
        return HeldOut(dataset, (f"nothing is set aside for validation: {error}",))
    few = f" (it has {n_documents} documents)" if 0 < n_documents < _FEW else ""
    made = f"{sources[divided].name} is divided by {by}{few}: {', '.join(f'{k} {v}' for k, v in amounts.items())}"
    answer = " ".join(f"{'dev' if k == 'validation' else k}=FILE" for k in amounts if k != divided)
    made += f"; to use other data, give {answer}"
    return HeldOut(dataset.model_copy(update={"split": split}), (made,))


def _sizes(source: Source) -> tuple[int, int]:
    """The numbers of documents (0 if they are unknown) and of sentences."""
    n_documents, n_sentences, is_known = 0, 0, False
    for document, sentences in groupby(source.sentences, key=lambda sentence: sentence.document):
        n_documents += 1
        n_sentences += sum(1 for _ in sentences)
        is_known |= document is not None
    return (n_documents if is_known else 0), n_sentences
