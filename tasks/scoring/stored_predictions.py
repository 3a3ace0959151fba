"""Stored predictions: a reference to them, the checked and streamed `predictions` file, and counts from it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nerbench.artifacts.errors import CorruptArtifactError, InputError, NerbenchError
from nerbench.artifacts.manifest import ArtifactKey, Kind
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.parquet_bounds import batches, bounded, corrupt_if_unreadable, plain_column
from nerbench.artifacts.tables.tables import find_table_file, table_key
from nerbench.artifacts.tables.upgrading import earlier_columns, upgraded
from nerbench.tasks.config import Config, Section
from nerbench.tasks.data.tag_schemes import entity_types, tag_vocabulary
from nerbench.tasks.inference.prediction_files import PredictionsDigest
from nerbench.tasks.scoring.counts import Counts, count, count_both_ways, without_tokens
from nerbench.tasks.scoring.entities import encode
from nerbench.tasks.scoring.slices import Slices, slices_for
from nerbench.tasks.scoring.tagged_words import TaggedWords, known_scores
from nerbench.tasks.scoring.training_mentions import Mentions, Unavailable, find_training
from nerbench.tasks.statistics.resampling import Units


class Predicted(Section):
    """The identity of predictions: model, words and gold; and their file in the table `predictions`."""

    artifact_id: str
    model_sha256: str
    model: str
    """The name of the model in the run."""
    dataset: str
    split: str
    gold: str
    """The annotation: the data set's name, or one of `golds`."""
    words_sha256: str
    gold_sha256: str
    predictions_digest: str
    dtype: str
    kind: Kind | None = None
    """The artifact that made them; None in rows of early versions."""
    label_map: str | None = None
    """Types of the model that were renamed, as canonical JSON; None if there are none."""
    n_unmapped: int | None = None
    """Types of the corpus that the model does not know by name."""
    pinned: bool | None = None
    """False if a tagger's manifest does not identify its predictions, as for an endpoint; None for all others."""
    n_unparsed: int | None = None
    """Answers of a language model that could not be parsed, which count as no entities; None if there are none."""
    n_unaligned: int | None = None
    """Entities of an annotation with other words that the data set does not have; None for the same words."""
    n_left_out: int | None = None
    """Words of the data set that such an annotation does not have."""
    backend: str | None = None
    """What computed them; None for early rows, taggers and imported predictions."""
    perturbation: str | None = None
    """The perturbation of the words; None for the clean split."""
    uri: str
    """Location of the file."""

    @property
    def identity(self) -> dict[str, str]:
        """The columns that identify these predictions in every table."""
        return self.model_dump(exclude={"uri", "model_sha256", "perturbation", *READ_AS})


READ_AS = ("kind", "label_map", "n_unmapped", "pinned", "n_unparsed", "n_unaligned", "n_left_out", "backend")
"""Fields that describe how the predictions were made and read. They do not identify predictions."""


def predictions_key(row: Mapping[str, Any]) -> str:
    """The name of files about these predictions: equal for the same model, words, gold and predicted tags."""
    return table_key(*(row[name] for name in ("artifact_id", "words_sha256", "gold_sha256", "predictions_digest")))


def metrics_key(run_id: str, artifact_id: str, dataset: str, *annotation: str) -> str:
    """The name of the file with the scores of a model on a data set in a run, or against one annotation."""
    return table_key(run_id, "metrics", artifact_id, dataset, *annotation)


def metrics_keys(run_id: str, artifact_id: str, dataset: str, gold: str) -> set[str]:
    """The names of the files that may have the scores against one annotation, which has its own file if the first
    attempt of the run lacked it."""
    named = (run_id, artifact_id, dataset)
    return {metrics_key(*named), metrics_key(*named, dataset, gold)}


def stored(results: str, row: Mapping[str, Any]) -> Predicted:
    """The predictions behind a row of `metrics`. Raises InputError if their file is gone."""
    uri = find_table_file(results, "predictions", predictions_key(row))
    if uri is None:
        problem = f"the predictions of {row['model']} on {row['dataset']} ({row['gold']}) are gone"
        raise InputError(f"results {results}", problem, f"run `nerbench benchmark {row['model']}` again")
    return Predicted.model_validate({name: row.get(name) for name in Predicted.model_fields} | {"uri": uri})


Numbers = npt.NDArray[np.int32]
PART = 1 << 16
"""Approximate number of words per part; parts are whole sentences. Row groups that nerbench writes have two parts."""
_POSITIONS = ("document", "sentence", "word")
_TAGS = ("gold_tag", "pred_tag")


class PredictionsIdentity(NamedTuple):
    """The columns that are equal in all rows of a file of the table `predictions`."""

    model: str
    artifact_id: str
    dataset: str
    gold: str
    split: str
    words_sha256: str
    gold_sha256: str
    predictions_digest: str
    dtype: str


