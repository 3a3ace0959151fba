"""Shards of a large corpus: runs of whole blocks that are inferred and kept separately, and then joined.

Whole blocks give the same bits wherever they are inferred, so the joined predictions are identical to the byte to those
of an undivided evaluation. `<results>/.cache/evaluations/<key>/shards/<first>-<stop>/` holds a shard in the same form
as an evaluation.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pyarrow as pa

from nerbench.artifacts.digests import sha256_file, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.parquet_bounds import bounded, corrupt_if_unreadable
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.evaluation_cache import (
    EvaluationPlan,
    EvaluationRecord,
    Shard,
    keep,
    look_up,
    report_lost_predictions,
    shard_folder,
)
from nerbench.tasks.inference.prediction_files import join, n_blocks

log = logging.getLogger(__name__)


def split_corpus(corpus: Corpus, shards: int) -> list[range]:
    """The blocks of a corpus in so many consecutive runs of nearly equal length; at most one run per block."""
    blocks = n_blocks(corpus)
    if shards > blocks:
        log.warning("%s: %d shards are more than its blocks of sentences; it has %d", corpus.name, shards, blocks)
    n = min(shards, blocks)
    ends = [blocks * number // n for number in range(n + 1)]
    return [range(start, stop) for start, stop in pairwise(ends)]


def find_shards(plan: EvaluationPlan, runs: Sequence[range], results: str) -> list[Shard]:
    """The shards of an evaluation. Cached ones are checked, and altered ones reported."""
    root = open_root(results)
    shards = []
    for number, blocks in enumerate(runs, start=1):
        shard = Shard(number=number, of=len(runs), first=blocks.start, stop=blocks.stop, record=None)
        if plan.state != "refresh":
            folder = shard_folder(plan.key, blocks.start, blocks.stop)
            _, record = look_up(root, folder, f"{plan.model}{shard.place}")
            shard = shard.model_copy(update={"record": record})
        shards.append(shard)
    return shards


def join_shards(plan: EvaluationPlan, shards: Sequence[EvaluationRecord], results: str) -> EvaluationRecord:
    """Join all shards of an evaluation in order, and keep the result; holds one block of predictions in memory.

    Raises CorruptArtifactError if a shard differs from the stored one, and FileNotFoundError if it is missing.
    """
    root = open_root(results)
    with scratch_folder() as scratch:
        path = scratch / "predictions.parquet"
        digest = join(path, (block for shard in shards for block in _blocks(root, shard)))
        record = EvaluationRecord(
            key=plan.key,
            predictions_digest=digest,
            sha256=sha256_file(path),
            labels=shards[0].labels,
            words=sum(shard.words for shard in shards),
            truncated=sum(shard.truncated for shard in shards),
            vanished=sum(shard.vanished for shard in shards),
            ignored_keys=shards[0].ignored_keys,
            evaluate_s=sum(shard.evaluate_s for shard in shards),
            counts=_total(shards),
            run_id=plan.run_id,
        )
        keep(root, record, path)
    report_lost_predictions(record, plan.model)
    return record


def _total(shards: Sequence[EvaluationRecord]) -> dict[str, float] | None:
    """The counts of a tagger over all shards."""
    names = {name for shard in shards for name in shard.counts or ()}
    return {name: sum((shard.counts or {}).get(name, 0) for shard in shards) for name in sorted(names)} or None


def _blocks(root: Root, shard: EvaluationRecord) -> Iterator[pa.Table]:
    data = root.read(shard.path)
    if sha256_hex(data) != shard.sha256:
        raise CorruptArtifactError(f"{shard.path} is not what was written there; run again")
    with corrupt_if_unreadable(shard.path), bounded(pa.BufferReader(data)) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)
