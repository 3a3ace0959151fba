from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import SENTENCES, WORDS
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from nerbench.tasks.inference.tokenization import (
    WORDS_A_TEXT,
    Pieces,
    SpecialTokens,
    Window,
    tokenize,
    truncated_words,
    windows,
)
from nerbench.tasks.training.setup import train_tokenizer

SPECIAL = SpecialTokens(prefix=(-1,), suffix=(-2, -3), pad=-4)
SIZES = pytest.mark.parametrize("size", [16, 32, 64, 512])
WORD_LENGTHS = st.one_of(st.integers(0, 4), st.integers(0, 20), st.sampled_from([29, 61, 600]))


def numbered(lengths: list[int]) -> Pieces:
    """A sentence of words with these numbers of tokens; the id of a token is its position."""
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    starts = [end - length for end, length in zip(ends, lengths, strict=True)]
    return Pieces(list(range(sum(lengths))), starts, ends)


def shown(window: Window) -> range:
    """The tokens of a `numbered` sentence in a window."""
    ids = window.ids[1:-2]
    return range(ids[0], ids[-1] + 1)


def context(item: Pieces, word: int, pieces: range) -> float:
    """The number of tokens on the side of a word with less context; the ends of the sentence do not count."""
    left = float("inf") if pieces.start == 0 else item.starts[word] - pieces.start
    right = float("inf") if pieces.stop == len(item.ids) else pieces.stop - item.ends[word]
    return min(left, right)


@cache
def wordpiece() -> Tokenizer:
    return train_tokenizer(SENTENCES, 200, 64).backend_tokenizer


@cache
def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        map(" ".join, SENTENCES), trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet)
    )
    return tokenizer


@cache
def unigram() -> Tokenizer:
    """A tokenizer like XLM-R's, with a mark before the first token of a text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    trainer = trainers.UnigramTrainer(vocab_size=120, unk_token="<unk>", special_tokens=["<unk>"])
    tokenizer.train_from_iterator(map(" ".join, SENTENCES), trainer)
    return tokenizer


def long_sentence(seed: int) -> list[int]:
    rng = Random(seed)
    return rng.choices([0, 1, 1, 1, 2, 3, rng.randint(4, 40)], k=rng.randint(20, 900))


sentences = st.one_of(
    st.lists(WORD_LENGTHS, min_size=1, max_size=40), st.integers(0, 9999).map(long_sentence).filter(any)
)


@SIZES
@settings(max_examples=60, deadline=None)
@given(lengths=sentences)
def test_every_word_with_pieces_is_predicted_by_one_window_in_order(size: int, lengths: list[int]) -> None:
    cut = windows([numbered(lengths)], size, SPECIAL)
    owned = [word for window in cut for word in window.words]
    assert owned == [word for word, length in enumerate(lengths) if length]


@SIZES
@settings(max_examples=60, deadline=None)
@given(lengths=sentences)
def test_windows_fit_and_point_at_their_words_own_pieces(size: int, lengths: list[int]) -> None:
    item = numbered(lengths)
    room = size - 3
    for window in windows([item], size, SPECIAL):
        assert len(window.ids) <= size
        assert (window.ids[0], window.ids[-2:]) == (-1, [-2, -3])
        assert window.ids[1:-2] == list(shown(window))
        for word, start, end in zip(window.words, window.starts, window.ends, strict=True):
            first = item.starts[word]
            assert window.ids[start:end] == list(range(first, first + min(lengths[word], room)))


@SIZES
@settings(max_examples=60, deadline=None)
@given(lengths=sentences)
def test_the_window_that_predicts_a_word_has_most_context_for_it(size: int, lengths: list[int]) -> None:
    item = numbered(lengths)
    cut = windows([item], size, SPECIAL)
    for window in cut:
        for word in window.words:
            holding = [w for w in cut if item.starts[word] in shown(w) and item.ends[word] <= shown(w).stop]
            if lengths[word] <= size - 3:  # a word that is cut off has a window of its own
                best = max(context(item, word, shown(w)) for w in holding)
                assert context(item, word, shown(window)) == best


@pytest.mark.parametrize("size", [16, 64])
def test_words_in_the_middle_keep_about_a_quarter_of_a_window_on_either_side(size: int) -> None:
    item = numbered([1] * 1000)
    cut = windows([item], size, SPECIAL)
    assert min(context(item, word, shown(w)) for w in cut for word in w.words) >= (size - 3) // 4 - 1


@settings(max_examples=40, deadline=None)
@given(st.lists(sentences, max_size=4))
def test_windows_belong_to_their_sentences(several: list[list[int]]) -> None:
    items = [numbered(lengths) for lengths in several]
    cut = windows(items, 16, SPECIAL)
    assert all(a.sentence <= b.sentence for a, b in pairwise(cut))
    alone = [(n, w.ids, w.words) for n, item in enumerate(items) for w in windows([item], 16, SPECIAL)]
    assert [(w.sentence, w.ids, w.words) for w in cut] == alone


@settings(max_examples=40, deadline=None)
@given(lengths=sentences)
def test_words_longer_than_a_window_are_counted(lengths: list[int]) -> None:
    too_long = sum(length > 29 for length in lengths)
    assert truncated_words([numbered(lengths), numbered([30])], 32, SPECIAL) == too_long + 1


def test_a_sentence_that_fits_is_one_window_and_one_that_does_not_is_two() -> None:
    assert [w.words for w in windows([numbered([1] * 13)], 16, SPECIAL)] == [list(range(13))]
    assert len(windows([numbered([1] * 14)], 16, SPECIAL)) == 2


def test_a_window_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        windows([numbered([1])], 3, SPECIAL)


words = st.one_of(
    st.sampled_from(
        [*WORDS, "", "\u200b", " ", "a b", "[SEP]", "it's", "U.S.", "1,000", "naïve", "北京", "🙂", "\ufeff"]
    ),
    st.text(max_size=8),
)


@pytest.mark.parametrize("made", [wordpiece, byte_level, unigram])
@settings(max_examples=80, deadline=None)
@given(corpus=st.lists(st.lists(words, min_size=1, max_size=12), min_size=1, max_size=4))
def test_words_are_neither_joined_nor_split_again(made: Callable[[], Tokenizer], corpus: list[list[str]]) -> None:
    tokenizer = made()
    for sentence, pieces in zip(corpus, tokenize(tokenizer, corpus), strict=True):
        alone = [tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False).ids for word in sentence]
        together = tokenizer.encode(sentence, is_pretokenized=True, add_special_tokens=False)
        assert [pieces.ids[s:e] for s, e in zip(pieces.starts, pieces.ends, strict=True)] == alone
        assert pieces.ids == together.ids
        assert [word for word, ids in enumerate(alone) for _ in ids] == together.word_ids


def test_a_word_s_pieces_do_not_depend_on_how_many_others_there_are() -> None:
    many = [[f"{word}{number}" for word in WORDS] for number in range(2 * WORDS_A_TEXT)]
    for sentence, pieces in zip(many, tokenize(wordpiece(), many), strict=True):
        assert pieces.ids == wordpiece().encode(sentence, is_pretokenized=True, add_special_tokens=False).ids


def test_words_without_tokens_do_not_shift_others() -> None:
    (pieces,) = tokenize(wordpiece(), [["", "Ada", "\u200b", "Bob", ""]])
    assert [end - start > 0 for start, end in zip(pieces.starts, pieces.ends, strict=True)] == [
        False,
        True,
        False,
        True,
        False,
    ]
    owners = Counter(word for window in windows([pieces], 16, SPECIAL) for word in window.words)
    assert owners == {1: 1, 3: 1}
