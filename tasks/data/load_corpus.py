"""`nerbench.load_corpus(config)`: a corpus as a `DatasetDict` of Hugging Face's `datasets`."""

import warnings
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import InputError
from nerbench.tasks.config.loading import Given, given_config
from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.data.demo import prepare_demo
from nerbench.tasks.data.tag_schemes import tag_vocabulary

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


def load_corpus(config: Given = None, dataset: str | None = None) -> "DatasetDict":
    """The splits of a data set with IOB2 tags, as training and benchmark read them.

    Features: `tokens` (list of strings), `ner_tags` (list of ClassLabel with the names O, B-LOC, I-LOC, …, the same in
    every split) and `document` (0-based int64; null if the source has no document boundaries). The words of files are
    memory-mapped. The fingerprint of a split depends only on its words, tags and names, so that `map` finds its cache
    in a later process.

    Args:
        config: a configuration, its file, or None for `nerbench.yaml` here (else the embedded demonstration).
        dataset: the name of one of its data sets; the first one by default.

    Raises:
        ConfigError: the configuration is wrong.
        InputError: it has no such data set.
        CorpusError: see `load_splits`.

    >>> import nerbench
    >>> sorted(nerbench.load_corpus())
    ['test', 'train', 'validation']
    """
    warnings.filterwarnings("ignore", message="IProgress not found")  # of tqdm in a notebook: no bar is shown
    from datasets import DatasetDict

    config = given_config(config, ("datasets",))
    prepare_demo(config)
    named = {one.name: one for one in config.datasets}
    wanted = dataset or next(iter(named))
    if wanted not in named:
        raise InputError("dataset", f"there is no data set {wanted!r}", f"use one of: {', '.join(named)}")
    splits = load_splits(named[wanted])
    names = tag_vocabulary({kind for corpus in splits.values() for kind in corpus.types})
    return DatasetDict({split: as_dataset(corpus, names) for split, corpus in splits.items()})


def as_dataset(corpus: Corpus, names: list[str]) -> "Dataset":
    """A corpus in the form of `load_corpus`, with tags numbered by `names`. Words of files remain memory-mapped."""
    from datasets import ClassLabel, Dataset, DatasetInfo, Features, List, NamedSplit, Value

    features = Features(tokens=List(Value("string")), ner_tags=List(ClassLabel(names=names)), document=Value("int64"))
    order = pa.array(names)
    words = [_with_values(chunk, chunk.values.cast(pa.string())) for chunk in Column.of(corpus.words).chunks]
    tags = [
        _with_values(chunk, pc.index_in(chunk.values.cast(pa.string()), order).cast(pa.int64()))
        for chunk in Column.of(corpus.tags).chunks
    ]
    documents = [None] * len(corpus.words) if corpus.documents is None else corpus.documents
    columns = [pa.chunked_array(words), pa.chunked_array(tags), pa.array(documents, pa.int64())]
    return Dataset(
        pa.table(columns, schema=features.arrow_schema),
        info=DatasetInfo(features=features),
        split=NamedSplit(corpus.split),
        fingerprint=sha256_hex(" ".join([corpus.words_sha256, corpus.gold_sha256, *names]).encode())[:16],
    )


def _with_values(lists: pa.ListArray, values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(lists.offsets, values)
