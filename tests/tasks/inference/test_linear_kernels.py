"""The kernels of linear layers: the fastest ones are chosen once, stored, and shared by all workers."""

from pathlib import Path

import pytest
import torch
from tiny_models import save_bert

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.storage.open_root import open_root
from nerbench.tasks.inference import linear_kernels
from nerbench.tasks.inference.linear_kernels import FOLDER, default_kernel, fastest, forget_kernels, kernels_for
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.optimize import golden_inputs, one_by_one, optimize_for_inference, together
from nerbench.tasks.inference.packed_linear import Kernel, LinearShape, PackedLinear, linear_layers

CPU = torch.device("cpu")
SQUARE, WIDE = LinearShape(256, 256, gelu=False), LinearShape(256, 512, gelu=True)


class Layers(torch.nn.Module):
    """Two large layers of the same shape, and a small one."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = torch.nn.Linear(256, 256), torch.nn.Linear(256, 256)
        self.classifier = torch.nn.Linear(256, 9)


def choose(monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> list[LinearShape]:
    """Let `kernel` be the fastest from now on. Returns the shapes that are timed."""
    timed: list[LinearShape] = []

    def fastest(shape: LinearShape, layer: torch.nn.Linear) -> Kernel:
        timed.append(shape)
        return kernel

    monkeypatch.setattr(linear_kernels, "fastest", fastest)
    return timed


def test_each_large_shape_is_timed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = choose(monkeypatch, "torch")
    assert kernels_for(Layers(), str(tmp_path)) == {SQUARE: "torch"}
    assert timed == [SQUARE]


def test_a_stored_choice_counts_until_it_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "torch")
    kernels_for(Layers(), str(tmp_path))
    timed = choose(monkeypatch, "onednn")
    assert kernels_for(Layers(), str(tmp_path)) == {SQUARE: "torch"}
    assert not timed
    forget_kernels(str(tmp_path))
    assert kernels_for(Layers(), str(tmp_path)) == {SQUARE: "onednn"}


def test_new_shapes_are_added_to_the_stored_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "torch")
    kernels_for(Layers(), str(tmp_path))
    choose(monkeypatch, "onednn")
    other = LinearShape(512, 512, gelu=False)
    assert kernels_for(torch.nn.Sequential(Layers(), torch.nn.Linear(512, 512)), str(tmp_path)) == {
        SQUARE: "torch",
        other: "onednn",
    }


def test_nothing_is_timed_without_onednn_or_large_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = choose(monkeypatch, "torch")
    assert kernels_for(torch.nn.Linear(256, 9), str(tmp_path)) == {}
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert kernels_for(Layers(), str(tmp_path)) == {}
    assert not timed
    assert not list(tmp_path.iterdir())


def test_other_threads_have_other_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "torch")
    kernels_for(Layers(), str(tmp_path))
    monkeypatch.setattr(linear_kernels, "processor", lambda: ("AVX2", 64))
    assert choose(monkeypatch, "onednn") == []
    assert kernels_for(Layers(), str(tmp_path)) == {SQUARE: "onednn"}


def test_of_two_workers_that_time_at_once_the_first_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(shape: LinearShape, layer: torch.nn.Linear) -> Kernel:
        choose(monkeypatch, "torch")  # the other worker
        assert kernels_for(Layers(), str(tmp_path)) == {SQUARE: "torch"}
        return "onednn"

    monkeypatch.setattr(linear_kernels, "fastest", slow)
    assert kernels_for(Layers(), str(tmp_path)) == {SQUARE: "torch"}


def test_a_store_that_never_keeps_the_choice_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "torch")
    monkeypatch.setattr(type(open_root(str(tmp_path))), "swap", lambda *_: False)
    with pytest.raises(RunFailedError, match="changed by others"):
        kernels_for(Layers(), str(tmp_path))


@pytest.mark.parametrize("content", [b"{", b'{"machine": {}, "kernels": {"256x256": "rm -rf"}}', b"[" * 2_000_000])
def test_a_damaged_file_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    choose(monkeypatch, "torch")
    kernels_for(Layers(), str(tmp_path))
    (path,) = (tmp_path / FOLDER).glob("*.json")
    path.write_bytes(content)
    choose(monkeypatch, "onednn")
    for _ in range(2):
        assert kernels_for(Layers(), str(tmp_path)) == {SQUARE: "onednn"}
    assert caplog.text.count("is damaged") == 1


@pytest.mark.parametrize(
    ("torch_s", "onednn_s", "chosen"), [(0.5, 1.0, "torch"), (0.97, 1.0, "onednn"), (1.0, 0.5, "onednn")]
)
def test_the_default_kernel_stays_unless_another_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, torch_s: float, onednn_s: float, chosen: str
) -> None:
    monkeypatch.setattr(linear_kernels, "_time_in_turn", lambda calls: {"torch": torch_s, "onednn": onednn_s})
    assert fastest(SQUARE, torch.nn.Linear(256, 256)) == chosen


def test_a_kernel_that_the_processor_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(self: PackedLinear, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(PackedLinear, "forward", lacking)
    assert fastest(WIDE, torch.nn.Linear(256, 512)) == "torch"


def test_timing_leaves_the_layer_and_the_random_numbers_as_they_are() -> None:
    layer = torch.nn.Linear(256, 512)
    before, state = layer.weight.detach().clone(), torch.get_rng_state()
    assert fastest(WIDE, layer) in {"torch", "onednn", "onednn_gelu"}
    assert torch.equal(layer.weight, before)
    assert layer.weight.requires_grad
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kernel", ["torch", "onednn", "onednn_gelu"])
def test_every_kernel_computes_the_same_logits(tmp_path: Path, kernel: Kernel) -> None:
    folder = save_bert(tmp_path / "bert")
    plain = load_tagger(folder, device=CPU)
    kernels: dict[LinearShape, Kernel] = {
        shape: kernel if shape.gelu or kernel != "onednn_gelu" else default_kernel(shape)
        for shape in linear_layers(plain.model)
    }
    assert any(shape.gelu for shape in kernels)
    quick = optimize_for_inference(load_tagger(folder, device=CPU), kernels)
    packed = [module for module in quick.model.modules() if isinstance(module, PackedLinear)]
    activations = {"torch": set(), "onednn": {"none"}, "onednn_gelu": {"none", "gelu"}}
    assert {module.activation for module in packed} == activations[kernel]
    sentences = golden_inputs(plain)
    for found, expected in zip(together(quick, sentences), one_by_one(plain, sentences), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
