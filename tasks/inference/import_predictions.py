"""Predictions that were made elsewhere as an artifact of the store, which is benchmarked like a model.

The artifact's only file has the columns of a finished evaluation, in the blocks that inference would have made. Tags
are kept as they were written, in IOB2: an `I-` that continues nothing stays one, and types keep their names.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.digests import sha256_chunks, sha256_file
from nerbench.artifacts.errors import CorpusError, CorruptArtifactError, InputError
from nerbench.artifacts.manifest import (
    PREDICTIONS_FILE,
    ArtifactKey,
    ArtifactRef,
    CorpusDigest,
    FileEntry,
    ImportSource,
    Manifest,
    Provenance,
)
from nerbench.artifacts.references import load_manifest, pull
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.artifacts.store import LATEST, Store, check_name
from nerbench.artifacts.tables.parquet_bounds import bounded, corrupt_if_unreadable
from nerbench.tasks.data.corpus import Corpus, read_whole
from nerbench.tasks.data.prediction_formats import PredictionFormat, PredictionSource, format_of, read_predictions_of
from nerbench.tasks.data.readers import Sentence
from nerbench.tasks.data.tag_schemes import (
    BEGINS_WITH_I,
    Declared,
    Scheme,
    SchemeEvidence,
    count_invalid,
    entity_types,
    read_tags,
    split_tag,
    tag_vocabulary,
)
from nerbench.tasks.data.text_files import open_file
from nerbench.tasks.inference.prediction_files import SCHEMA, Inferred, batch, join, positions


class Imported(NamedTuple):
    """Imported predictions, with their scheme and counts."""

    artifact: ArtifactRef
    words: int
    entity_types: tuple[str, ...]
    """By their own names, sorted."""
    n_invalid: int
    """Tags that continue no entity of their type; modes of scoring decide what they mean."""
    scheme: Scheme
    """The scheme of the tags in the file."""


def import_predictions(  # noqa: PLR0913 - what is imported, and as what
    path: str,
    name: str,
    corpus: Corpus,
    store: Store,
    *,
    format: PredictionFormat | None = None,
    scheme: Declared = "auto",
    label_map: Mapping[str, str] | None = None,
) -> Imported:
    """Publish the predictions in a file as an artifact of kind `predictions`.

    Args:
        corpus: the predicted words; those of the file must be the same, sentence by sentence.
        format: None tells it from the name of the file.
        scheme: of the tags in the file; `auto` recognises it.
        label_map: entity types that are renamed whenever the predictions are scored.

    Raises CorpusError where the file cannot be read or has other words, and InputError for a name that cannot be used,
    or that is a model's.
    """
    _check_free(name, store)
    found = read_predictions_of(path, format or format_of(path), name, corpus)
    evidence = SchemeEvidence(scheme if found.scheme == "auto" else found.scheme)
    read = read_whole(found.source._replace(sentences=_compared(found, corpus)), evidence)
    recognised = evidence.scheme("write all predictions in one scheme")
    labels = {label: tag for label in read.labels if (tag := split_tag(label, recognised))}
    begins = recognised in BEGINS_WITH_I
    tags = read.tags(read_tags(labels, inside_begins=begins, label_map={}, ignore_labels=frozenset())).flat
    types = tuple(entity_types(tags.unique().to_pylist()))
    with scratch_folder() as scratch:
        file = scratch / PREDICTIONS_FILE
        join(file, _blocks(corpus, tags, np.array(found.scores, np.float32), tag_vocabulary(types)))
        manifest = Manifest(
            format_version=1,
            name=name,
            kind="predictions",
            files=(FileEntry(path=PREDICTIONS_FILE, size=file.stat().st_size, sha256=sha256_file(file)),),
            labels=tuple(tag_vocabulary(types)),
            provenance=Provenance(),
            imported=_source(path, format or format_of(path), corpus),
            label_map=dict(label_map or {}),
        )
        artifact = store.publish_weightless(manifest, scratch)
    n_invalid = 0 if begins else count_invalid(list(labels.values()), read.codes, read.starts)
    return Imported(artifact, corpus.n_words, types, n_invalid, recognised)


def copy_predictions(
    path: Path, artifact: ArtifactRef, corpus: Corpus, blocks: range, on_progress: Callable[[int], None]
) -> Inferred:
    """Write the imported predictions of some blocks of a corpus to a file, as inference does.

    Raises InputError if they were imported for other words, and CorruptArtifactError if the stored file has changed
    since then.
    """
    imported = load_manifest(artifact).imported
    if imported and imported.corpus.words_sha256 != corpus.words_sha256:
        about = f"{imported.corpus.dataset}, {imported.corpus.split}"
        raise InputError(
            f"model {artifact.name}",
            f"has predictions for other words (those of {about}, sha256 {imported.corpus.words_sha256[:12]}, "
            f"instead of {corpus.words_sha256[:12]})",
            "predict these words, then run `nerbench predictions import` again",
        )
    labels, done = np.array(artifact.labels), 0
    with scratch_folder() as scratch:
        pull(artifact, scratch / "pulled")
        file = scratch / "pulled" / PREDICTIONS_FILE
        where = f"{artifact.name}: {PREDICTIONS_FILE}"
        with file.open("rb") as stream, corrupt_if_unreadable(where), bounded(stream) as stored:
            if stored.metadata.num_rows != corpus.n_words or stored.schema_arrow != SCHEMA:
                raise CorruptArtifactError(f"{where} does not have the words that it was imported for; import it again")
            tables = [stored.read_row_group(number) for number in blocks]
        for table in tables:
            if not pc.all(pc.is_in(table["pred"].cast(pa.string()), pa.array(labels))).as_py():
                raise CorruptArtifactError(f"{where} has tags that its manifest does not list; import it again")
        digest = join(path, tables)
        done = sum(table.num_rows for table in tables)
        on_progress(done)
    return Inferred(digest, done, 0, 0, 0.0)


def _check_free(name: str, store: Store) -> None:
    """Raise InputError for an invalid name, and for the name of a model, whose `latest` would move to predictions."""
    check_name("name", name)
    latest = store.aliases(name).get(LATEST)
    kind = store.manifest(ArtifactKey(name=name, artifact_id=latest)).kind if latest else "predictions"
    if kind != "predictions":
        raise InputError(f"name {name!r}", f"is that of a {kind} in the store {store.url}", "choose another one")


def _source(path: str, format: PredictionFormat, corpus: Corpus) -> ImportSource:
    with closing(open_file(path)) as file:
        digest = sha256_chunks(iter(partial(file.read, 1 << 20), b""))
    about = CorpusDigest(
        dataset=corpus.name,
        split=corpus.split,
        words_sha256=corpus.words_sha256,
        gold_sha256=corpus.gold_sha256,
    )
    return ImportSource(name=path.rpartition("/")[2], sha256=digest, format=format, corpus=about)


def _blocks(corpus: Corpus, tags: pa.ChunkedArray, scores: np.ndarray, names: list[str]) -> Iterator[pa.Table]:
    """The predictions in the blocks of inference."""
    from nerbench.tasks.inference.prediction import BLOCK

    scores = scores if len(scores) else np.full(corpus.n_words, np.nan, np.float32)
    codes = pc.index_in(tags.cast(pa.string()), pa.array(names)).to_numpy().astype(np.int32)
    for rows in positions(corpus, BLOCK):
        yield pa.Table.from_batches([batch(rows, names, codes[rows.word], scores[rows.word])])


def _compared(found: PredictionSource, corpus: Corpus) -> Iterator[Sentence]:
    """The sentences of a file, whose words must be those of the corpus.

    Raises CorpusError with the first difference and the numbers of sentences and words that differ.
    """
    first, differing, n_words, sentences = None, 0, 0, 0
    for number, (theirs, ours) in enumerate(zip_longest(found.source.sentences, corpus.words)):
        n_words += len(theirs.words) if theirs else 0
        sentences += theirs is not None
        if theirs and theirs.words == ours:
            if not differing:
                yield theirs
            continue
        differing += 1
        first = first or _difference(found, theirs, ours, number, corpus)
    if first:
        place, problem = first
        counts = (
            f"{differing:,} of {len(corpus.words):,} sentences differ; the file has {sentences:,} sentences and "
            f"{n_words:,} words, {corpus.name} {len(corpus.words):,} and {corpus.n_words:,}"
        )
        remedy = f"predict the sentences of {corpus.name}, {corpus.split}, in their order"
        raise CorpusError(place, f"{problem}; {counts}", remedy)


def _difference(
    found: PredictionSource, theirs: Sentence | None, ours: list[str] | None, number: int, corpus: Corpus
) -> tuple[str, str]:
    """The place of the first different word, and both texts."""
    there, here = theirs.words if theirs else [], ours or []
    pairs = zip_longest(there, here)
    word, pair = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    texts = [repr(text) if text is not None else "nothing" for text in pair]
    place = found.source.place(theirs.at, min(word, len(there) - 1)) if theirs else found.source.name
    return place, f"found {texts[0]}, but {corpus.name} has {texts[1]} (sentence {number}, word {word})"
