"""`train_share`: a random share of the training split."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.train_share import take_share


@given(st.lists(st.integers(1, 3), min_size=1, max_size=12), st.integers(0, 3), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_larger_share_contains_the_smaller_ones(lengths: list[int], seed: int, one: float, other: float) -> None:
    words = [[f"{document} {number}"] for document, n in enumerate(lengths) for number in range(n)]
    documents = [document for document, n in enumerate(lengths) for _ in range(n)]
    whole = Corpus(name="own", split="train", words=words, tags=[["O"]] * len(words), documents=documents)
    less, more = (take_share(whole, share, seed) for share in sorted((one, other)))
    assert {*map(str, less.words)} <= {*map(str, more.words)}
    for found, share in ((less, min(one, other)), (more, max(one, other))):
        kept = {sentence[0].split()[0] for sentence in found.words}
        assert len(kept) == max(1, round(share * len(lengths)))
        assert list(found.words) == [sentence for sentence in words if sentence[0].split()[0] in kept]
        assert list(dict.fromkeys(found.documents or ())) == [*range(len(kept))]
    without = take_share(replace(whole, documents=None), 0.5, seed)
    assert (len(without.words), without.documents) == (max(1, round(0.5 * len(words))), None)
    assert take_share(whole, 1.0, seed) is whole
