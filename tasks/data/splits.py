"""Divides one source into splits, by document or by sentence, as the key `split` of the data set declares.

Only the seed and the number of units (documents or sentences) determine the split of a unit: units are ordered by the
sha256 of `<seed> <number>`, and each split gets a contiguous part of that order. The result is the same on every
machine, with every version of every library and any number of threads; a corrected word changes no split, and an
appended document changes few. Within a split, sentences keep the order of the source.
"""

from array import array
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig, Split, SplitConfig
from nerbench.tasks.config.schema_data import REST, share_of
from nerbench.tasks.data.arrow_cache import ArrowCache, cache_as_arrow
from nerbench.tasks.data.readers import NO_REPAIRS, Sentence, Source, read_splits

_ORDER = ("train", "validation", "test")


def read_divided(config: DatasetConfig) -> Mapping[str, Source]:
    """The splits of a data set, including those into which `config.split` divides a source.

    Raises:
        CorpusError: the data set cannot be loaded, has no source to divide, or already has a split that `split` makes;
            a split would be empty; or the source is to be divided by document, but has no documents.
    """
    sources = dict(read_splits(config))
    field = f"dataset {config.name}: split"
    if config.split is None:
        if "all" in sources:
            problem = f"{sources['all'].name} is not one of train, validation and test"
            raise CorpusError(field, problem, "divide it, e.g. `split: {train: 90%, test: 10%}`")
        return sources
    if (whole := sources.pop(undivided(sources), None)) is None:
        raise CorpusError(field, "there is no train split to divide", f"it has {', '.join(sources)}")
    if twice := [split for split in config.split.amounts if split in sources]:
        raise CorpusError(field, f"the data set has a {twice[0]} split already", f"remove {twice[0]} from `split`")
    sources |= _divide(whole, config.split, field)
    return {split: sources[split] for split in _ORDER if split in sources}


def undivided(sources: Collection[str]) -> str:
    """The one of these sources that `split` divides."""
    return "all" if "all" in sources else "train"


def _divide(source: Source, split: SplitConfig, field: str) -> dict[str, Source]:
    read = cache_as_arrow(source, source.sentences)
    n_sentences = len(read.at)
    if split.by == "sentence":
        units: npt.NDArray[np.int64] = np.arange(n_sentences)
    elif read.documents is None:
        raise CorpusError(
            field,
            f"{source.name} has no document boundaries to divide it by",
            "divide it by sentence (`by: sentence`), or mark documents: -DOCSTART- lines, or columns.document",
        )
    else:
        units = np.asarray(read.documents, np.int64)
    try:
        sizes = split_sizes(split, int(units[-1]) + 1)
    except ValueError as error:
        raise CorpusError(field, str(error), "change the amounts") from error
    order = unit_order(int(units[-1]) + 1, split.seed)
    ends = np.cumsum(list(sizes.values()))
    number = np.empty(len(order), np.int8)
    number[order] = np.searchsorted(ends, np.arange(len(order)), side="right")
    found: dict[str, Source] = {}
    for position, name in enumerate(sizes):
        rows = np.flatnonzero(number[units] == position)
        found[name] = Source(source.name, _chosen(read, rows), source.place, array("q", rows.tolist()))
    return found


def split_sizes(split: SplitConfig, units: int) -> dict[Split, int]:
    """The number of units of each split. Percentages are rounded half up, and `rest` is the remainder.

    If all amounts are percentages, the largest one (the first of equal ones) gets the remainder. Raises ValueError
    if a split would be empty, or if numbers do not add up to `units`.
    """
    amounts, what = split.amounts, f"{split.by}{'' if units == 1 else 's'}"
    shares = {name: share for name, amount in amounts.items() if (share := share_of(amount))}
    rests = [name for name, amount in amounts.items() if amount == REST]
    (left,) = rests or sorted(shares, key=lambda name: -shares[name])[:1] or (None,)
    sizes: dict[Split, int] = {}
    for name, amount in amounts.items():
        if name != left:
            sizes[name] = amount if isinstance(amount, int) else int(shares[name] * units + Fraction(1, 2))
    if left:
        sizes[left] = units - sum(sizes.values())
    elif sum(sizes.values()) != units:
        raise ValueError(f"the numbers add up to {sum(sizes.values())}, but the source has {units} {what}")
    if empty := [name for name in amounts if sizes[name] < 1]:
        raise ValueError(f"{empty[0]}: {amounts[empty[0]]} of {units} {what} leaves it empty")
    return {name: sizes[name] for name in amounts}


def unit_order(units: int, seed: int) -> npt.NDArray[np.int64]:
    """All units, in an order that only the seed and their number determine."""
    keys = np.array([sha256(f"{seed} {unit}".encode()).digest()[:8] for unit in range(units)], "S8")
    return np.argsort(keys.view(">u8"), kind="stable")


def _chosen(read: ArrowCache, rows: npt.NDArray[np.int64]) -> Iterator[Sentence]:
    """The sentences at ascending positions, with their original tags."""
    ends = np.cumsum(read.words.lengths)
    wanted = np.zeros(len(ends), np.bool_)
    wanted[rows] = True
    start = 0
    for number, (words, end, is_wanted) in enumerate(zip(read.words, ends.tolist(), wanted.tolist(), strict=True)):
        if is_wanted:
            tags = [read.labels[code] for code in read.codes[start:end]]
            document = None if read.documents is None else read.documents[number]
            yield Sentence(words, tags, document, read.at[number], read.repairs.get(number, NO_REPAIRS), read.tokenizer)
        start = end
