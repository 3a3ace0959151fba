"""Takes a random share of the training split, as the key `train_share` and a learning curve declare it."""

from dataclasses import replace
from itertools import compress

import numpy as np

from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.splits import unit_order


def take_share(corpus: Corpus, share: float, seed: int) -> Corpus:
    """A share of the documents of a corpus, or of its sentences if it has no documents; at least one.

    The seed chooses them. A larger share contains the smaller ones of the same seed.
    """
    if share == 1:
        return corpus
    units = np.arange(len(corpus.words)) if corpus.documents is None else np.asarray(corpus.documents)
    order = unit_order(int(units[-1]) + 1, seed)
    kept = np.isin(units, order[: max(1, round(share * len(order)))])
    words, tags = (Column.of([*compress(lists, kept)]) for lists in (corpus.words, corpus.tags))
    documents = None if corpus.documents is None else np.unique(units[kept], return_inverse=True)[1].tolist()
    return replace(corpus, words=words, tags=tags, documents=documents)
