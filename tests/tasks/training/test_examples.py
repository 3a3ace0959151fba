from pathlib import Path

import numpy as np
import pytest
from tiny_models import LABELS, SENTENCES

from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.loading import load_tokenizer
from nerbench.tasks.training.batches import BLANK, IGNORED, Examples, collate


def tagged_corpus() -> Corpus:
    words = [*SENTENCES, SENTENCES[0] * 20, ["\u200b", "Bob"], ["\u200b"]]
    tags = [[LABELS[(n + i) % 5] for i in range(len(sentence))] for n, sentence in enumerate(words)]
    tags[-2], tags[-1] = ["O", "B-PER"], ["O"]
    return Corpus(name="own", split="train", words=words, tags=tags, documents=None)


@pytest.mark.parametrize("window", [16, 64])
def test_the_labels_of_all_windows_are_the_corpuss_tags(tiny_model_folder: Path, window: int) -> None:
    corpus = tagged_corpus()
    examples = Examples(corpus, load_tokenizer(tiny_model_folder), window, LABELS)
    labels = np.full((len(examples), window), IGNORED)
    for row, item in zip(labels, examples, strict=True):
        row[: len(item["labels"])] = item["labels"]
    assert examples.tagged(labels[labels != IGNORED]) == list(corpus.tags)
    assert examples.lengths == sorted(examples.lengths)
    words_with_pieces = sum(len(words) for words in corpus.words) - 2
    assert int((labels != IGNORED).sum()) == words_with_pieces, "each word is learnt once, by its first piece"


def test_tags_that_the_model_lacks_are_learnt_as_outside(tiny_model_folder: Path) -> None:
    corpus = Corpus(name="own", split="validation", words=[["Bob"]], tags=[["B-NEW"]], documents=None)
    (item,) = Examples(corpus, load_tokenizer(tiny_model_folder), 16, LABELS)
    assert {label for label in item["labels"] if label != IGNORED} == {0}


def test_a_batch_is_padded_to_its_longest_item() -> None:
    made = collate([{"input_ids": [5, 6], "labels": [0, 1]}, {"input_ids": [7], "labels": [2]}], pad=9)
    assert {name: tensor.tolist() for name, tensor in made.items()} == {
        "input_ids": [[5, 6], [7, 9]],
        "labels": [[0, 1], [2, IGNORED]],
        "attention_mask": [[1, 1], [1, 0]],
    }


def test_a_batch_of_equal_lengths_needs_no_mask() -> None:
    made = collate([{"input_ids": [5, 6], "labels": [0, 1]}, {"input_ids": [7, 8], "labels": [2, 0]}], pad=9)
    assert {name: tensor.tolist() for name, tensor in made.items()} == {
        "input_ids": [[5, 6], [7, 8]],
        "labels": [[0, 1], [2, 0]],
    }


def test_a_blank_item_teaches_nothing(tiny_model_folder: Path) -> None:
    examples = Examples(tagged_corpus(), load_tokenizer(tiny_model_folder), 16, LABELS)
    blank = examples[BLANK]
    assert len(blank["labels"]) == len(blank["input_ids"]) > 0
    assert set(blank["labels"]) == {IGNORED}
    assert examples.occurring == {piece for item in examples for piece in item["input_ids"]}
