"""The vote of several models as an artifact of kind `predictions`, imported like predictions made elsewhere."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.artifacts.store import Store
from nerbench.tasks.comparison.agreement import Ratings, Shares, read_ratings
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.inference.import_predictions import Imported, import_predictions
from nerbench.tasks.scoring.stored_predictions import Predicted

LONGEST_NAME = 200
"""Characters of the name of the imported file, which names the models."""


def import_ensemble(predicted: Sequence[Predicted], name: str, corpus: Corpus, store: Store, results: str) -> Imported:
    """Publish the vote of stored predictions of a corpus; the manifest names the models as the imported file.

    Raises InputError if the predictions are of other words, and like `import_predictions`.
    """
    if predicted[0].words_sha256 != corpus.words_sha256:
        problem = f"was predicted on other words than those of {corpus.name}, {corpus.split}"
        raise InputError(f"model {predicted[0].model}", problem, "benchmark the models again")
    ratings = read_ratings(results, predicted)
    found = majority(ratings)
    about = {"model": name, "words_sha256": corpus.words_sha256, "predictions_digest": "vote", "gold": corpus.name}
    table = pa.table(
        {column: [value] * len(found.tags) for column, value in about.items()}
        | {"sentence": ratings.sentence.astype("int32"), "word": range(len(found.tags))}
        | {"pred_tag": found.tags, "score": found.scores.astype("float32")}
    )
    with scratch_folder() as scratch:
        models = ", ".join(one.model for one in predicted)
        file = scratch / f"vote of {models}"[:LONGEST_NAME]
        pq.write_table(table, file)
        return import_predictions(str(file), name, corpus, store, format="parquet")


class MajorityTags(NamedTuple):
    """The vote of several models."""

    tags: list[str]
    """(words,) IOB2."""
    scores: Shares
    """(words,) mean over the models of the probability of that tag, 0 for a model with another tag."""


def majority(ratings: Ratings) -> MajorityTags:
    """The entities, by words and type, that more than half of the models predict, decoded as in `strict`.

    Two of these entities never overlap, because at least one model predicts both.
    """
    found = [ratings.entities(codes) for codes in ratings.predicted]
    entities = np.concatenate([np.stack([one.start, one.end, one.type], 1) for one in found])
    distinct, votes = np.unique(entities, axis=0, return_counts=True)
    codes = np.zeros(len(ratings.gold), np.int32)
    for start, end, kind in distinct[2 * votes > len(found)].tolist():
        codes[start:end] = 2 * kind + 2
        codes[start] = 2 * kind + 1
    names = np.array(tag_vocabulary(ratings.types), object)
    scores = np.where(ratings.predicted == codes, ratings.scores, 0).mean(0)
    return MajorityTags(names[codes].tolist(), scores)
