"""Counts for comparisons: by document, and by sentence for what stands in too few documents to resample them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from nerbench.tasks.config.section import DEFAULT_MODES, Mode
from nerbench.tasks.scoring.counts import Counts, count
from nerbench.tasks.scoring.tagged import TaggedWords, Units
from nerbench.tasks.slicing.slices import Slice


def count_both_ways(
    parts: Callable[[], Iterable[TaggedWords]], slices: Sequence[Slice] = (), modes: Collection[Mode] = DEFAULT_MODES
) -> list[Counts]:
    """Count the parts of a corpus by document, then by sentence; by sentence alone where it has no documents.

    Args:
        parts: gives the consecutive parts, anew at each call.
        slices, modes: as in `counts.count`.
    """
    whole = count(parts(), slices, modes)
    if whole[0].units.kind == "sentence":
        return whole
    starts = [part.document[part.sentence_starts] for part in parts() if part.document is not None]
    documents = np.concatenate(starts)
    units = Units.of(n_sentences=len(documents), n_documents=None)
    by_sentence = count((replace(part, units=units) for part in parts()), slices, modes)
    return [*whole, *(replace(one, documents=documents[:: units.size]) for one in by_sentence)]
