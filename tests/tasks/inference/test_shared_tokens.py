"""Tokenized blocks are shared between equal tokenizers for equal words, up to a limit."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tiny_models import SENTENCES
from tokenizers import Tokenizer

from nerbench.tasks.inference import tokenization
from nerbench.tasks.inference.tokenization import Pieces, tokenize, tokenize_once
from nerbench.tasks.training.setup import train_tokenizer

WORDS = [["Ada", "Lovelace"], ["Bob"]]


def wordpiece(size: int = 200) -> Tokenizer:
    """A new object each time."""
    trained: Tokenizer = train_tokenizer(SENTENCES, size, 64).backend_tokenizer
    return trained


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sequence[Sequence[str]]]]:
    """The calls of the tokenizer."""
    done: list[Sequence[Sequence[str]]] = []

    def noted(tokenizer: Any, sentences: Sequence[Sequence[str]]) -> list[Pieces]:
        done.append(sentences)
        return tokenize(tokenizer, sentences)

    tokenization._kept.clear()
    monkeypatch.setattr(tokenization, "tokenize", noted)
    yield done
    tokenization._kept.clear()


def test_models_with_the_same_tokenizer_share_its_work(calls: list[Any]) -> None:
    expected = tokenize(wordpiece(), WORDS)
    assert [tokenize_once(wordpiece(), WORDS) for _ in range(3)] == [expected] * 3
    assert len(calls) == 1


def test_other_words_and_other_tokenizers_do_not(calls: list[Any]) -> None:
    other = wordpiece(120)
    tokenize_once(wordpiece(), WORDS)
    tokenize_once(wordpiece(), [["Ada"], ["Lovelace", "Bob"]])
    assert tokenize_once(other, WORDS) == tokenize(other, WORDS)
    assert len(calls) == 3


def test_the_least_recently_used_entry_is_removed_first(calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [[[word]] for word in ("Ada", "Bob", "Eve")]
    monkeypatch.setattr(tokenization, "KEPT_TOKENS", sum(len(tokenize(wordpiece(), b)[0].ids) for b in blocks[:2]))
    for number in (0, 1, 0, 2, 0):
        tokenize_once(wordpiece(), blocks[number])
    assert calls == [blocks[0], blocks[1], blocks[2]]
    tokenize_once(wordpiece(), blocks[1])
    assert calls[-1] == blocks[1]
