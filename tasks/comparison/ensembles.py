"""The vote of several models as an artifact of kind `predictions`, imported like predictions made elsewhere."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.store import Store
from nerbench.tasks.comparison.agreement import Ratings, Shares, read_ratings
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.inference.import_predictions import Imported, import_predictions
from nerbench.tasks.scoring.entities import extract
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
    with tempfile.TemporaryDirectory(prefix="nerbench-") as scratch:
        models = ", ".join(one.model for one in predicted)
        file = Path(scratch) / f"vote of {models}"[:LONGEST_NAME]
        pq.write_table(table, file)
        return import_predictions(str(file), name, corpus, store, format="parquet")


class MajorityTags(NamedTuple):
    """The vote of several models."""

    tags: list[str]
    """(words,) IOB2."""
    scores: Shares
    """(words,) mean over the models of the probability of that tag, 0 for a model with another tag."""


def majority(ratings: Ratings) -> MajorityTags:
    """The entities, by words and type, that at least half of the models predict; invalid tags are read as `conlleval`
    does.

    A threshold at half of the best F1 maximises expected F1 (Lipton et al. 2014), which is just below a half here. Two
    of these entities can only overlap if each has exactly half of the votes; then that of the earlier model is kept.
    """
    voters: dict[tuple[int, int, int], list[int]] = {}
    for model, codes in enumerate(ratings.predicted):
        found = extract(codes, ratings.starts, "conlleval")
        for entity in zip(found.start.tolist(), found.end.tolist(), found.type.tolist(), strict=True):
            voters.setdefault(entity, []).append(model)
    n_models = len(ratings.predicted)
    kept = [(-len(models), models[0], *entity) for entity, models in voters.items() if 2 * len(models) >= n_models]
    codes = np.zeros(len(ratings.gold), np.int32)
    for _, _, start, end, kind in sorted(kept):
        if not codes[start:end].any():
            codes[start:end] = 2 * kind + 2
            codes[start] = 2 * kind + 1
    names = np.array(tag_vocabulary(ratings.types), object)
    scores = np.where(ratings.predicted == codes, ratings.scores, 0).mean(0)
    return MajorityTags(names[codes].tolist(), scores)
