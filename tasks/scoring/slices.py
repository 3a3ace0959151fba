"""Slices: groups of entities that are scored separately, standard and custom ones, named in the column `slice`.

Gold and predicted entities are assigned to slices separately; a right prediction has the words and the type of its gold
entity, so it is in the same slices. An entity is in a slice of words if its first word is.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.errors import InputError, pass_interrupts
from nerbench.tasks.config import SliceConfig
from nerbench.tasks.config.user_code import explain, load_function, place_of
from nerbench.tasks.data.arrow_cache import array_from_blocks
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.entities import Codes, Entities, Flags, Indices
from nerbench.tasks.scoring.slice_expressions import parse
from nerbench.tasks.scoring.tagged_words import TaggedWords
from nerbench.tasks.scoring.training_mentions import Mentions, Unavailable, join_words, mention_keys

Scalar = TypeVar("Scalar", bound=np.generic)


class _Column(NamedTuple):
    type: pa.DataType
    of: Callable[[TaggedWords], Any]
    """A numpy or Arrow array; None if it is unknown."""


def word_table(tagged: TaggedWords, columns: Iterable[str] | None = None) -> pa.Table:
    """One row per word, by default with all columns; unknown values (text, document, score) are null.

    Besides the columns of `predictions`, there are `sentence_length`, in words, and `position`, the number of the word
    in its sentence, from 0.
    """
    n_words = len(tagged.gold)
    table = {}
    for name in _COLUMNS if columns is None else columns:
        kind, values = _COLUMNS[name].type, _COLUMNS[name].of(tagged)
        if values is None:
            table[name] = pa.nulls(n_words, kind)
        else:
            array = values if hasattr(values, "cast") else pa.array(values, from_pandas=True)  # NaN is null
            table[name] = array.cast(kind)
    return pa.table(table)


def sentence_lengths(tagged: TaggedWords) -> Indices:
    """(sentences,) number of words."""
    return np.diff(np.flatnonzero(tagged.sentence_starts), append=len(tagged.sentence))


def per_word(values: npt.NDArray[Scalar], tagged: TaggedWords) -> npt.NDArray[Scalar]:
    """(words,) the element of `values` (sentences,) for each word's sentence."""
    return np.repeat(values, sentence_lengths(tagged))


def _positions(tagged: TaggedWords) -> Indices:
    starts: Indices = np.flatnonzero(tagged.sentence_starts)
    positions: Indices = np.arange(len(tagged.sentence)) - per_word(starts, tagged)
    return positions


def _tags(tagged: TaggedWords, codes: Codes) -> pa.Array:
    return pa.DictionaryArray.from_arrays(codes, tag_vocabulary(tagged.types))


_COLUMNS = {
    "document": _Column(pa.int32(), lambda tagged: tagged.document),
    "sentence": _Column(pa.int32(), lambda tagged: tagged.sentence),
    "word": _Column(pa.int32(), lambda tagged: tagged.first_word + np.arange(len(tagged.gold))),
    "text": _Column(pa.string(), lambda tagged: tagged.text),
    "gold_tag": _Column(pa.string(), lambda tagged: _tags(tagged, tagged.gold)),
    "pred_tag": _Column(pa.string(), lambda tagged: _tags(tagged, tagged.predicted)),
    "score": _Column(pa.float32(), lambda tagged: tagged.score),
    "sentence_length": _Column(pa.int32(), lambda tagged: per_word(sentence_lengths(tagged), tagged)),
    "position": _Column(pa.int32(), _positions),
}


