"""From stored predictions to counts against one annotation, and from counts to scores, without inference."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nerbench.artifacts.digests import canonical_json, sha256_chunks, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.malloc import trim_malloc
from nerbench.artifacts.memoized_reads import take
from nerbench.artifacts.references import load_manifest
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.parquet_bounds import Stream, bounded, corrupt_if_unreadable, read_table
from nerbench.artifacts.unnamed_files import unnamed_file
from nerbench.tasks.config import BenchmarkConfig, Config, Section
from nerbench.tasks.data.alignment import Alignment
from nerbench.tasks.data.arrow_cache import CHUNK, table_from_batches
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.corpus_refs import CorpusRef, open_corpus
from nerbench.tasks.data.label_matching import match_labels
from nerbench.tasks.data.tag_schemes import TagReading, entity_types, tag_vocabulary
from nerbench.tasks.inference.evaluation_cache import Evaluated, EvaluationRecord
from nerbench.tasks.inference.prediction_files import SCHEMA, Positions, digest_of, positions
from nerbench.tasks.scoring.benchmark_functions import BenchmarkFunction, collect, collect_functions
from nerbench.tasks.scoring.counts import (
    COUNTS_SCHEMA,
    OVERALL,
    Counts,
    count,
    counts_from_table,
    counts_to_table,
    without_tokens,
)
from nerbench.tasks.scoring.entities import Codes, Flags, encode, extract
from nerbench.tasks.scoring.metrics import BUILTIN, HEADLINE, Metric, Row, select
from nerbench.tasks.scoring.score import ROW, score
from nerbench.tasks.scoring.score_intervals import JackknifeIntervals
from nerbench.tasks.scoring.slices import EVERYTHING, Slices, slices_for
from nerbench.tasks.scoring.tagged_words import TaggedWords, from_corpus
from nerbench.tasks.scoring.training_mentions import find_training


def project_predictions(
    table: pa.Table, reading: TagReading, types: tuple[str, ...], corpus: Corpus, alignment: Alignment
) -> tuple[pa.Table, pa.ChunkedArray]:
    """The predictions (document, sentence, word, score) and the tags, in IOB2, on the words of an aligned annotation.

    Args:
        table: sentence, pred and score of the words of the data set.
        corpus: The aligned annotation; `alignment` is its own.
    """
    starts = np.diff(table["sentence"].to_numpy(), prepend=-1) != 0
    labels = table["pred"].cast(pa.string()).dictionary_encode().unify_dictionaries().combine_chunks()
    codes = encode(reading.read(labels, starts), types)
    tags = project(codes, starts, alignment, corpus.sentence_starts)
    places = [np.concatenate(one) for one in zip(*positions(corpus, CHUNK), strict=True)]
    columns = dict(zip(Positions._fields, places, strict=True))
    document = pa.array(columns["document"], mask=columns["document"] < 0)
    source = pa.array(alignment.source, mask=alignment.source < 0)
    scores = table["score"].combine_chunks().take(source)
    found = pa.table(columns | {"document": document, "score": scores})
    return found, pa.chunked_array([pa.DictionaryArray.from_arrays(tags, tag_vocabulary(types))])


def project(codes: Codes, starts: Flags, alignment: Alignment, aligned_starts: Flags) -> Codes:
    """Predicted tags on aligned words.

    An entity keeps those of its words that the annotation has, even if its first word is left out. An invalid `I-` at
    its beginning stays one, unless a sentence was joined with the one before, or a word between was left out, so that
    it would continue an entity: then it is read as `B-`. Words of the annotation alone are `O`.

    Args:
        codes: (words of the data set,) from `encode`.
        starts: (words of the data set,) true at the first word of each sentence.
        aligned_starts: (aligned words,) likewise.
    """
    entities = extract(codes, starts, "conlleval")
    number = np.full(len(codes) + 1, -1, np.int64)  # the last one is that of no word
    number[:-1][entities.start] = 1
    number[:-1] = np.where(codes > 0, np.cumsum(number[:-1] > 0) - 1, -1)
    entity = number[alignment.source]
    before = np.concatenate([[-1], entity[:-1]])
    types = np.append(entities.type, -1)  # that of no entity
    continues = (types[entity] == types[before]) & ~aligned_starts
    is_begin = np.append(codes[entities.start] & 1, 0)[entity].astype(np.bool_)
    begins = (entity != before) & (is_begin | continues)
    return np.where(entity < 0, 0, 2 * types[entity] + np.where(begins, 1, 2)).astype(np.int32)


log = logging.getLogger(__name__)
_reading = Lock()
MAX_COUNTS = 1 << 20
"""Numbers in a row group of counts."""


class CountedPredictions(Section):
    """The counts of predictions against one annotation, from which single labels are scored."""

    corpus: CorpusRef
    counts: str
    """Path of the counts below the results."""
    sha256: str
    """Digest of the file."""
    labels: tuple[str, ...]
    """The labels to score: `overall` and entity types."""
    predictions_digest: str
    """Digest of the predicted tags in the corpus's names."""
    unavailable: dict[str, str]
    """Slices that cannot be counted, and why."""


