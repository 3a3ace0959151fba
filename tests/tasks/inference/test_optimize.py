"""An optimized model predicts the same as transformers for single sentences, for every architecture."""

from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_architectures import NAMES, save_architecture
from tiny_models import WORDS

from nerbench.tasks.inference import linear_kernels, optimize, packed_attention, prediction
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.optimize import optimize_for_inference
from nerbench.tasks.inference.packed_linear import PackedLinear, filled
from nerbench.tasks.inference.prediction import predict, predict_block

CPU = torch.device("cpu")
PACKED = {"Bert", "DistilBert", "Electra", "Albert", "Roberta", "XLMRoberta"}
EVEN = {"ConvBert", "Funnel"}
sentences_of_any_length = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("architectures")
    return {name: save_architecture(root / name, name) for name in NAMES}


@pytest.fixture(scope="module")
def bert(folders: dict[str, Path]) -> tuple[LoadedModel, LoadedModel]:
    """The model of transformers, and the optimized one."""
    return load_tagger(folders["Bert"], device=CPU), optimize_for_inference(load_tagger(folders["Bert"], device=CPU))


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prediction.BATCH_PIECES, "cpu", 128)
    monkeypatch.setattr(prediction, "BLOCK", 16)


def random_sentences(n: int, *, longest: int = 14, seed: int = 0) -> list[list[str]]:
    rng = Random(seed)
    return [rng.choices(WORDS, k=rng.randint(1, longest)) for _ in range(n)]