EVERYTHING = "all"
"""The slice of all entities."""
WordMask = Callable[[TaggedWords], Flags]
EntityMask = Callable[[TaggedWords, Entities], Flags]


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A group of entities, defined by either `words` or `mentions`."""

    name: str
    """Its name in the column `slice`."""
    needs: frozenset[str] = frozenset()
    """Its requirements: `text`, `documents`, `score`, `training`."""
    words: WordMask | None = None
    """(words,) of a part of the corpus; an entity is in the slice if its first word is."""
    mentions: EntityMask | None = None
    """(entities,) of a part of the corpus."""

    def of(self, tagged: TaggedWords, entities: Entities) -> Flags:
        """(entities,) whether each entity in a part of the corpus is in the slice."""
        if self.mentions:
            return self.mentions(tagged, entities)
        assert self.words
        return self.words(tagged)[entities.start]


class Survey(NamedTuple):
    """Facts that require a pass over the whole split."""

    has: frozenset[str]
    """Which of `text`, `documents` and `score` the split has."""
    repeats: Flags
    """(sentences,) whether an earlier sentence has the same words; empty without text."""
    opens_document: Flags
    """(sentences,) whether it is the first of its document; empty without documents."""


def word_slice(name: str, mask: WordMask, *needs: str) -> Slice:
    """A slice of words. Its mask is kept while one part of the corpus is counted in several modes."""
    return Slice(name=name, needs=frozenset(needs), words=lru_cache(maxsize=1)(mask))


def standard_slices(survey: Survey, training: Mentions) -> list[Slice]:
    """The slices of every benchmark, whether or not their requirements are met.

    - `seen`, `unseen`: whether the training corpus has a mention with the same words, case included, and the same type.
      (48 % of the entities in CoNLLpp's test split are unseen in its train split.)
    - `length_1`, `length_2`, `length_3`, `length_4+`: number of words of the entity.
    - `sentence_length_1-10`, `…11-20`, `…21-30`, `…31+`: number of words of its sentence.
    - `all_caps`: its sentence has no lower-case letter and has a word of upper-case letters; `NATO 1996` is in it,
      `1996` and a table row such as `1,250M 6.25` are not. (563 of CoNLLpp's 3,453 test sentences.)
    - `duplicated`: an earlier sentence of the split has the same words, case included; the first of several equal
      sentences is not in it. (269 of CoNLLpp's test sentences.)
    - `first_sentence`, `later_sentence`: in its document.
    """
    return [
        Slice(name="seen", needs=_MENTIONS, mentions=partial(_seen, training)),
        Slice(name="unseen", needs=_MENTIONS, mentions=lambda tagged, found: ~_seen(training, tagged, found)),
        *(_of_length(f"length_{n}", n, n) for n in (1, 2, 3)),
        _of_length("length_4+", 4, None),
        *(_in_sentences(f"sentence_length_{low}-{low + 9}", low, low + 9) for low in (1, 11, 21)),
        _in_sentences("sentence_length_31+", 31, None),
        word_slice("all_caps", _all_caps, "text"),
        word_slice("duplicated", lambda tagged: survey.repeats[tagged.sentence], "text"),
        word_slice("first_sentence", lambda tagged: survey.opens_document[tagged.sentence], "documents"),
        word_slice("later_sentence", lambda tagged: ~survey.opens_document[tagged.sentence], "documents"),
    ]


_MENTIONS = frozenset({"text", "training"})


def _seen(training: Mentions, tagged: TaggedWords, entities: Entities) -> Flags:
    keys = mention_keys(tagged.text, entities, tagged.types)
    return np.fromiter((key in training for key in keys), np.bool_, len(keys))


def _of_length(name: str, low: int, high: int | None) -> Slice:
    def mask(tagged: TaggedWords, entities: Entities) -> Flags:
        return _between(entities.end - entities.start, low, high)

    return Slice(name=name, mentions=mask)


def _in_sentences(name: str, low: int, high: int | None) -> Slice:
    return word_slice(name, lambda tagged: per_word(_between(sentence_lengths(tagged), low, high), tagged))


def _between(values: Indices, low: int, high: int | None) -> Flags:
    return (values >= low) & (high is None or values <= high)


def _all_caps(tagged: TaggedWords) -> Flags:
    assert tagged.text is not None
    words = tagged.text.cast(pa.string()).combine_chunks().dictionary_encode()
    starts = np.flatnonzero(tagged.sentence_starts)

    def any_word(pattern: str) -> Flags:
        found = pc.match_substring_regex(words.dictionary, pattern).to_numpy(zero_copy_only=False)
        return np.logical_or.reduceat(found[words.indices.to_numpy()], starts)

    return per_word(any_word(r"^\p{Lu}[\p{Lu}\p{M}]*$") & ~any_word(r"[\p{Ll}\p{Lt}]"), tagged)


_REASONS = {
    "text": "the words were not kept (text: drop)",
    "documents": "the corpus has no documents",
    "score": "the predictions have no scores",
}
_NOTHING = Survey(frozenset(), np.array([], np.bool_), np.array([], np.bool_))
_NEEDED_BY_COLUMN = {"text": "text", "document": "documents", "score": "score"}


class Slices(NamedTuple):
    """The slices that can be scored."""

    ready: list[Slice]
    unavailable: dict[str, str]
    """By name of a slice, why it cannot be scored."""


def slices_for(
    configured: Sequence[SliceConfig],
    *,
    parts: Callable[[], Iterable[TaggedWords]],
    training: Mentions | Unavailable,
) -> Slices:
    """The standard slices and the configured ones.

    Args:
        parts: Starts a pass over the whole split; this function makes one.
        training: The mentions in training, from `find_training`.

    Raises:
        InputError: As in `user_slices`.
    """
    custom = user_slices(configured)
    survey = survey_of(parts())
    there, reasons, mentions = survey.has, dict(_REASONS), Mentions()
    if isinstance(training, Unavailable):
        reasons["training"] = training.reason
    else:
        there, mentions = there | {"training"}, training
    ready, unavailable = [], {}
    for one in [*standard_slices(survey, mentions), *custom]:
        if missing := sorted(one.needs - there):
            unavailable[one.name] = "; ".join(reasons[need] for need in missing)
        else:
            ready.append(one)
    return Slices(ready, unavailable)


def user_slices(configured: Sequence[SliceConfig]) -> list[Slice]:
    """The slices of a configuration. They need no corpus, so that mistakes are found before anything is computed.

    Raises:
        InputError: A name is that of a standard slice, an expression is invalid (see `slice_expressions`), or a
            function cannot be loaded.
    """
    taken = [EVERYTHING, *(one.name for one in standard_slices(_NOTHING, frozenset()))]
    for config in configured:
        if config.name in taken:
            remedy = f"choose a name other than {', '.join(taken)}"
            raise InputError(f"slice {config.name}", "has the name of a standard slice", remedy)
    return [_user_slice(config) for config in configured]


def survey_of(parts: Iterable[TaggedWords]) -> Survey:
    """Survey every sentence of a split once; keeps two bytes per sentence, and its digest on disk for a moment.

    Sentences are compared by digests of 8 bytes. If two different sentences had the same digest, the second would count
    as a repetition; among a million sentences, the probability of any such pair is 3e-8.
    """
    opens = [np.array([], np.bool_)]
    last = -1
    has: frozenset[str] = frozenset()

    def digests() -> Iterator[npt.NDArray[np.uint64]]:
        nonlocal has, last
        for part in parts:
            if not len(part.gold):
                continue
            starts = np.flatnonzero(part.sentence_starts)
            known = {"text": part.text, "documents": part.document, "score": part.score}
            has |= {name for name, values in known.items() if values is not None}
            if part.document is not None:
                documents = part.document[starts]
                opens.append(np.diff(documents, prepend=last) != 0)
                last = documents[-1]
            if part.text is not None:
                yield _digests(part.text, starts)

    repeats = _repeats(array_from_blocks(digests(), np.uint64))
    return Survey(has, repeats, np.concatenate(opens))


def _digests(text: pa.ChunkedArray, starts: Indices) -> npt.NDArray[np.uint64]:
    sentences = join_words(text, starts, np.append(starts[1:], len(text)))
    return np.frombuffer(b"".join(hashlib.blake2b(one, digest_size=8).digest() for one in sentences), np.uint64)


_PARTITIONS = 16


def _repeats(digests: npt.NDArray[np.uint64]) -> Flags:
    repeats = np.ones(len(digests), np.bool_)
    # Equal digests are in the same partition. To sort all digests at once would need much memory.
    partitions = np.empty(len(digests), np.uint8)
    np.remainder(digests, _PARTITIONS, out=partitions, casting="unsafe")
    for partition in range(_PARTITIONS):
        at = np.flatnonzero(partitions == partition)
        repeats[at[np.unique(digests[at], return_index=True)[1]]] = False
    return repeats


def _user_slice(config: SliceConfig) -> Slice:
    owner = f"slice {config.name}"
    if config.where is None:
        return word_slice(config.name, _function_mask(str(config.function), owner))
    condition = parse(config.where, owner)

    def mask(tagged: TaggedWords) -> Flags:
        return condition.evaluate(word_table(tagged, [*condition.columns, "sentence"]))

    needs = [_NEEDED_BY_COLUMN[column] for column in condition.columns if column in _NEEDED_BY_COLUMN]
    return word_slice(config.name, mask, *needs)


def _function_mask(name: str, owner: str) -> WordMask:
    """Calls the user's function with the table of each part: whole sentences, but not the whole split at once."""
    function = load_function(name)

    def mask(tagged: TaggedWords) -> Flags:
        try:
            flags = np.asarray(function(word_table(tagged)))
        except BaseException as error:
            pass_interrupts(error)
            problem = f"{name} failed with {explain(error)}"
            raise InputError(owner, problem, f"correct {place_of(error)}") from error
        if flags.dtype != np.bool_ or flags.shape != tagged.gold.shape:
            gives = f"{flags.dtype} of shape {flags.shape}"
            problem = f"{name} gives {gives}, not True or False for each of {len(tagged.gold)} words"
            raise InputError(owner, problem, "correct the function")
        return flags

    return mask
