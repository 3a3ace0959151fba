"""Tokenized corpora: the same windows and labels as in memory, made once for models with equal tokenizers."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import LABELS, SENTENCES

from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.loaded_model import LoadedTokenizer
from nerbench.tasks.inference.loading import load_tokenizer
from nerbench.tasks.inference.tokenization import SpecialTokens, tokenize, windows
from nerbench.tasks.training import tokenized_corpora as tokenization
from nerbench.tasks.training.batches import IGNORED, Examples
from nerbench.tasks.training.tokenized_corpora import KEPT, tokenized


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path))
    return tmp_path / "tokenized"


@pytest.fixture
def tokenizer(tiny_model_folder: Path) -> LoadedTokenizer:
    return load_tokenizer(tiny_model_folder)


def corpus(**changes: Any) -> Corpus:
    words = [*SENTENCES, SENTENCES[0] * 20, ["\u200b", "Bob"], ["\u200b"]] * 3
    tags = [[LABELS[(n + i) % 5] for i in range(len(sentence))] for n, sentence in enumerate(words)]
    return replace(Corpus(name="own", split="train", words=words, tags=tags, documents=None), **changes)


@pytest.mark.parametrize("sentences", [1, 4, 8192])
@pytest.mark.parametrize("window", [16, 64])
def test_items_are_the_windows_in_order_of_length(
    tokenizer: LoadedTokenizer, window: int, sentences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenization, "_SENTENCES", sentences)
    own = corpus()
    expected = []
    for one in windows(tokenize(tokenizer.backend, own.words), window, tokenizer.special):
        labels = [IGNORED] * len(one.ids)
        for word, start in zip(one.words, one.starts, strict=True):
            labels[start] = LABELS[:4].index(tag) if (tag := own.tags[one.sentence][word]) in LABELS[:4] else 0
        expected.append((one.ids, labels))
    examples = Examples(own, tokenizer, window, LABELS[:4])
    found = [(item["input_ids"].tolist(), item["labels"].tolist()) for item in examples]
    assert found == sorted(expected, key=lambda item: len(item[0]))
    assert examples.occurring == {piece for ids, _ in expected for piece in ids}
    assert examples.gold.tolist() == [label for _, labels in found for label in labels if label != IGNORED]
    assert examples.lengths == [len(ids) for ids, _ in found]


def test_a_second_model_reuses_the_tokens_of_the_first(
    tokenizer: LoadedTokenizer, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    first = tokenized(corpus(), tokenizer, 16, LABELS)
    monkeypatch.setattr(tokenization, "tokenize", None)
    again = tokenized(corpus(name="another name", split="validation"), tokenizer, 16, LABELS)
    assert again[:] == first[:]
    assert len(list(folder.iterdir())) == 1


def test_whatever_changes_the_tokens_makes_another_file(tokenizer: LoadedTokenizer, folder: Path) -> None:
    own = corpus()
    other = replace(tokenizer, special=SpecialTokens((5,), (6,), 0))
    for number, (one, by, window, labels) in enumerate(
        [
            (own, tokenizer, 16, LABELS),
            (own, tokenizer, 17, LABELS),
            (own, tokenizer, 16, LABELS[:3]),
            (own, other, 16, LABELS),
            (replace(own, tags=[["O"] * len(words) for words in own.words]), tokenizer, 16, LABELS),
            (replace(own, words=[words[::-1] for words in own.words]), tokenizer, 16, LABELS),
        ],
        start=1,
    ):
        tokenized(one, by, window, labels)
        assert len(list(folder.iterdir())) == number


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 400])
def test_a_damaged_file_is_made_again(
    tokenizer: LoadedTokenizer, folder: Path, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    expected = tokenized(corpus(), tokenizer, 16, LABELS)[:]
    (file,) = folder.iterdir()
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(damage(data))
    with caplog.at_level(logging.WARNING):
        assert tokenized(corpus(), tokenizer, 16, LABELS)[:] == expected
    assert "the corpus is tokenized again" in caplog.text


def test_only_the_files_used_last_are_kept(tokenizer: LoadedTokenizer, folder: Path) -> None:
    for window in range(16, 18 + KEPT):
        tokenized(corpus(), tokenizer, window, LABELS)
    assert len(list(folder.iterdir())) == KEPT


def test_predictions_go_back_to_their_words(tokenizer: LoadedTokenizer) -> None:
    own = corpus()
    examples = Examples(own, tokenizer, 16, LABELS)
    expected = [
        ["O" if word == "\u200b" else tag for word, tag in zip(*pair, strict=True)]
        for pair in zip(own.words, own.tags, strict=True)
    ]
    assert examples.tagged(examples.gold) == expected
    assert examples.tagged(np.zeros(len(examples.gold), np.int64)) == [["O"] * len(words) for words in own.words]