def plain_loop(tagger: LoadedModel, sentences: list[list[str]]) -> list[int]:
    """The labels of first tokens by transformers: one sentence, one forward pass, no mask."""
    labels = []
    for words in sentences:
        encoding = tagger.tokenizer.wrapper(words, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            best = tagger.model(input_ids=encoding["input_ids"]).logits[0].argmax(-1).tolist()
        ids = encoding.word_ids()
        labels += [best[ids.index(word)] for word in range(len(words))]
    return labels


def labels_of(tagger: LoadedModel, sentences: list[list[str]]) -> list[int]:
    return list(chain.from_iterable(block.labels.tolist() for block in predict(tagger, sentences)))


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("name", NAMES)
def test_tags_are_those_of_the_plain_loop(folders: dict[str, Path], name: str) -> None:
    sentences = random_sentences(60)
    sentences += sentences[10:20]  # duplicates, in another block
    expected = plain_loop(load_tagger(folders[name], device=CPU), sentences)
    assert len(set(expected)) > 2, "a model with one answer would prove nothing"
    tagger = optimize_for_inference(load_tagger(folders[name], device=CPU))
    assert labels_of(tagger, sentences) == expected
    assert tagger.batching == ("packed" if name in PACKED else "even" if name in EVEN else "padded")
    assert not [m for m in tagger.model.modules() if type(m) is torch.nn.Linear]


@pytest.mark.parametrize("name", ["Bert", "Deberta", "ConvBert"])
def test_a_window_that_overflows_is_cut_as_without(folders: dict[str, Path], name: str) -> None:
    sentences = random_sentences(6, longest=120, seed=1)
    plain, quick = (load_tagger(folders[name], device=CPU, window=24) for _ in range(2))
    expected = [label for words in sentences for label in one_window_at_a_time(plain, words)]
    assert labels_of(optimize_for_inference(quick), sentences) == expected


def one_window_at_a_time(tagger: LoadedModel, words: list[str]) -> list[int]:
    from nerbench.tasks.inference.tokenization import tokenize, windows

    labels = [-1] * len(words)
    for window in windows(tokenize(tagger.tokenizer.backend, [words]), tagger.window, tagger.tokenizer.special):
        with torch.no_grad():
            best = tagger.model(input_ids=torch.tensor([window.ids])).logits[0].argmax(-1).tolist()
        for word, start in zip(window.words, window.starts, strict=True):
            labels[word] = best[start]
    return labels


@settings(max_examples=25, deadline=None)
@given(sentences=sentences_of_any_length)
def test_sentences_do_not_attend_to_each_other(
    bert: tuple[LoadedModel, LoadedModel], sentences: list[list[str]]
) -> None:
    plain, quick = bert
    together = predict_block(quick, sentences)
    alone = [predict_block(plain, [words]) for words in sentences]
    assert together.labels.tolist() == [label for block in alone for label in block.labels]
    np.testing.assert_allclose(together.scores, np.concatenate([block.scores for block in alone]), rtol=1e-4)


@pytest.mark.usefixtures("small_batches")
def test_shards_of_whole_blocks_give_the_same_bits(bert: tuple[LoadedModel, LoadedModel]) -> None:
    _, quick = bert
    sentences = random_sentences(70, seed=2)
    full = list(predict(quick, sentences))
    for number in (1, 3):
        (alone,) = predict(quick, sentences[16 * number : 16 * number + 16])
        assert alone.labels.tobytes() == full[number].labels.tobytes()
        assert alone.scores.tobytes() == full[number].scores.tobytes()


def test_equal_sentences_are_computed_once(bert: tuple[LoadedModel, LoadedModel]) -> None:
    _, quick = bert
    seen: Counter[int] = Counter()
    hook = quick.model.register_forward_pre_hook(
        lambda model, arguments, inputs: seen.update(pieces=inputs["input_ids"].numel()), with_kwargs=True
    )
    once = [[first, *words] for first, words in zip(WORDS, random_sentences(20, seed=3), strict=False)]
    first = predict_block(quick, once)
    assert seen["pieces"] == filled(first.pieces + 2 * 20)  # special tokens
    repeated = predict_block(quick, once * 3)
    hook.remove()
    assert seen["pieces"] == 2 * filled(first.pieces + 2 * 20)
    assert repeated.labels.tolist() == first.labels.tolist() * 3
    assert (repeated.pieces, repeated.truncated) == (3 * first.pieces, 3 * first.truncated)


def test_long_and_short_sentences_use_different_kernels_with_equal_results(
    bert: tuple[LoadedModel, LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, quick = bert
    sentences = random_sentences(20, longest=20, seed=4)
    found = []
    for short in (0, 20, 64):
        monkeypatch.setattr(packed_attention, "SHORT", short)
        found.append(predict_block(quick, sentences))
    assert found[0].labels.tolist() == found[1].labels.tolist() == found[2].labels.tolist()
    np.testing.assert_allclose(found[0].scores, found[2].scores, rtol=1e-4)


def test_an_optimized_model_still_takes_padded_batches(bert: tuple[LoadedModel, LoadedModel]) -> None:
    plain, quick = bert
    inputs = plain.tokenizer.wrapper(["Ada Lovelace lives", "in"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected, found = plain.model(**inputs).logits, quick.model(**inputs).logits
    real = inputs["attention_mask"].bool()
    torch.testing.assert_close(found[real], expected[real], rtol=1e-4, atol=1e-4)


def test_attention_that_leaks_is_not_used(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def everyone(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: object) -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)

    monkeypatch.setattr(packed_attention, "_run_by_run", everyone)
    tagger = optimize_for_inference(load_tagger(folders["Bert"], device=CPU))
    assert (tagger.batching, tagger.model.config._attn_implementation) == ("padded", "sdpa")


def test_the_slightest_leak_is_noticed_in_low_precision(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = packed_attention._run_by_run

    def leaking(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: object) -> torch.Tensor:
        return honest(query, key, value, *rest) + 1e-2 * value.mean()  # type: ignore[arg-type]

    monkeypatch.setattr(packed_attention, "_run_by_run", leaking)
    assert optimize_for_inference(load_tagger(folders["Bert"], device=CPU, precision="bf16")).batching == "padded"


@pytest.mark.parametrize("failing", ["wrong", "raising"])
def test_linear_layers_with_other_results_are_restored(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def forward(self: PackedLinear, x: torch.Tensor) -> torch.Tensor:
        if failing == "raising":
            raise RuntimeError("not on this machine")
        return torch.zeros(*x.shape[:-1], 1).expand(*x.shape[:-1], len(self.bias))

    monkeypatch.setattr(PackedLinear, "forward", forward)
    plain, quick = (
        load_tagger(folders["Bert"], device=CPU),
        optimize_for_inference(load_tagger(folders["Bert"], device=CPU)),
    )
    assert not [m for m in quick.model.modules() if isinstance(m, PackedLinear | torch.nn.Identity)]
    sentences = random_sentences(20)
    assert labels_of(quick, sentences) == labels_of(plain, sentences)


def test_bf16_stays_bf16(folders: dict[str, Path]) -> None:
    quick = optimize_for_inference(load_tagger(folders["Bert"], device=CPU, precision="bf16"))
    dtypes = []
    hook = quick.model.register_forward_hook(lambda model, inputs, output: dtypes.append(output.logits.dtype))
    optimize.together(quick, [(1, 4, 5, 2)])
    hook.remove()
    assert dtypes == [torch.bfloat16]
    assert quick.batching == "packed"


@given(rows=st.integers(1, 5000))
def test_calls_have_few_sizes_and_little_filling(rows: int) -> None:
    assert rows <= filled(rows) == filled(filled(rows))
    assert filled(rows) < max(2 * rows, 17)
    assert filled(rows) - rows < 512
    assert len({filled(n) for n in range(1, rows + 1)}) <= 6 + rows // 512


@pytest.mark.parametrize("shape", [(7, 32), (1, 3, 32), (2, 5, 32), (600, 32)])
def test_a_packed_layer_computes_the_same_as_the_layer(shape: tuple[int, ...]) -> None:
    layer, x = torch.nn.Linear(32, 48), torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(layer)(x), layer(x), rtol=1e-4, atol=1e-5)
        gelu = torch.nn.functional.gelu(layer(x))
        torch.testing.assert_close(PackedLinear(layer, gelu=True)(x), gelu, rtol=1e-4, atol=1e-5)


def test_avx2_computes_gelu_after_the_product(
    folders: dict[str, Path], bert: tuple[LoadedModel, LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, fused = bert
    monkeypatch.setattr(linear_kernels, "fuses_gelu", lambda: False)
    quick = optimize_for_inference(load_tagger(folders["Bert"], device=CPU))
    kinds, fused_kinds = ([type(m).__name__ for m in tagger.model.modules()] for tagger in (quick, fused))
    layers = plain.model.config.num_hidden_layers
    assert (kinds.count("GELUActivation"), fused_kinds.count("GELUActivation")) == (layers, 0)
    assert kinds.count("PackedLinear") == fused_kinds.count("PackedLinear")
    sentences = random_sentences(20)
    assert labels_of(quick, sentences) == plain_loop(plain, sentences)


@pytest.mark.parametrize("what", ["_may_pack", "pieces_of", "together", "tune_malloc"])
def test_a_failed_optimization_does_not_stop_loading(
    what: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger = load_tagger(folders["Bert"], device=CPU)
    sentences = random_sentences(9)
    expected = plain_loop(tagger, sentences)

    def fail(*_: object) -> None:
        raise AttributeError("gone with an upgrade")

    monkeypatch.setattr(optimize, what, fail)
    quick = optimize_for_inference(tagger)
    assert quick.batching == "even"
    assert labels_of(quick, sentences) == expected


def test_without_a_named_attention_sentences_are_not_packed(bert: tuple[LoadedModel, LoadedModel]) -> None:
    model: Any = SimpleNamespace(config=SimpleNamespace(), dtype=torch.float32)
    assert not optimize._may_pack(replace(bert[0], model=model))