_NEEDED = (*PredictionsIdentity._fields, *_POSITIONS, *_TAGS)
_READ = {*_NEEDED, "text", "score"}


@dataclass(frozen=True, kw_only=True)
class PredictionsFile:
    """A file of the table `predictions` whose rows are complete and in order."""

    uri: str
    identity: PredictionsIdentity
    types: tuple[str, ...]
    """The entity types of its gold and predicted tags, sorted."""
    units: Units
    n_words: int
    _source: "_Source"

    def parts(self, *, text: bool = True, score: bool = True) -> Iterator[TaggedWords]:
        """The words, part by part, with text and scores if they are wanted and were kept.

        Raises CorruptArtifactError if the file cannot be read.
        """
        wanted = [*_POSITIONS, *_TAGS, *(name for name, is_wanted in (("text", text), ("score", score)) if is_wanted)]
        with self._source.opened() as file:
            present = [name for name in wanted if name in file.schema_arrow.names]
            for rows in _whole_sentences(batches(file, PART, present)):
                yield self._part(rows)

    def _part(self, rows: pa.Table) -> TaggedWords:
        document, sentence = (rows[name].to_numpy() for name in ("document", "sentence"))
        has_text = "text" in rows.column_names and rows["text"].null_count == 0
        return TaggedWords(
            types=self.types,
            units=self.units,
            gold=encode(rows["gold_tag"], self.types),
            predicted=encode(rows["pred_tag"], self.types),
            sentence=sentence.astype(np.int64),
            document=document.astype(np.int64) if self.units.kind == "document" else None,
            first_word=rows["word"][0].as_py(),
            text=plain_column(rows["text"]) if has_text else None,
            score=known_scores(rows["score"]) if "score" in rows.column_names else None,
        )


def read_predictions(results_url: str, uri_or_path: str) -> PredictionsFile:
    """Check a stored predictions file in one pass.

    A local file stays on disk; the bytes of a remote one are held in memory.

    Args:
        uri_or_path: The location from `nerbench.artifacts.tables.tables`, or a path below the results.

    Raises:
        CorruptArtifactError: The file is missing or damaged; rows are missing, out of order or do not match
            `predictions_digest`; or a tag is null or not IOB2.
    """
    root = open_root(results_url)
    path = uri_or_path.removeprefix(f"{root.url}/")
    uri = root.uri(path)
    try:
        held = root.read(path) if "://" in uri else None
        if held is None:
            root.size(path)  # raises if the file is missing
    except FileNotFoundError:
        raise CorruptArtifactError(f"{uri} is not there or is not a regular file") from None
    source = _Source(root, path, held)
    with source.opened() as file:
        return _surveyed(source, file)


def _surveyed(source: "_Source", file: pq.ParquetFile) -> PredictionsFile:
    if not file.metadata.num_rows:
        raise ValueError("it has no words")
    fields = PredictionsIdentity._fields
    columns = sorted(earlier_columns(source.path, {*fields}) & {*file.schema_arrow.names})
    first_row = upgraded(source.path, pa.Table.from_batches([next(file.iter_batches(1, columns=columns))]))
    (first,) = first_row.select(fields).to_pylist()
    identity, survey = PredictionsIdentity(**first), _Survey()
    for batch in batches(file, PART, [*_POSITIONS, *_TAGS]):
        survey.add(batch)
    units, types = survey.units(), survey.types()
    if survey.digest.hexdigest() != identity.predictions_digest:
        raise ValueError("its rows are not those of its predictions_digest")
    uri = source.root.uri(source.path)
    return PredictionsFile(uri=uri, identity=identity, types=types, units=units, n_words=survey.n_words, _source=source)


