"""Perturbed corpora: the same sentences, numbers of words and tags, with other words.

| name | change |
| --- | --- |
| `lower`, `upper`, `title` | every word in lower case, in upper case, or in lower case after a first capital |
| `typos_in_mentions`, `typos_in_context` | one letter becomes a neighbour on a QWERTY keyboard |
| `ocr` | one character or pair becomes one that looks alike, such as `rn` for `m` |
| `final_punctuation` | the mark that ends a sentence becomes another one; a last word without one gets a full stop |
| `accents` | a word loses its accents; some words without any get one |
| `entity_swap` | a mention becomes another one of the same type with as many words, the same one in all of a document |

Choices depend on the seed and the words (for `entity_swap`, on the document) and on nothing else. So equal sentences
stay equal, and are inferred once.
"""

import random
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config.schema_robustness import Perturbation, PerturbationName
from nerbench.tasks.data.arrow_cache import column_from_sentences
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import OUTSIDE, mentions_of

Words = Sequence[str]
Draw = Callable[[], float]
"""The next random number from 0 up to 1."""
Replacements = Mapping[tuple[str, int], Sequence[tuple[str, ...]]]
"""By entity type and number of words, the mentions to put in."""

MARKS = ".!?;:"
SHORTEST = 3
"""Minimum number of letters of a word that gets a typo."""
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_CONFUSED = (
    *(("m", "rn"), ("rn", "m"), ("cl", "d"), ("d", "cl"), ("vv", "w"), ("w", "vv"), ("li", "h"), ("h", "b")),
    *(("e", "c"), ("c", "e"), ("u", "n"), ("n", "u"), ("l", "1"), ("1", "l"), ("I", "l"), ("i", "l"), ("t", "f")),
    *(("0", "O"), ("O", "0"), ("S", "5"), ("5", "S"), ("B", "8"), ("8", "B"), ("Z", "2"), ("2", "Z"), ("g", "9")),
)
_REMEDY = "list some in robustness.mentions, or leave entity_swap out of robustness.perturbations"
_ACCENTS = ("\u0301", "\u0300", "\u0302", "\u0308")
"""Combining acute, grave, circumflex and diaeresis."""
_CASES: Mapping[PerturbationName, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "title": str.capitalize,
}


class Change(NamedTuple):
    """The number of words and sentences that a perturbation changed."""

    words: int
    sentences: int


def perturb(corpus: Corpus, perturbation: Perturbation, training: Corpus | None) -> Corpus:
    """The corpus with other words; documents, sentences, numbers of words and tags are the same.

    Args:
        training: The train split, whose mentions `entity_swap` puts in unless the perturbation has some.

    Raises:
        CorpusError: `entity_swap` has no mention to put in.
    """
    replacements: Replacements = {}
    if perturbation.name == "entity_swap":
        replacements = _replacements(corpus, perturbation, training)
    numbers = corpus.documents if corpus.documents is not None else range(len(corpus.words))
    sentences = zip(corpus.words, corpus.tags, numbers, strict=True)
    changed = (perturb_sentence(words, tags, perturbation, at, replacements) for words, tags, at in sentences)
    return replace(corpus, words=column_from_sentences(changed))


def perturb_sentence(
    words: Words, tags: Words, perturbation: Perturbation, document: int = 0, replacements: Replacements | None = None
) -> list[str]:
    """As many words as `words`, none of them empty. `replacements` and the number of the document are for
    `entity_swap`."""
    name, share = perturbation.name, perturbation.share
    if change := _CASES.get(name):
        return [change(word) for word in words]
    if name == "entity_swap":
        return _swapped(words, tags, f"{perturbation.seed} {document}", replacements or {})
    draw = random.Random("\n".join([str(perturbation.seed), name, *words])).random
    if name == "final_punctuation":
        return [*words[:-1], _ended(words[-1], draw)]
    if name == "ocr":
        return [_misread(word, draw) if draw() < share else word for word in words]
    if name == "accents":
        return [_accented(word, draw, share) for word in words]
    in_mentions = name == "typos_in_mentions"
    return [
        _mistyped(word, draw) if (tag != OUTSIDE) == in_mentions and draw() < share else word
        for word, tag in zip(words, tags, strict=True)
    ]


