"""The common characters of two texts."""

import random

import numpy as np
import pytest

from nerbench.tasks.data.text_alignment import Text, common_characters


def text(words: list[str], sentence: int) -> Text:
    lengths = [len("".join(words[at : at + sentence])) for at in range(0, len(words), sentence)]
    return Text("".join(words), np.cumsum(lengths))


@pytest.mark.parametrize("seed", range(5))
def test_a_text_with_many_repetitions_and_changes_is_aligned_almost_everywhere(seed: int) -> None:
    chance = random.Random(seed)
    vocabulary = ["".join(chance.choices("abcdefgh", k=chance.randint(1, 8))) for _ in range(300)]
    article = chance.choices(vocabulary, k=150)
    words = [word for _ in range(8) for word in (*article, *chance.choices(vocabulary, k=150))]
    changed = [word if chance.random() > 0.03 else chance.choice(["", "xyz", word[::-1]]) for word in words]
    here, there = text(words, 12), text(changed, 17)
    positions = common_characters(here, there)
    common = np.flatnonzero(positions >= 0)
    assert (np.diff(positions[common]) > 0).all()
    assert [here.chars[at] for at in positions[common]] == [there.chars[at] for at in common]
    assert len(common) > 0.95 * len(there.chars)


def test_equal_sentences_are_found_between_unrelated_ones() -> None:
    here, there = text(["abc", "defg", "hij", "k"], 1), text(["xyzw", "defg", "uv"], 1)
    assert common_characters(here, there).tolist() == [-1, -1, -1, -1, 3, 4, 5, 6, -1, -1]
