"""The canary: does a cached model still say today what it said when its predictions were stored?

A driver, a library behind torch or a processor can change results without changing the key. Whole blocks are inferred
again, as only these give the same bits.
"""

import math
import random

import pyarrow.parquet as pq
from pyarrow import BufferReader

from artifacts.errors import RunFailedError
from artifacts.manifest import ArtifactRef
from artifacts.storage.filesystem import Root
from tasks.corpora.corpus import Corpus
from tasks.corpora.labels import OUTSIDE
from tasks.inference.evaluation import EvaluationPlan, EvaluationRecord, tagger_handle


def check(artifact: ArtifactRef, corpus: Corpus, plan: EvaluationPlan, share: float, results: str) -> int:
    """Infer a seeded share of a cached evaluation's blocks again; returns the number of sentences.

    Raises RunFailedError naming the first word whose tag is another one now.
    """
    from tasks.inference.prediction import BLOCK, predict_block

    if plan.record is None:
        raise ValueError("only a cached evaluation has a canary")
    stored = _tags(plan.record, results)
    blocks = math.ceil(len(corpus.words) / BLOCK)
    chosen = sorted(random.Random(plan.key).sample(range(blocks), math.ceil(share * blocks)))
    sentences = 0
    with tagger_handle(artifact, plan.settings) as handle:
        names = (*handle.value.labels, OUTSIDE)  # index -1, a word without pieces
        for block in chosen:
            start, stop = block * BLOCK, min((block + 1) * BLOCK, len(corpus.words))
            now = predict_block(handle.value, corpus.words[start:stop], vote=plan.settings.vote)
            first = int(sum(corpus.lengths[:start]))
            before = stored[first : first + len(now.labels)]
            _compare(first, before, [names[label] for label in now.labels])
            sentences += stop - start
    return sentences


def _tags(record: EvaluationRecord, results: str) -> list[str]:
    table = pq.read_table(BufferReader(Root.open(results).read(record.path)), columns=["pred"])
    tags: list[str] = table["pred"].to_pylist()
    return tags


def _compare(first: int, before: list[str], now: list[str]) -> None:
    changed = [i for i, (old, new) in enumerate(zip(before, now, strict=True)) if old != new]
    if changed:
        at = changed[0]
        raise RunFailedError(
            f"{len(changed)} of {len(now)} words inferred again have another tag than their cached predictions, "
            f"the first at word {first + at} ({before[at]} then, {now[at]} now); compare the environments in the runs "
            f"table, then run with --refresh"
        )
