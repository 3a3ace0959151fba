"""A column behaves like a list of lists."""

from random import Random

import pytest

from nerbench.tasks.data.arrow_cache import CHUNK, Column


@pytest.mark.parametrize("n", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_column_is_its_sentences(n: int) -> None:
    random = Random(n)
    sentences = [[f"w{number}", "", "ü\ud7ff\U0001f600"][: random.randint(0, 3)] for number in range(n)]
    column = Column.of(sentences)
    assert column == sentences
    assert list(column) == sentences
    assert column != [*sentences, ["more"]]
    assert column[: n // 2] == sentences[: n // 2]
    assert column[::-701] == sentences[::-701]
    assert [column[number] for number in range(-n, n)] == [sentences[number] for number in range(-n, n)]
    assert column.lengths.tolist() == [len(sentence) for sentence in sentences]
    assert column.flat.to_pylist() == [text for sentence in sentences for text in sentence]
    assert Column.of(column) is column
    with pytest.raises(IndexError):
        column[n]
