"""The faults: each function plants one in a copy and returns the copy as a run would find it.

Files of a copy are hard links, so they are replaced, never written to.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.tasks.audit.copies import BASELINE, CANDIDATE, Copy, look_up
from nerbench.tasks.audit.gates import scored_before
from nerbench.tasks.data.corpus_refs import open_corpus
from nerbench.tasks.data.tag_schemes import OUTSIDE
from nerbench.tasks.inference.evaluation_cache import EvaluationRecord
from nerbench.tasks.inference.prediction_files import digest_of

Tags = list[str]
FEW_SENTENCES, FEW_DOCUMENTS = 40, 3
"""Limits for a corpus with too few documents to resample."""


def shuffle_labels(copy: Copy) -> Copy:
    """A new version of the model whose names for its outputs are rotated, except `O`."""
    copy.publish_named(rotated(copy.artifact(CANDIDATE).labels))
    return copy


def shrink_corpus(copy: Copy) -> Copy:
    """The same new version, on a corpus of FEW_SENTENCES sentences with entities, in FEW_DOCUMENTS documents."""
    lines = copy.corpus_file.read_text(encoding="utf-8").splitlines()
    annotated = [line for line in map(json.loads, lines) if set(line["ner_tags"]) != {OUTSIDE}][:FEW_SENTENCES]
    few = [line | {"document": at * FEW_DOCUMENTS // len(annotated)} for at, line in enumerate(annotated)]
    _write_corpus(copy, few)
    return shuffle_labels(copy)


def rotated(labels: Sequence[str]) -> Tags:
    """Another order of the labels, with `O` in its place if there are at least two others."""
    others = [label for label in labels if label != OUTSIDE]
    if len(others) < 2:
        return list(labels[::-1])
    names = iter([*others[1:], others[0]])
    return [label if label == OUTSIDE else next(names) for label in labels]


def truncate_sentences(copy: Copy) -> Copy:
    """A new version of the model whose stored evaluation has `O` for all words of a sentence after the k-th.

    k is half the median length of the sentences. Record and digests match, as if a program had cut its input.
    """
    honest = _cached(copy, BASELINE)
    corpus = open_corpus(copy.corpus())
    longest = max(1, int(np.median(corpus.lengths)) // 2)
    within = np.concatenate([np.arange(length) for length in corpus.lengths])

    def cut(tags: Tags) -> Tags:
        return [tag if position < longest else OUTSIDE for tag, position in zip(tags, within, strict=True)]

    copy.publish(audit="truncation")
    _keep(copy, honest.model_copy(update={"key": look_up(copy, CANDIDATE).key}), _with_tags(copy, honest.path, cut))
    return copy


def lose_rows(copy: Copy) -> Copy:
    """Stored predictions without the words after the middle of the longest sentence."""
    root, path = _stored(copy)
    table = pq.read_table(io.BytesIO(root.read(path)))
    lengths = np.bincount(table["sentence"].to_numpy())
    within = np.concatenate([np.arange(length) for length in lengths])
    root.replace(path, _bytes(table.filter(pa.array(within < lengths.max() / 2))))
    return copy


def drop_baseline(copy: Copy) -> Copy:
    """A store without the manifest of the baseline's alias."""
    _only(copy, f"{copy.artifact(BASELINE).artifact_id}.json").unlink()
    return copy


def drop_baseline_score(copy: Copy) -> Copy:
    """A run that scores only the candidate."""
    return replace(copy, scored=(CANDIDATE,))


def drop_score(copy: Copy) -> Copy:
    """A run that scores only the baseline."""
    return replace(copy, scored=(BASELINE,))


def flip_weight_byte(copy: Copy) -> Copy:
    """The stored weights with one inverted byte in the middle."""
    files = Store(copy.config.store).manifest(copy.artifact(BASELINE)).files
    blob = _only(copy, next(entry.sha256 for entry in files if entry.path.endswith(".safetensors")))
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 0xFF
    open_root(str(blob.parent)).replace(blob.name, bytes(data))
    return copy


def change_gold(copy: Copy) -> Copy:
    """The corpus with its first `O` annotated as an entity."""
    lines = [json.loads(line) for line in copy.corpus_file.read_text(encoding="utf-8").splitlines()]
    tags = next(line["ner_tags"] for line in lines if OUTSIDE in line["ner_tags"])
    tags[tags.index(OUTSIDE)] = f"B-{copy.types[0]}"
    _write_corpus(copy, lines)
    return copy


def swap_cached_tag(copy: Copy) -> Copy:
    """Two tags of the cached evaluation, swapped in its file."""
    record = _cached(copy, CANDIDATE)
    open_root(copy.config.results).replace(record.path, _with_tags(copy, record.path, swapped))
    return copy


def swap_stored_tag(copy: Copy) -> Copy:
    """Two tags of the `predictions` table, swapped in their file."""
    root, path = _stored(copy)
    root.replace(path, _with_tags(copy, path, swapped, "pred_tag"))
    return copy


def predict_otherwise(copy: Copy) -> Copy:
    """Two tags of the cached evaluation, swapped, with matching digests: predictions from another machine."""
    record = _cached(copy, CANDIDATE)
    _keep(copy, record, _with_tags(copy, record.path, swapped))
    return copy


def swapped(tags: Tags) -> Tags:
    """The first tag and the first different one, swapped."""
    other = next(at for at, tag in enumerate(tags) if tag != tags[0])
    return [tags[other], *tags[1:other], tags[0], *tags[other + 1 :]]


def _write_corpus(copy: Copy, lines: Sequence[dict[str, Any]]) -> None:
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    open_root(str(copy.folder)).replace(copy.corpus_file.name, data)


def _cached(copy: Copy, alias: str) -> EvaluationRecord:
    record = look_up(copy, alias).record
    assert record
    return record


def _keep(copy: Copy, record: EvaluationRecord, data: bytes) -> None:
    """Put predictions and a matching record where an evaluation would."""
    tags = pq.read_table(io.BytesIO(data))["pred"].combine_chunks()
    digests = {"sha256": sha256_hex(data), "predictions_digest": digest_of(open_corpus(copy.corpus()), tags)}
    kept = record.model_copy(update=digests)
    root = open_root(copy.config.results)
    root.replace(kept.path, data)
    root.replace(f"{Path(kept.path).parent}/record.json", canonical_json(kept.model_dump(mode="json")))


def _with_tags(copy: Copy, path: str, change: Callable[[Tags], Tags], column: str = "pred") -> bytes:
    """A file of predictions with other tags and nothing else changed."""
    table = pq.read_table(io.BytesIO(open_root(copy.config.results).read(path)))
    tags = pa.array(change(table[column].to_pylist()), pa.string()).dictionary_encode()
    return _bytes(table.set_column(table.column_names.index(column), column, tags))


def _bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def _stored(copy: Copy) -> tuple[Root, str]:
    """The `predictions` file of the previous run."""
    root = open_root(copy.config.results)
    return root, scored_before(copy).uri.removeprefix(f"{root.url}/")


def _only(copy: Copy, name: str) -> Path:
    """The file of that name in the store."""
    (found,) = Path(copy.config.store).rglob(name)
    return found
