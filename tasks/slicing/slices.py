"""Parts of the entities that are scored on their own, each under its name in the `slice` column.

A gold entity and a predicted one count in a slice if they lie in it, each for itself; a right prediction has the words
and the type of its gold entity, so both do or neither. An entity lies in a slice of words if its first word does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.tasks.scoring.entities import Entities, Flags, Indices
from nerbench.tasks.scoring.tagged import TaggedWords
from nerbench.tasks.slicing.training_mentions import Mentions, mention_keys
from nerbench.tasks.slicing.word_table import per_word, sentence_lengths

EVERYTHING = "all"
"""The slice of all entities."""
WordMask = Callable[[TaggedWords], Flags]
EntityMask = Callable[[TaggedWords, Entities], Flags]


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Some of the entities; either `words` or `mentions` says which."""

    name: str
    """In the `slice` column."""
    needs: frozenset[str] = frozenset()
    """What must be known: `text`, `documents`, `score`, `training`."""
    words: WordMask | None = None
    """(words,) of a part of the corpus; an entity lies in the slice if its first word does."""
    mentions: EntityMask | None = None
    """(entities,) directly."""

    def of(self, tagged: TaggedWords, entities: Entities) -> Flags:
        """(entities,) which of the entities in a part of the corpus lie in the slice."""
        if self.mentions:
            return self.mentions(tagged, entities)
        assert self.words
        return self.words(tagged)[entities.start]


class Survey(NamedTuple):
    """What takes a look at the whole split to know."""

    has: frozenset[str]
    """`text`, `documents`, `score`: what is there."""
    repeats: Flags
    """(sentences,) whether its words stand in an earlier sentence; empty without text."""
    opens_document: Flags
    """(sentences,) whether it is the first of its document; empty without documents."""


def word_slice(name: str, mask: WordMask, *needs: str) -> Slice:
    """A slice of words; its mask is kept while one part of the corpus is counted in several modes."""
    return Slice(name=name, needs=frozenset(needs), words=lru_cache(maxsize=1)(mask))


def standard_slices(survey: Survey, training: Mentions) -> list[Slice]:
    """The slices of every benchmark, whether what they need is there or not.

    - `seen`, `unseen`: a mention with the same words, case included, and the same type is in the training corpus; or
      none is. (Of CoNLLpp's test entities 48 % are unseen in its train split.)
    - `length_1`, `length_2`, `length_3`, `length_4+`: words of the entity.
    - `sentence_length_1-10`, `…11-20`, `…21-30`, `…31+`: words of its sentence.
    - `all_caps`: its sentence has no lower-case letter, and a word that is made of upper-case letters; so `NATO 1996`
      is one, and neither `1996` nor a table's `1,250M 6.25` is. (563 of CoNLLpp's 3,453 test sentences.)
    - `duplicated`: the words of its sentence, case included, stand in an earlier sentence of the split; the first of
      several equal ones is none. (269 of them.)
    - `first_sentence`, `later_sentence`: of its document.
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