class NamedPredictions(NamedTuple):
    """Predictions whose tags have the corpus's names."""

    evaluated: Evaluated
    table: pa.Table
    """At least document, sentence, word, score."""
    tags: pa.ChunkedArray
    """One tag per word, in the corpus's names, in IOB2; a dictionary of strings."""
    digest: str
    corpus: Corpus
    label_map: str | None
    """Types of the model that were renamed, as canonical JSON; None if there are none."""
    unmapped: tuple[str, ...]
    """Types of the corpus that the model does not know by name, sorted."""

    def parts(self) -> Iterator[TaggedWords]:
        """The words with both tags, from the start of the corpus."""
        return from_corpus(self.corpus, self.tags, types=self.evaluated.corpus.types, scores=self.table["score"])


def name_predictions(results: str, evaluated: Evaluated, benchmark: BenchmarkConfig) -> NamedPredictions:
    """Read stored predictions of a model and rename their tags to those of the corpus.

    Raises:
        CorruptArtifactError: The stored file is not the one that was written.
        LabelError: The labels of model and corpus do not match.
    """
    artifact, ref, record = evaluated
    reading = match_labels(artifact, record.labels, ref.types, benchmark)
    corpus = open_corpus(ref)
    with _stored(results, record) as stream, corrupt_if_unreadable(f"{record.path} below {results}"):
        if corpus.alignment:
            table, tags = project_predictions(read_table(stream), reading, ref.types, corpus, corpus.alignment)
        else:
            with bounded(stream) as file:
                table = table_from_batches(renamed_parts(file, reading, corpus), SCHEMA)
            tags = table["pred"]
    return NamedPredictions(
        evaluated=evaluated,
        table=table,
        tags=tags,
        digest=digest_of(corpus, tags),
        corpus=corpus,
        label_map=canonical_json(reading.label_map).decode() if reading.label_map else None,
        unmapped=tuple(sorted({*ref.types} - {*entity_types(reading.tags.values())})),
    )


@contextmanager
def _stored(results: str, record: EvaluationRecord) -> Iterator[Stream]:
    """The stored predictions, which are copied to this disk unless they are held in memory."""
    if (data := take(record.sha256)) is not None:
        yield BytesIO(data)
        return
    with unnamed_file() as copy:
        if sha256_chunks(_copied(open_root(results).chunks(record.path), copy)) != record.sha256:
            raise _altered(results, record.path)
        yield copy


def _copied(chunks: Iterable[bytes], target: Stream) -> Iterator[bytes]:
    for chunk in chunks:
        target.write(chunk)
        yield chunk


def renamed_parts(file: pq.ParquetFile, reading: TagReading, corpus: Corpus) -> Iterator[pa.RecordBatch]:
    """The stored predictions with the corpus's tags, in the parts of the corpus. Raises ValueError for other words."""
    if file.schema_arrow != SCHEMA:
        raise ValueError("it has other columns than predictions have")
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    if sum(sizes) != corpus.n_words:
        raise ValueError(f"it has {sum(sizes)} words instead of {corpus.n_words}")
    groups, held = iter(range(file.num_row_groups)), SCHEMA.empty_table()
    for part in corpus.parts():
        while len(held) < part.n_words:
            held = pa.concat_tables([held, file.read_row_group(next(groups))])
        rows, held = held.slice(0, part.n_words), held.slice(part.n_words)
        labels = rows["pred"].unify_dictionaries().combine_chunks()
        rows = rows.set_column(rows.column_names.index("pred"), "pred", reading.read(labels, part.sentence_starts))
        yield from rows.combine_chunks().to_batches()


