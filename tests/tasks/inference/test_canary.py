"""The blocks that the canary infers again on each day."""

import math
from datetime import date, timedelta
from types import SimpleNamespace
from typing import cast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.canary import due
from nerbench.tasks.inference.prediction import BLOCK
from nerbench.tasks.inference.prediction_files import first_word

SHARES = st.one_of(
    st.floats(0.005, 1.0),
    st.integers(1, 200).map(lambda n: 1 / n),
    st.fractions(0, 1, max_denominator=200).filter(bool).map(float),
)
DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@settings(max_examples=300, deadline=None)
@given(first=DAYS, blocks=st.integers(1, 500), share=SHARES)
def test_all_blocks_are_covered_within_the_inverse_of_the_share(first: date, blocks: int, share: float) -> None:
    days = math.ceil(1 / share)
    each = [due(first + timedelta(day), blocks, share) for day in range(days)]
    assert set().union(*each) == set(range(blocks))
    assert {len(numbers) for numbers in each} == {math.ceil(share * blocks)}
    assert all(numbers == sorted(set(numbers)) for numbers in each)


def test_the_blocks_of_a_day_do_not_depend_on_the_run() -> None:
    assert due(date(2026, 11, 30), 30, 0.1) == due(date(2026, 11, 30), 30, 0.1) != due(date(2026, 12, 1), 30, 0.1)


def test_an_empty_corpus_has_none() -> None:
    assert due(date(2026, 11, 30), 0, 0.5) == []


def test_words_are_numbered_in_more_than_32_bits() -> None:
    corpus = cast(Corpus, SimpleNamespace(lengths=np.full(3 * BLOCK, 1 << 21, np.int32)))
    assert [first_word(corpus, block) for block in range(3)] == [0, BLOCK << 21, BLOCK << 22]
