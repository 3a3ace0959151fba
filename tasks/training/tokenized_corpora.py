"""A corpus cut into windows of tokens with labels, by `Dataset.map`, and kept on disk for other models.

The file is named by a digest of everything that it depends on, so models with the same tokenizer, window and labels
share it, whatever process trains them. Measured by `tests/benchmarks/corpus_datasets.py`, on one core, with 46 thousand
and 4.6 million words: 0.21 s and 23.5 s the first time (lists in memory: 0.21 s and 22.7 s); 0.03 s and 2.9 s after
that, including digests and the check of the file (lists: as before). The peak for 4.6 million words fell from 1,191 to
562 MB.

Inference has its own cache (`tokenize_once`): importing `datasets` takes 0.9 s and 77 MB, which training needs anyway
for Trainer, but not a run whose predictions are cached.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.local_copies import cache_folder
from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.load_corpus import as_dataset
from nerbench.tasks.inference.loaded_model import LoadedTokenizer
from nerbench.tasks.inference.tokenization import tokenize, windows

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)
IGNORED = -100
"""The label of tokens without loss: special tokens, later tokens of a word, words of another window."""
KEPT = 8
"""Number of files to keep, those used last."""
_VERSION = 1
"""The version of the computation in `map`; another version makes other files."""
_SENTENCES = 8192
"""Sentences per batch: words that recur in it are tokenized once."""


def tokenized(corpus: Corpus, tokenizer: LoadedTokenizer, window: int, tags: Sequence[str]) -> "Dataset":
    """One row per window, in the order of the sentences, memory-mapped.

    Columns: `input_ids`; `labels`, the number in `tags` at the first token of each word that the window predicts (0 for
    a tag that is not in `tags`), otherwise IGNORED; `words`, the positions of these words in the corpus.
    """
    from datasets import Features, List, Value

    key = _key(corpus, tokenizer, window, tags)
    file = cache_folder() / "tokenized" / f"{key}.arrow"
    file.parent.mkdir(parents=True, exist_ok=True)
    if (found := _read(file)) is not None:
        return found
    names = sorted({tag for part in corpus.parts() for tag in Column.of(part.tags).flat.unique().to_pylist()})
    numbers = {tag: number for number, tag in enumerate(tags)}
    number_of = np.array([numbers.get(tag, 0) for tag in names], np.int32)
    first_words = np.cumsum(corpus.lengths) - corpus.lengths

    def cut(rows: pa.Table, positions: Sequence[int]) -> pa.Table:
        sentences = list(Column(rows["tokens"].chunks))
        found = windows(tokenize(tokenizer.backend, sentences), window, tokenizer.special)
        tags_of = rows["ner_tags"].combine_chunks().flatten().to_numpy()
        first = first_words[positions[0]]
        sizes = np.array([len(one.ids) for one in found], np.int64)
        starts = _flat(one.starts for one in found) + np.repeat(np.cumsum(sizes) - sizes, [len(w.words) for w in found])
        words = _flat(one.words for one in found) + np.repeat(
            first_words[[positions[0] + one.sentence for one in found]], [len(one.words) for one in found]
        )
        labels = np.full(sizes.sum(), IGNORED, np.int32)
        labels[starts] = number_of[tags_of[words - first]]
        return pa.table(
            {
                "input_ids": _lists(_flat(one.ids for one in found), sizes),
                "labels": _lists(labels, sizes),
                "words": _lists(words, [len(one.words) for one in found]),
            }
        )

    kind = List(Value("int32"))
    rows = as_dataset(corpus, names)
    with _without_bars():
        made: Dataset = rows.with_format("arrow").map(
            cut,
            batched=True,
            batch_size=_SENTENCES,
            with_indices=True,
            features=Features(input_ids=kind, labels=kind, words=kind),
            remove_columns=rows.column_names,
            new_fingerprint=key,
            cache_file_name=str(file),
        )
    _drop_old(file.parent)
    return made.with_format(None)


def _read(file: Path) -> "Dataset | None":
    """The rows of a file, which counts as used now; None if there is no file or it is damaged."""
    from datasets import Dataset

    if not file.exists():
        return None
    try:
        found = Dataset.from_file(str(file))
        found.data.validate(full=True)
        os.utime(file)
    except (pa.ArrowException, OSError) as error:
        log.warning("%s is damaged (%s); the corpus is tokenized again", file, error)
        file.unlink(missing_ok=True)
        return None
    return found


@contextmanager
def _without_bars() -> Iterator[None]:
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _key(corpus: Corpus, tokenizer: LoadedTokenizer, window: int, tags: Sequence[str]) -> str:
    parts: list[Any] = [_VERSION, corpus.words_sha256, corpus.gold_sha256, window, list(tags)]
    parts += [sha256_hex(tokenizer.backend.to_str().encode()), [list(part) for part in tokenizer.special[:2]]]
    return sha256_hex(canonical_json(parts))


def _flat(parts: Iterable[Sequence[int]]) -> np.ndarray:
    return np.fromiter(chain.from_iterable(parts), np.int64)


def _lists(values: np.ndarray, sizes: Sequence[int] | np.ndarray) -> pa.ListArray:
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(values.astype(np.int32)))


def _drop_old(folder: Path) -> None:
    """Remove all but the files used last. Processes that have one mapped keep it."""
    for file in sorted(folder.glob("*.arrow"), key=_used, reverse=True)[KEPT:]:
        file.unlink(missing_ok=True)


def _used(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another process removed it
        return 0.0
