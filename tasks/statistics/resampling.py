"""Units, and sums over resampled units, on which all intervals and paired tests are based.

A unit is what errors cluster by: a document. `values` are (units, k): k counts of every unit. A statistic is any
vectorised function of sums, (..., k) -> (...), so one matrix product resamples all of them alike.
"""

from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
CHUNK_BYTES = 2**26
"""Size limit of a matrix of weights in memory."""
Unit = Literal["document", "sentence"]
MAX_UNITS = 4096
"""Maximum number of units; more documents (or sentences) are grouped with their neighbours, so that counts stay
small."""


class Units(NamedTuple):
    """The units of counting and resampling: documents, or sentences if the corpus has no documents."""

    kind: Unit
    size: int
    """Number of consecutive documents or sentences per unit."""
    n: int
    """Number of units in the whole corpus."""
    n_documents: int | None
    """Number of documents in the whole corpus; None if it has none."""

    @classmethod
    def of(cls, *, n_sentences: int, n_documents: int | None) -> "Units":
        """The units of a corpus: one per document or sentence, unless there are more than MAX_UNITS."""
        total = n_sentences if n_documents is None else n_documents
        size = max(1, -(-total // MAX_UNITS))
        return cls("sentence" if n_documents is None else "document", size, -(-total // size), n_documents)


def seed_of(words_sha256: str, gold_sha256: str) -> int:
    """The seed of a corpus. Everything that is computed on the corpus, in any process, shares its resamples."""
    return int.from_bytes(sha256(f"{words_sha256} {gold_sha256}".encode()).digest()[:8], "big")


def resampled(values: npt.ArrayLike, *, seed: int, n: int = 1000) -> Floats:
    """Sums over n bootstrap resamples of the units: (units, k) -> (n, k).

    A resample draws as many units as there are, with replacement. It depends only on the seed and the number of units,
    so calls with other columns share their resamples. Sums of counts are exact.

    Raises:
        ValueError: There are no units.
    """
    counts = np.asarray(values, np.float64)
    n_units = len(counts)
    if not n_units:
        raise ValueError("there are no units to resample")
    generator = np.random.default_rng(seed)
    even = np.full(n_units, 1 / n_units)
    sums = np.empty((n, counts.shape[1]))
    for rows in chunks(n, n_units):
        weights = generator.multinomial(n_units, even, size=rows.stop - rows.start)
        np.matmul(weights.astype(np.float64), counts, out=sums[rows])
    return sums


def left_out(values: npt.ArrayLike) -> Floats:
    """Sums over all units but one: (units, k) -> (units, k), row i without unit i."""
    counts = np.array(values, np.float64)
    sums: Floats = np.subtract(counts.sum(axis=0), counts, out=counts)
    return sums


def chunks(n: int, n_units: int) -> list[slice]:
    """Slices of n rows of weights, each of at most CHUNK_BYTES."""
    rows = max(1, CHUNK_BYTES // (8 * n_units))
    return [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
