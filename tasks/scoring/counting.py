"""From stored predictions to counts against one annotation, and from counts to numbers; nothing here infers."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from artifacts.digests import canonical_json, sha256_hex
from artifacts.errors import CorruptArtifactError
from artifacts.filesystem import Root
from tasks.config import BenchmarkConfig, Section
from tasks.corpora.corpus import Corpus
from tasks.corpora.labels import entity_types
from tasks.corpora.matching import match_labels
from tasks.corpora.refs import CorpusRef, open_corpus
from tasks.inference.evaluation import EvaluationRecord
from tasks.inference.predictions import digest_of
from tasks.scoring.counts import Counts, concatenate, count_all, counts_from_table, counts_to_table, pair_corpus
from tasks.scoring.metrics import OVERALL, Row, score

SCORING_VERSION = "1"
"""Raise it whenever the counts of the same predictions change."""


class CountedPredictions(Section):
    """Predictions counted against one annotation: what the scoring of single labels starts from."""

    corpus: CorpusRef
    counts: str
    """Path of the counts below the results."""
    sha256: str
    """Digest of that file."""
    labels: tuple[str, ...]
    """What is scored: `overall` and entity types."""
    predictions_digest: str
    """Of the predicted tags as the corpus names them."""


class NamedPredictions(NamedTuple):
    """Predictions with the corpus's names for the model's tags."""

    table: pa.Table
    """document, sentence, word, pred (as the model names it), score."""
    tags: pa.ChunkedArray
    """One a word, as the corpus names it, in IOB2; a dictionary of strings."""
    digest: str


def name_predictions(
    results: str, model: str, record: EvaluationRecord, ref: CorpusRef, benchmark: BenchmarkConfig
) -> NamedPredictions:
    """Read stored predictions of a model and name their tags as the corpus does.

    Raises:
        CorruptArtifactError: the stored file is not the one that was written.
        LabelError: the model's labels and the corpus's do not fit together.
    """
    reading = match_labels(model, record.labels, ref.types, benchmark)
    table = _read(results, record.path, record.sha256)
    corpus = open_corpus(ref)
    parts = _per_part(table["pred"].unify_dictionaries(), corpus)
    tags = pa.chunked_array([reading.read(labels.combine_chunks(), part.sentence_starts) for part, labels in parts])
    return NamedPredictions(table, tags, digest_of(corpus, tags))


def count_predictions(
    results: str, model: str, record: EvaluationRecord, ref: CorpusRef, benchmark: BenchmarkConfig
) -> CountedPredictions:
    """Count stored predictions against one annotation and keep the counts, documents × labels, below the results.

    Raises like `name_predictions`.
    """
    named = name_predictions(results, model, record, ref, benchmark)
    corpus = open_corpus(ref)
    sink = pa.BufferOutputStream()
    pq.write_table(counts_to_table(_count(corpus, named.tags, ref)), sink, compression="zstd", write_page_checksum=True)
    data = sink.getvalue().to_pybytes()
    identity = {"predictions": named.digest, "gold": ref.gold_sha256, "types": ref.types, "version": SCORING_VERSION}
    path = f".cache/counts/{sha256_hex(canonical_json(identity))}.parquet"
    Root.open(results).replace(path, data)
    predicted = entity_types(named.tags.unique().to_pylist())
    kinds = benchmark.labels if benchmark.labels != "all" else sorted({*corpus.types, *predicted})
    return CountedPredictions(
        corpus=ref, counts=path, sha256=sha256_hex(data), labels=(OVERALL, *kinds), predictions_digest=named.digest
    )


def _count(corpus: Corpus, tags: pa.ChunkedArray, ref: CorpusRef) -> list[Counts]:
    """Part by part: pairing takes many times the memory of the tags."""
    counts, shares_unit, last = [], [], None
    for part, predicted in _per_part(tags, corpus):
        counts.append(count_all(pair_corpus(part, predicted, types=ref.types)))
        shares_unit.append(part.documents is not None and part.documents[0] == last)
        last = part.documents and part.documents[-1]
    return concatenate(counts, shares_unit)


def _per_part(column: pa.ChunkedArray, corpus: Corpus) -> Iterator[tuple[Corpus, pa.ChunkedArray]]:
    """The parts of a corpus, each with the elements of its words."""
    done = 0
    for part in corpus.parts():
        yield part, column.slice(done, part.n_words)
        done += part.n_words


def score_counts(results: str, counted: CountedPredictions, label: str) -> list[Row]:
    """Every metric of one label, or of `overall`, at every level and mode."""
    return score(_counts(results, counted.counts, counted.sha256), label)


@lru_cache(maxsize=16)
def _counts(results: str, path: str, sha256: str) -> list[Counts]:
    return counts_from_table(_read(results, path, sha256))


def _read(results: str, path: str, sha256: str) -> pa.Table:
    data = Root.open(results).read(path)
    if sha256_hex(data) != sha256:
        raise CorruptArtifactError(f"{path} below {results} is not what was written there; run again")
    return pq.read_table(pa.BufferReader(data))
