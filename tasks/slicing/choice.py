"""Which slices can be made of a corpus and its predictions, standard ones and a user's own; and why others cannot."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nerbench.artifacts.errors import InputError, pass_interrupts
from nerbench.tasks.config import SliceConfig
from nerbench.tasks.configuration.usercode import explain, load_function, place_of
from nerbench.tasks.scoring.entities import Flags, Indices
from nerbench.tasks.scoring.tagged import TaggedWords
from nerbench.tasks.slicing.expression import parse
from nerbench.tasks.slicing.slices import EVERYTHING, Slice, Survey, WordMask, standard_slices, word_slice
from nerbench.tasks.slicing.training_mentions import Mentions, Unavailable, join_words
from nerbench.tasks.slicing.word_table import word_table

_REASONS = {
    "text": "the words were not kept (text: drop)",
    "documents": "the corpus has no documents",
    "score": "the predictions have no scores",
}
_NOTHING = Survey(frozenset(), np.array([], np.bool_), np.array([], np.bool_))
_NEEDED_BY_COLUMN = {"text": "text", "document": "documents", "score": "score"}


class Slices(NamedTuple):
    """What can be scored on its own."""

    ready: list[Slice]
    unavailable: dict[str, str]
    """By name of the slice, why it cannot."""


def slices_for(
    configured: Sequence[SliceConfig],
    *,
    parts: Callable[[], Iterable[TaggedWords]],
    training: Mentions | Unavailable,
) -> Slices:
    """The standard slices and the configured ones.

    Args:
        parts: begins a pass over the whole split; one is made here.
        training: what the model saw, as of `find_training`.

    Raises:
        InputError: as of `user_slices`.
    """
    own = user_slices(configured)
    survey = survey_of(parts())
    there, reasons, mentions = survey.has, dict(_REASONS), Mentions()
    if isinstance(training, Unavailable):
        reasons["training"] = training.reason
    else:
        there, mentions = there | {"training"}, training
    ready, unavailable = [], {}
    for one in [*standard_slices(survey, mentions), *own]:
        if missing := sorted(one.needs - there):
            unavailable[one.name] = "; ".join(reasons[need] for need in missing)
        else:
            ready.append(one)
    return Slices(ready, unavailable)


def user_slices(configured: Sequence[SliceConfig]) -> list[Slice]:
    """The slices of a configuration; needs no corpus, so that mistakes are found before anything is computed.

    Raises:
        InputError: a name is that of a standard slice, an expression is none (see `expression`), or a function cannot
            be loaded.
    """
    taken = [EVERYTHING, *(one.name for one in standard_slices(_NOTHING, frozenset()))]
    for config in configured:
        if config.name in taken:
            raise InputError(f"slice {config.name}", "is there already", f"choose a name but {', '.join(taken)}")
    return [_user_slice(config) for config in configured]


def survey_of(parts: Iterable[TaggedWords]) -> Survey:
    """Look at every sentence of a split once; 9 bytes a sentence are kept.

    Sentences are compared by digests of 8 bytes. Two different ones with the same digest would make the second a
    repetition; among a million sentences, the probability that there are any is 3e-8.
    """
    digests, opens = [np.array([], np.uint64)], [np.array([], np.bool_)]
    last = -1
    has: frozenset[str] = frozenset()
    for part in parts:
        if not len(part.gold):
            continue
        starts = np.flatnonzero(part.sentence_starts)
        known = {"text": part.text, "documents": part.document, "score": part.score}
        has |= {name for name, values in known.items() if values is not None}
        if part.text is not None:
            digests.append(_digests(part.text, starts))
        if part.document is not None:
            documents = part.document[starts]
            opens.append(np.diff(documents, prepend=last) != 0)
            last = documents[-1]
    return Survey(has, _repeats(np.concatenate(digests)), np.concatenate(opens))


def _digests(text: pa.ChunkedArray, starts: Indices) -> npt.NDArray[np.uint64]:
    sentences = join_words(text, starts, np.append(starts[1:], len(text)))
    return np.frombuffer(b"".join(hashlib.blake2b(one, digest_size=8).digest() for one in sentences), np.uint64)


def _repeats(digests: npt.NDArray[np.uint64]) -> Flags:
    repeats = np.ones(len(digests), np.bool_)
    repeats[np.unique(digests, return_index=True)[1]] = False
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
    """Calls the user's function with the table of each part: whole sentences, not all of the split at once."""
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