def count_changes(before: Corpus, after: Corpus) -> Change:
    """How many words and sentences differ between a corpus and a perturbed one."""
    words = sentences = 0
    for old, new in zip(before.words, after.words, strict=True):
        n = sum(one != other for one, other in zip(old, new, strict=True))
        words, sentences = words + n, sentences + bool(n)
    return Change(words, sentences)


def no_train_split(dataset: str) -> CorpusError:
    """The error about a data set that has no mentions for `entity_swap`."""
    return CorpusError("robustness", f"entity_swap needs mentions, and {dataset} has no train split", _REMEDY)


def _neighbours() -> dict[str, str]:
    """By letter, the letters beside, above and below it; each row stands half a key to the right of the row above."""
    places = {letter: (row, at) for row, letters in enumerate(_ROWS) for at, letter in enumerate(letters)}
    steps = ((0, -1), (0, 1), (1, -1), (1, 0), (-1, 0), (-1, 1))
    letters = {place: letter for letter, place in places.items()}
    return {
        letter: "".join(letters[place] for step in steps if (place := (row + step[0], at + step[1])) in letters)
        for letter, (row, at) in places.items()
    }


NEIGHBOURS = _neighbours()
"""By letter of a QWERTY keyboard, the keys around it."""


def _one_of(choices: Sequence[str], draw: Draw) -> str:
    return choices[int(draw() * len(choices))]


def _mistyped(word: str, draw: Draw) -> str:
    places = [at for at, letter in enumerate(word) if letter.lower() in NEIGHBOURS]
    if len(places) < SHORTEST:
        return word
    at = places[int(draw() * len(places))]
    letter = _one_of(NEIGHBOURS[word[at].lower()], draw)
    return word[:at] + (letter.upper() if word[at].isupper() else letter) + word[at + 1 :]


def _misread(word: str, draw: Draw) -> str:
    places = [(at, *pair) for pair in _CONFUSED for at in range(len(word)) if word.startswith(pair[0], at)]
    if not places:
        return word
    at, seen, read = places[int(draw() * len(places))]
    return word[:at] + read + word[at + len(seen) :]


def _ended(word: str, draw: Draw) -> str:
    if len(word) == 1 and word in MARKS:
        return _one_of(MARKS.replace(word, ""), draw)
    return f"{word}." if word[-1].isalnum() else word


def _accented(word: str, draw: Draw, share: float) -> str:
    apart = unicodedata.normalize("NFD", word)
    plain = "".join(letter for letter in apart if unicodedata.category(letter) != "Mn")
    if plain != apart:
        return unicodedata.normalize("NFC", plain) or word
    places = [at for at, letter in enumerate(word) if letter.lower() in "aeiou"]
    if not places or draw() >= share:
        return word
    at = places[int(draw() * len(places))] + 1
    return unicodedata.normalize("NFC", word[:at] + _one_of(_ACCENTS, draw) + word[at:])


def _swapped(words: Words, tags: Words, seed: str, replacements: Replacements) -> list[str]:
    found = list(words)
    for start, end, kind in mentions_of(tags):
        before = tuple(words[start:end])
        if others := [one for one in replacements.get((kind, end - start), ()) if one != before]:
            draw = random.Random("\n".join([seed, kind, *before])).random
            found[start:end] = others[int(draw() * len(others))]
    return found


def _replacements(corpus: Corpus, perturbation: Perturbation, training: Corpus | None) -> Replacements:
    """Sorted, so that the choice does not depend on the order of sentences."""
    if perturbation.mentions:
        wanted = {
            (kind, tuple(text.split()))
            for kind, texts in perturbation.mentions.items()
            for text in texts
            if text.split()
        }
    elif training is None:
        raise no_train_split(corpus.name)
    else:
        here = {words for _, words in _mentions(corpus)}
        wanted = {(kind, words) for kind, words in _mentions(training) if words not in here}
    if not wanted:
        problem = f"entity_swap finds no mention of the train split that the {corpus.split} split lacks"
        raise CorpusError("robustness", problem, _REMEDY)
    found: dict[tuple[str, int], list[tuple[str, ...]]] = {}
    for kind, words in sorted(wanted):
        found.setdefault((kind, len(words)), []).append(words)
    return found


def _mentions(corpus: Corpus) -> set[tuple[str, tuple[str, ...]]]:
    """The distinct mentions of a corpus with their types."""
    return {
        (kind, tuple(words[start:end]))
        for words, tags in zip(corpus.words, corpus.tags, strict=True)
        for start, end, kind in mentions_of(tags)
    }
