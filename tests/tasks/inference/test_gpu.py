"""Tests that need a CUDA device: the same tags as on the CPU, and half precision. `pytest -m gpu`."""

from pathlib import Path

import pytest
import torch
from tiny_models import SENTENCES, save_bert

from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.optimize import optimize_for_inference
from nerbench.tasks.inference.prediction import predict

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_tags_on_the_gpu_are_those_of_the_cpu(tmp_path: Path, precision: str) -> None:
    folder = save_bert(tmp_path / "model")
    labels = []
    for device, arithmetic in (("cpu", "fp32"), ("cuda", precision)):
        tagger = load_tagger(folder, device=torch.device(device), precision=arithmetic)
        labels.append([int(label) for block in predict(tagger, SENTENCES * 50) for label in block.labels])
    same = sum(a == b for a, b in zip(*labels, strict=True)) / len(labels[0])
    assert same == 1.0 if precision == "fp32" else same > 0.95


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_packed_and_predicts_the_same(tmp_path: Path, precision: str) -> None:
    folder = save_bert(tmp_path / "model")
    plain, quick = (load_tagger(folder, device=torch.device("cuda"), precision=precision) for _ in range(2))
    quick = optimize_for_inference(quick)
    assert quick.batching == "packed"
    found = [
        [int(label) for block in predict(tagger, SENTENCES * 50) for label in block.labels] for tagger in (plain, quick)
    ]
    assert sum(a == b for a, b in zip(*found, strict=True)) / len(found[0]) > 0.95


def test_fp32_is_padded_and_predicts_the_same(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "model")
    plain, quick = load_tagger(folder, device=torch.device("cpu")), load_tagger(folder, device=torch.device("cuda"))
    quick = optimize_for_inference(quick)
    assert quick.batching == "padded"
    assert [b.labels.tolist() for b in predict(quick, SENTENCES * 50)] == [
        b.labels.tolist() for b in predict(plain, SENTENCES * 50)
    ]