class _Survey:
    """Facts about all rows of a file, collected batch by batch."""

    def __init__(self) -> None:
        self.n_words = 0
        self.n_without_document = 0
        self.last_sentence = self.last_document = -1
        self.tags: set[str] = set()
        self.digest = PredictionsDigest()

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the next rows. Raises ValueError for rows that no complete file can have."""
        for name in ("sentence", "word", *_TAGS):
            if batch[name].null_count:
                raise ValueError(f"a {name} is null")
        document = batch["document"].fill_null(-1).to_numpy()
        sentence, word = (batch[name].to_numpy() for name in ("sentence", "word"))
        self._check_numbers(document, sentence, word)
        self.n_words += len(word)
        self.n_without_document += batch["document"].null_count
        self.last_document, self.last_sentence = int(document[-1]), int(sentence[-1])
        for name in _TAGS:
            self.tags |= _distinct(batch[name])
        names = np.array(batch["pred_tag"].dictionary.to_pylist(), object)
        self.digest.update(document, sentence, word, names[batch["pred_tag"].indices.to_numpy()].tolist())

    def _check_numbers(self, document: Numbers, sentence: Numbers, word: Numbers) -> None:
        begins_sentence = np.diff(sentence, prepend=self.last_sentence)
        begins_document = np.diff(document, prepend=self.last_document)
        if not np.array_equal(word, np.arange(self.n_words, self.n_words + len(word))):
            raise ValueError(f"word numbers are not consecutive from {self.n_words} on")
        if not np.isin(begins_sentence, (0, 1)).all() or (self.n_words == 0 and sentence[0] != 0):
            raise ValueError(f"sentence numbers are not consecutive after {self.last_sentence}")
        if not np.isin(begins_document, (0, 1)).all() or (begins_document > begins_sentence).any():
            raise ValueError(
                f"document numbers are not consecutive after {self.last_document}, or change within a sentence"
            )

    def units(self) -> Units:
        """The units of the corpus, after all rows were added. Raises ValueError if only some rows have a document."""
        if self.n_without_document not in (0, self.n_words):
            raise ValueError("only some words have a document")
        n_documents = None if self.n_without_document else self.last_document + 1
        return Units.of(n_sentences=self.last_sentence + 1, n_documents=n_documents)

    def types(self) -> tuple[str, ...]:
        """The entity types. Raises ValueError for a tag that is not IOB2."""
        types = tuple(entity_types(self.tags))
        if strange := sorted(self.tags - set(tag_vocabulary(types)) | ({"B-", "I-"} & self.tags)):
            raise ValueError(f"{strange[0]!r} is not an IOB2 tag")
        return types


def _distinct(column: pa.DictionaryArray) -> set[str]:
    """The texts that occur; a file's dictionary may have more."""
    used = np.flatnonzero(np.bincount(column.indices.to_numpy()))
    return set(column.dictionary.take(pa.array(used)).to_pylist())


def _whole_sentences(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows, cut at the ends of sentences."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        last = held[-1]["sentence"][-1].as_py() if held else -1
        n_continuing = int(np.searchsorted(batch["sentence"].to_numpy(), last, side="right"))
        if held and n_continuing < len(batch):
            yield pa.Table.from_batches([*held, batch.slice(0, n_continuing)])
            held = [batch.slice(n_continuing)]
        else:
            held.append(batch)
    yield pa.Table.from_batches(held)


class _Source(NamedTuple):
    """Where the bytes of a file are: on this disk or in memory."""

    root: Root
    path: str
    held: bytes | None

    @contextmanager
    def opened(self) -> Iterator[pq.ParquetFile]:
        """The open file. Raises CorruptArtifactError if its bytes or rows are invalid."""
        uri = self.root.uri(self.path)
        opened = self.root.opened(self.path) if self.held is None else nullcontext(BytesIO(self.held))
        try:
            with (
                opened as stream,
                corrupt_if_unreadable(uri),
                bounded(stream, earlier_columns(self.path, _READ)) as file,
            ):
                present = upgraded(self.path, file.schema_arrow.empty_table()).column_names
                if lacking := [name for name in _NEEDED if name not in present]:
                    raise ValueError(f"it has no column {lacking[0]}")
                yield file
        except FileNotFoundError as error:
            raise CorruptArtifactError(f"{uri} {error.strerror}") from error


def count_stored(predicted: Predicted, config: Config) -> tuple[list[Counts], Slices]:
    """The counts in the configured modes and in every available slice, and the slices.

    Raises CorruptArtifactError if the file is damaged, and InputError if a custom slice fails.
    """
    file, slices = _read(predicted, config)
    return _comparable(predicted, count(file.parts(), slices.ready, config.modes)), slices


def count_to_compare(predicted: Predicted, config: Config) -> list[Counts]:
    """The same counts by document and by sentence. Raises like `count_stored`."""
    file, slices = _read(predicted, config)
    return _comparable(predicted, count_both_ways(file.parts, slices.ready, config.modes))


def _comparable(predicted: Predicted, counts: list[Counts]) -> list[Counts]:
    return counts if predicted.n_unaligned is None else without_tokens(counts)


def _read(predicted: Predicted, config: Config) -> tuple[PredictionsFile, Slices]:
    file = read_predictions(config.results, predicted.uri)
    return file, slices_for(config.slices, parts=file.parts, training=_training(predicted, config))


def _training(predicted: Predicted, config: Config) -> Mentions | Unavailable:
    try:
        key = ArtifactKey(name=predicted.model, artifact_id=predicted.artifact_id)
        return find_training(Store(config.store).manifest(key).provenance.corpora, config.datasets)
    except NerbenchError as error:
        return Unavailable(f"its manifest cannot be read ({error})")
