"""The canary: checks that a cached model still predicts the cached tags.

A driver, a library behind torch or a processor can change results without changing the cache key. Whole blocks are
inferred again, because only these give the same bits. The blocks that are due depend on the logical date: each day
continues where the previous day ended, so that all blocks are checked within 1 / share days.
"""

import math
from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.parquet_bounds import corrupt_if_unreadable, read_table
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import OUTSIDE
from nerbench.tasks.inference.evaluation_cache import EvaluationPlan, EvaluationRecord
from nerbench.tasks.inference.prediction_files import first_word, sentences_of
from nerbench.tasks.inference.tagger_evaluation import started_tagger
from nerbench.tasks.inference.tagger_handles import tagger_handle
from nerbench.tasks.inference.tagger_process import RunningTagger


def due(day: date, blocks: int, share: float) -> list[int]:
    """The numbers of the blocks to check on a date: `share` of them, rounded up.

    Any ceil(1 / share) consecutive days cover all blocks.
    """
    at_once = math.ceil(share * blocks)
    return sorted((day.toordinal() * at_once + i) % blocks for i in range(at_once))


def check(artifact: ArtifactRef, corpus: Corpus, plan: EvaluationPlan, blocks: Sequence[int], results: str) -> int:
    """Infer some blocks of a cached evaluation again. Returns the number of sentences.

    Raises RunFailedError naming the first word whose tag differs.
    """
    from nerbench.tasks.inference.prediction import BLOCK, predict_block

    if plan.record is None:
        raise ValueError("only a cached evaluation has a canary")
    stored = _tags(plan.record, results)
    n_sentences = 0
    is_tagger, strategy = artifact.kind == "tagger", plan.settings.aggregation_strategy
    handle = None if is_tagger else tagger_handle(artifact, plan.settings, results=results)
    with handle or started_tagger(artifact, plan.tagger) as model:
        for block in blocks:
            start, sentences = block * BLOCK, list(sentences_of(corpus, range(block, block + 1)))
            if isinstance(model, RunningTagger):
                now = [tag for tagged in model.predict(sentences, start) for tag in tagged.tags]
            else:
                names = (*model.value.labels, OUTSIDE)  # index -1, a word without tokens
                labels = predict_block(model.value, sentences, aggregation_strategy=strategy).labels
                now = [names[label] for label in labels]
            first = first_word(corpus, block)
            _compare(first, stored[first : first + len(now)].to_pylist(), now)
            n_sentences += len(sentences)
    return n_sentences


def _tags(record: EvaluationRecord, results: str) -> pa.ChunkedArray:
    with open_root(results).opened(record.path) as stream, corrupt_if_unreadable(f"{record.path} below {results}"):
        return read_table(stream, ["pred"])["pred"]


def _compare(first: int, before: list[str], now: list[str]) -> None:
    changed = [i for i, (old, new) in enumerate(zip(before, now, strict=True)) if old != new]
    if changed:
        at = changed[0]
        raise RunFailedError(
            f"{len(changed)} of {len(now)} words inferred again have another tag than their cached predictions, "
            f"the first at word {first + at} ({before[at]} then, {now[at]} now); compare the environments in the runs "
            f"table, then run with --refresh"
        )
