"""int8 inference: exact products of integers, sentences that do not affect each other, and a clear refusal."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import SENTENCES
from transformers.activations import GELUActivation

from nerbench.artifacts.errors import InputError
from nerbench.tasks.inference import quantized_linear
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import check_precision, load_tagger
from nerbench.tasks.inference.optimize import optimize_for_inference
from nerbench.tasks.inference.prediction import predict_block
from nerbench.tasks.inference.quantized_linear import QuantizedLinear

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def quantized(tiny_model_folder: Path) -> LoadedModel:
    return load_tagger(tiny_model_folder, device=CPU, precision="int8")


def integers(rows: np.ndarray, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row as integers, and what 1 stands for; the oracle, in float32 like the layer."""
    scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(largest)
    return np.rint(rows / scale).astype(np.int64), scale


@pytest.mark.parametrize("bias", [True, False])
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 40), inputs=st.integers(1, 400), extreme=st.booleans())
def test_products_of_integers_are_exact(bias: bool, rows: int, inputs: int, extreme: bool) -> None:
    generator = torch.Generator().manual_seed(rows * inputs)
    layer = torch.nn.Linear(inputs, 24, bias=bias)
    x = torch.randn((rows, inputs), generator=generator)
    if extreme:  # every integer is the largest: sums of 16 bits would overflow
        x = x.sign() * 3
        layer.weight.data = layer.weight.data.sign() + (layer.weight.data == 0)
    weights, of_output = integers(layer.weight.detach().numpy(), 63)
    activations, of_row = integers(x.numpy(), 127)
    expected = (activations @ weights.T) * of_row.astype(np.float64) * of_output[:, 0].astype(np.float64)
    with torch.inference_mode():
        found = QuantizedLinear(layer)(x).numpy()
    expected += layer.bias.detach().numpy() if bias else 0
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_a_row_of_zeros_gives_the_bias() -> None:
    layer = torch.nn.Linear(8, 3)
    with torch.inference_mode():
        torch.testing.assert_close(QuantizedLinear(layer)(torch.zeros(2, 8)), layer.bias.expand(2, 3))


def test_gelu_after_a_layer_has_the_same_bits_as_the_activation() -> None:
    layer, x = torch.nn.Linear(8, 3), torch.randn(20, 8)
    with torch.inference_mode():
        expected = GELUActivation()(QuantizedLinear(layer)(x))
        assert torch.equal(QuantizedLinear(layer, gelu=True)(x), expected)


@pytest.mark.parametrize(
    ("outputs", "kinds"), [(6, [QuantizedLinear, torch.nn.Identity]), (3, [torch.nn.Linear, GELUActivation])]
)
def test_gelu_moves_into_quantized_layers_only(outputs: int, kinds: list[type]) -> None:
    model = torch.nn.Module()
    model.config = SimpleNamespace(num_labels=3)
    model.dense, model.intermediate_act_fn = torch.nn.Linear(8, outputs), GELUActivation()
    quantized_linear.quantize_linear_layers(model)
    assert [type(child) for child in model.children()] == kinds


def test_a_row_with_a_number_that_is_not_finite_gives_no_logits() -> None:
    x = torch.tensor([[1.0, float("nan")], [float("inf"), 1.0], [1.0, 2.0]])
    with torch.inference_mode():
        found = QuantizedLinear(torch.nn.Linear(2, 3))(x)
    assert torch.isfinite(found).all(dim=1).tolist() == [False, False, True]


def test_all_layers_but_the_classifier_are_quantized(quantized: LoadedModel) -> None:
    kinds = [type(module) for module in quantized.model.modules()]
    assert kinds.count(torch.nn.Linear) == 1
    assert kinds.count(QuantizedLinear) == 6 * quantized.model.config.num_hidden_layers
    assert type(quantized.model.classifier) is torch.nn.Linear


def test_a_sentence_has_the_same_tags_whatever_is_beside_it(quantized: LoadedModel) -> None:
    tagger = optimize_for_inference(quantized)
    assert tagger.batching == "packed"
    long = [SENTENCES[0] * 3]
    first, second = (predict_block(tagger, [*SENTENCES[:2], *others]) for others in (SENTENCES[2:], long))
    words = sum(len(sentence) for sentence in SENTENCES[:2])
    assert first.labels[:words].tolist() == second.labels[:words].tolist()
    np.testing.assert_allclose(first.scores[:words], second.scores[:words], rtol=1e-5)


def test_a_model_that_int8_would_change_is_refused(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuantizedLinear, "forward", lambda self, x: torch.full((*x.shape[:-1], len(self.bias)), 9.0))
    with pytest.raises(InputError, match=r"benchmark\.dtype: int8 changes logits of model fred .*; use fp32 or bf16"):
        load_tagger(tiny_model_folder, device=CPU, precision="int8", name="fred")


def test_a_processor_without_int8_products_is_refused(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(quantized_linear, "quantize_linear_layers", fail)
    with pytest.raises(InputError, match="computes no int8 products: could not create a primitive; use fp32"):
        load_tagger(tiny_model_folder, device=CPU, precision="int8")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_int8_is_refused_on_accelerators(device: str) -> None:
    with pytest.raises(InputError, match=f"int8 is not computed on {device}"):
        check_precision("int8", device)
