from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import WORDS, save_bag, save_roberta

from nerbench.tasks.inference import prediction as inference
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.prediction import ahead, batches, predict, predict_block

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tagger(tiny_model_folder: Path) -> LoadedModel:
    return load_tagger(tiny_model_folder, device=CPU)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bag(tmp_path_factory.mktemp("bag"), lambda piece: piece % 5)


def random_sentences(n: int, *, longest: int = 14, seed: int = 0) -> list[list[str]]:
    rng = Random(seed)
    return [rng.choices(WORDS, k=rng.randint(1, longest)) for _ in range(n)]


def word_probabilities(tagger: LoadedModel, words: list[str]) -> list[np.ndarray]:
    """(tokens, labels) for each word, as in the examples of transformers: one sentence, one forward pass."""
    encoding = tagger.tokenizer.wrapper(words, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        probabilities = tagger.model(**encoding).logits[0].softmax(-1).numpy()
    ids = encoding.word_ids()
    return [probabilities[[i for i, word in enumerate(ids) if word == n]] for n in range(len(words))]


def test_tags_are_those_of_one_sentence_at_a_time(tagger: LoadedModel) -> None:
    sentences = random_sentences(150)
    (block,) = predict(tagger, sentences)
    first = [pieces[0] for words in sentences for pieces in word_probabilities(tagger, words)]
    assert block.labels.tolist() == [p.argmax() for p in first]
    np.testing.assert_allclose(block.scores, [p.max() for p in first], rtol=1e-4)
    assert len(set(block.labels.tolist())) == 5, "a model with one answer would prove nothing"


@pytest.mark.parametrize("strategy", ["first", "max", "average"])
def test_aggregation_strategies_follow_their_definitions(tagger: LoadedModel, strategy: str) -> None:
    sentences = random_sentences(60, seed=1)
    block = predict_block(tagger, sentences, aggregation_strategy=strategy)
    for found, score, pieces in zip(
        block.labels,
        block.scores,
        (pieces for words in sentences for pieces in word_probabilities(tagger, words)),
        strict=True,
    ):
        decided = {"first": pieces[0], "average": pieces.mean(axis=0), "max": pieces[pieces.max(axis=1).argmax()]}[
            strategy
        ]
        assert found == decided.argmax()
        assert score == pytest.approx(decided.max(), rel=1e-4)


def test_strategies_differ_on_words_of_several_tokens(tagger: LoadedModel) -> None:
    first, most, mean = (
        predict_block(tagger, random_sentences(60), aggregation_strategy=strategy)
        for strategy in ("first", "max", "average")
    )
    assert len({block.labels.tobytes() for block in (first, most, mean)}) == 3


@pytest.mark.parametrize("strategy", ["first", "max", "average"])
def test_every_word_has_one_prediction_even_if_it_vanishes(tagger: LoadedModel, strategy: str) -> None:
    sentences = [["\u200b"], ["Ada", "\u200b", "", "Bob"], ["Bob"]]
    block = predict_block(tagger, sentences, aggregation_strategy=strategy)
    assert (block.labels >= 0).tolist() == [False, True, False, False, True, True]
    assert np.isnan(block.scores).tolist() == [True, False, True, True, False, False]
    assert set(block.labels[[0, 2, 3]]) == {-1}


def test_a_block_of_words_without_tokens(tagger: LoadedModel) -> None:
    block = predict_block(tagger, [["\u200b", ""]])
    assert block.labels.tolist() == [-1, -1]
    assert (block.pieces, block.truncated) == (0, 0)


def test_batches_hold_similar_lengths_within_the_budget(tagger: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(inference.BATCH_PIECES, "cpu", 256)
    shapes: list[tuple[int, ...]] = []
    hook = tagger.model.register_forward_pre_hook(
        lambda model, arguments, inputs: shapes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    block = predict_block(tagger, random_sentences(200))
    hook.remove()
    widths = [width for _, width in shapes]
    assert widths == sorted(widths)
    assert max(rows * width for rows, width in shapes) <= 256
    specials = 2 * 200
    assert sum(rows * width for rows, width in shapes) < 1.1 * (block.pieces + specials)


def test_no_sentences_no_blocks(tagger: LoadedModel) -> None:
    assert list(predict(tagger, [])) == []


def test_a_subset_of_whole_blocks_gives_the_same_bits(tagger: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "BLOCK", 16)
    monkeypatch.setitem(inference.BATCH_PIECES, "cpu", 128)
    sentences = random_sentences(70)
    full = list(predict(tagger, sentences))
    assert [len(block.labels) for block in full] == [sum(map(len, sentences[i : i + 16])) for i in range(0, 70, 16)]
    for number in (1, 2, 4):
        (alone,) = predict(tagger, sentences[16 * number : 16 * number + 16])
        assert np.array_equal(alone.labels, full[number].labels)
        assert alone.scores.tobytes() == full[number].scores.tobytes()


@pytest.mark.parametrize("window", [16, 32, 64, 512])
def test_long_sentences_are_predicted_word_for_word(bag: Path, window: int) -> None:
    tagger = load_tagger(bag, device=CPU, window=window)
    sentences = [*random_sentences(3, longest=900, seed=2), ["\u200b"], ["Ada"]]
    expected = [
        (ids[0] % 5 if (ids := tagger.tokenizer.backend.encode(word, add_special_tokens=False).ids) else -1)
        for words in sentences
        for word in words
    ]
    block = predict_block(tagger, sentences)
    assert block.labels.tolist() == expected
    assert (block.truncated, max(map(len, sentences)) > 512) == (0, True)


@pytest.mark.parametrize("window", [16, 32, 64])
def test_an_entity_at_the_end_of_3000_words_is_found(tmp_path: Path, tagger: LoadedModel, window: int) -> None:
    planted = tagger.tokenizer.backend.token_to_id("Z")  # no other word begins with it
    place = load_tagger(save_bag(tmp_path, lambda piece: int(piece == planted)), device=CPU, window=window)
    short = "Ada lives in Zanzibar".split()
    assert predict_block(place, [short]).labels.tolist() == [0, 0, 0, 1]
    long = Random(3).choices([word for word in WORDS if word != "Zanzibar"], k=2996) + short
    assert predict_block(place, [long]).labels.tolist() == [0] * 2999 + [1]


def test_a_word_longer_than_the_window_is_predicted_by_its_first_tokens_and_counted(bag: Path) -> None:
    tagger = load_tagger(bag, device=CPU, window=16)
    word = "aeb" * 30
    ids = tagger.tokenizer.backend.encode(word, add_special_tokens=False).ids
    assert len(ids) > 14
    seen = np.bincount([piece % 5 for piece in ids[:14]], minlength=5) / 14
    for strategy, label in {"first": ids[0] % 5, "average": seen.argmax()}.items():
        block = predict_block(tagger, [["Ada", word, "Bob"]], aggregation_strategy=strategy)
        assert block.truncated == 1
        assert block.labels[1] == label


def test_a_roberta_fills_its_window_and_no_more(tmp_path: Path) -> None:
    tagger = load_tagger(save_roberta(tmp_path), device=CPU)
    block = predict_block(tagger, [WORDS * 3, WORDS[:2]])
    assert (block.labels >= 0).all()
    words = WORDS[:3]
    expected = [pieces[0].argmax() for pieces in word_probabilities(tagger, words)]
    assert predict_block(tagger, [words]).labels.tolist() == expected


lengths_in_order = st.lists(st.integers(1, 60), max_size=80).map(sorted)


@given(lengths_in_order, st.integers(8, 200))
def test_packed_batches_count_no_padding(lengths: list[int], budget: int) -> None:
    runs = list(batches(lengths, budget, "packed"))
    assert [i for run in runs for i in run] == list(range(len(lengths)))
    sizes = [sum(lengths[i] for i in run) for run in runs]
    assert all(size <= budget or len(run) == 1 for size, run in zip(sizes, runs, strict=True))
    assert all(size + lengths[after[0]] > budget for size, after in zip(sizes, runs[1:], strict=False))


@given(lengths_in_order, st.integers(8, 200))
def test_even_batches_have_one_length(lengths: list[int], budget: int) -> None:
    runs = list(batches(lengths, budget, "even"))
    assert [i for run in runs for i in run] == list(range(len(lengths)))
    assert all(lengths[run[0]] == lengths[run[-1]] and len(run) <= max(1, budget // lengths[run[0]]) for run in runs)


@given(lengths_in_order, st.integers(8, 200))
def test_batches_follow_each_other_and_keep_the_budget(lengths: list[int], budget: int) -> None:
    runs = list(batches(lengths, budget))
    assert [i for run in runs for i in run] == list(range(len(lengths)))
    assert all(len(run) * lengths[run[-1]] <= budget or len(run) == 1 for run in runs)
    # no batch had space for the first item of the next one
    assert all((len(a) + 1) * lengths[b[0]] > budget for a, b in pairwise(runs))


def test_prefetched_items_come_in_order_and_are_bounded() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    found = ahead(lambda number: number * number, items())
    assert next(found) == 0
    assert len(taken) <= 4
    assert list(found) == [number * number for number in range(1, 20)]


def test_an_error_ahead_is_raised_where_its_block_would_come() -> None:
    found = ahead(lambda number: 1 // number, [2, 1, 0, 3])
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
