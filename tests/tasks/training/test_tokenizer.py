import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import SENTENCES
from transformers import PreTrainedTokenizerFast

from nerbench.tasks.training.setup import SPECIAL, train_tokenizer

ROOT = Path(__file__).resolve().parents[3]
PRINT = """
import sys
from nerbench.tasks.training.setup import train_tokenizer
print(train_tokenizer([line.split() for line in sys.stdin], 150, 64).backend_tokenizer.to_str())
"""


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(SENTENCES, 200, 64)


@pytest.mark.slow
def test_the_same_words_give_the_same_tokenizer_in_every_process() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("0", "1", "4711")
    ]
    text = "\n".join(" ".join(sentence) for sentence in SENTENCES)
    outputs = {process.communicate(text)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(outputs) == 1


def test_special_tokens_come_first_and_surround_a_text(tokenizer: PreTrainedTokenizerFast) -> None:
    assert [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL] == [0, 1, 2, 3, 4]
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(["Ada", "lives"], is_split_into_words=True)["input_ids"])
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")


def test_no_letter_of_the_corpus_is_unknown(tokenizer: PreTrainedTokenizerFast) -> None:
    letters = {letter for sentence in SENTENCES for word in sentence for letter in word}
    strange = "".join(sorted(letters & set("abcdefghijklmnopqrstuvwxyz")))[::-1]
    assert tokenizer.unk_token not in tokenizer.tokenize(strange)
    assert tokenizer.tokenize("北") == ["[UNK]"]


def test_pieces_are_ordinary_ones(tokenizer: PreTrainedTokenizerFast) -> None:
    # tokens that resemble special tokens must not be found within words, or dropped as special ones
    assert set(tokenizer.all_special_tokens) == set(SPECIAL)
    assert tokenizer.tokenize("a##b") != ["a", "##b"]


def test_the_vocabulary_has_the_size_asked_for(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(train_tokenizer(SENTENCES, 130, 64)) == 130
    assert len(tokenizer) <= 200
    assert tokenizer.model_max_length == 64


def test_a_saved_tokenizer_is_the_same(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for sentence in SENTENCES:
        assert loaded(sentence, is_split_into_words=True) == tokenizer(sentence, is_split_into_words=True)