def count_predictions(results: str, named: NamedPredictions, config: Config) -> CountedPredictions:
    """Count predictions against their annotation, slice by slice, and keep the counts below the results.

    Perturbed words are not sliced, because slices are about the words: `lower` leaves no entity in capitals.

    Raises InputError if a custom slice fails.
    """
    artifact, corpus, _ = named.evaluated
    if named.unmapped:
        missed = ", ".join(named.unmapped)
        text = "%s: has no label for %s of %s; these entities count as missed"
        log.warning(text, artifact.name, missed, corpus.gold_name)
    slices = Slices([], {})
    if not corpus.perturbation:
        training = find_training(load_manifest(artifact).provenance.corpora, config.datasets)
        slices = slices_for(config.slices, parts=named.parts, training=training)
    counts = count(named.parts(), slices.ready, config.modes)
    data = _written(without_tokens(counts) if named.corpus.alignment else counts)
    del counts
    trim_malloc()  # with many labels and slices, counting and writing leave more than the counts take
    sha256 = sha256_hex(data)
    path = f".cache/counts/{sha256}.parquet"
    open_root(results).replace(path, data)
    predicted = entity_types(named.tags.unique().to_pylist())
    wanted = config.benchmark.labels
    return CountedPredictions(
        corpus=corpus,
        counts=path,
        sha256=sha256,
        labels=(OVERALL, *(wanted if wanted != "all" else sorted({*named.corpus.types, *predicted}))),
        predictions_digest=named.digest,
        unavailable=slices.unavailable,
    )


def score_counts(results: str, counted: CountedPredictions, label: str, config: Config) -> list[Row]:
    """Rows of all metrics over counts for one label, or `overall`, in every slice, level and mode, with intervals.

    `overall` includes a row for each slice that cannot be counted, with the reason.
    """
    with _reading:  # labels are scored in parallel: the first one reads for all
        counts = _counts(results, counted.counts, counted.sha256)
    metrics = selected_metrics(config)
    rows = score(counts, label, metrics=metrics, intervals=JackknifeIntervals(config.benchmark.confidence))
    if label == OVERALL:
        rows += missing_slices(counted.unavailable, metrics)
        rows += missing_tokens(metrics) if counted.corpus.n_unaligned is not None else []
    return [row | {"n_repaired": counted.corpus.n_repaired} for row in rows]


def selected_metrics(config: Config) -> list[Metric]:
    """The built-in and custom metrics that have one of the wanted tags.

    Raises InputError for a file or a tag that cannot be used.
    """
    return [one for one in _selected(config) if isinstance(one, Metric)]


def selected_functions(config: Config) -> list[BenchmarkFunction]:
    """The custom benchmark functions that have one of the wanted tags. Raises like `selected_metrics`."""
    return [one for one in _selected(config) if isinstance(one, BenchmarkFunction)]


def _selected(config: Config) -> list[Metric | BenchmarkFunction]:
    every: list[Metric | BenchmarkFunction] = [*BUILTIN, *collect(config.metrics), *collect_functions(config.metrics)]
    return select(every, config.benchmark.tags, "tags")


def missing_slices(unavailable: Mapping[str, str], metrics: Iterable[Metric]) -> list[Row]:
    """A headline row for each slice that cannot be counted, with the reason; none if `metrics` lack F1."""
    if not any(one.name == HEADLINE["metric"] for one in metrics):
        return []
    return [
        ROW | HEADLINE | {"slice": name, "status": "unavailable", "reason": reason}
        for name, reason in unavailable.items()
    ]


def missing_tokens(metrics: Iterable[Metric]) -> list[Row]:
    """A row with the reason why an aligned annotation has no numbers of words; none if `metrics` lack accuracy."""
    number = {"level": "token", "mode": "tag", "slice": EVERYTHING, "label": OVERALL, "average": "micro"}
    reason = {"status": "unavailable", "reason": "the annotation has other words, so only entities are compared"}
    return [ROW | number | {"metric": one.name} | reason for one in metrics if one.name == "accuracy"]


def _written(counts: Iterable[Counts]) -> bytes:
    """The bytes of a Parquet file with row groups of about MAX_COUNTS numbers, so that few are decoded at a time."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, COUNTS_SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        group: list[Counts] = []
        for one in counts:
            if group and sum(other.values.size for other in [*group, one]) > MAX_COUNTS:
                writer.write_table(counts_to_table(group))
                group = []
            group.append(one)
        writer.write_table(counts_to_table(group))
    data: bytes = sink.getvalue().to_pybytes()
    return data


@lru_cache(maxsize=2)
def _counts(results: str, path: str, sha256: str) -> list[Counts]:
    data = _read(results, path, sha256)
    with corrupt_if_unreadable(f"{path} below {results}"):
        return _counted(data)


def _counted(data: bytes) -> list[Counts]:
    """The counts that `_written` was given."""
    with bounded(pa.BufferReader(data)) as file:
        counts = [one for n in range(file.num_row_groups) for one in counts_from_table(file.read_row_group(n))]
    trim_malloc()  # Arrow would keep more than the counts take
    return counts


def _read(results: str, path: str, sha256: str) -> bytes:
    data = open_root(results).read(path)
    if sha256_hex(data) != sha256:
        raise _altered(results, path)
    return data


def _altered(results: str, path: str) -> CorruptArtifactError:
    return CorruptArtifactError(f"{path} below {results} is not what was written there; run again")
