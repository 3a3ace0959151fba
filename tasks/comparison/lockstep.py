"""Two predictions of the same words, read part by part together, however each of them is cut."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from nerbench.tasks.scoring.entities import Codes
from nerbench.tasks.scoring.tagged import TaggedWords


def in_step(
    base_parts: Iterable[TaggedWords], candidate_parts: Iterable[TaggedWords]
) -> Iterator[tuple[TaggedWords, TaggedWords]]:
    """Parts of the same words of both sides: cut wherever one of them is, and with the entity types of both.

    Raises ValueError where words, sentences, documents or gold are not the same. Scores are left out.
    """
    bases, candidates = ((part for part in parts if len(part.gold)) for parts in (base_parts, candidate_parts))
    base, candidate = next(bases, None), next(candidates, None)
    while base is not None and candidate is not None:
        n = min(len(base.gold), len(candidate.gold))
        yield _same_words(_cut(base, 0, n), _cut(candidate, 0, n))
        base = _cut(base, n, None) if n < len(base.gold) else next(bases, None)
        candidate = _cut(candidate, n, None) if n < len(candidate.gold) else next(candidates, None)
    if base is not candidate:
        raise ValueError("one side has more words than the other")


def _cut(tagged: TaggedWords, start: int, stop: int | None) -> TaggedWords:
    cut = slice(start, stop)
    return replace(
        tagged,
        gold=tagged.gold[cut],
        predicted=tagged.predicted[cut],
        sentence=tagged.sentence[cut],
        document=None if tagged.document is None else tagged.document[cut],
        first_word=tagged.first_word + start,
        text=None if tagged.text is None else tagged.text.slice(start, None if stop is None else stop - start),
        score=None,
    )


def _same_words(base: TaggedWords, candidate: TaggedWords) -> tuple[TaggedWords, TaggedWords]:
    """Both with the same types, and with the text if one of them has it."""
    types = tuple(sorted({*base.types, *candidate.types}))
    base, candidate = _with_types(base, types), _with_types(candidate, types)
    if not np.array_equal(base.gold, candidate.gold):
        raise ValueError("the two sides were scored against different gold tags")
    texts = [side.text for side in (base, candidate) if side.text is not None]
    same_text = len(texts) < 2 or texts[0].equals(texts[1].cast(texts[0].type))
    if not (same_text and np.array_equal(base.sentence, candidate.sentence) and _same_documents(base, candidate)):
        raise ValueError("the two sides were scored on different words")
    return replace(base, text=texts[0] if texts else None), candidate


def _same_documents(base: TaggedWords, candidate: TaggedWords) -> bool:
    if base.document is None or candidate.document is None:
        return base.document is candidate.document
    return np.array_equal(base.document, candidate.document)


def _with_types(tagged: TaggedWords, types: tuple[str, ...]) -> TaggedWords:
    codes = [0, *(1 + 2 * types.index(name) + is_inside for name in tagged.types for is_inside in (0, 1))]
    table: Codes = np.array(codes, np.int32)
    return replace(tagged, types=types, gold=table[tagged.gold], predicted=table[tagged.predicted])
