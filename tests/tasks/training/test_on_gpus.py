"""Training on GPUs; `pytest -m gpu` on a machine that has them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_corpus import TINY, write_corpus

from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.training.launch import TrainedModel, plan_training, train

pytestmark = pytest.mark.gpu

WITHOUT_DROPOUT = {**TINY, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
SETTINGS = {"epochs": 10, "batch_tokens": 96, "vocabulary": 200, "learning_rate": 5e-3, "precision": "fp32"}


def trained(folder: Path, **changes: Any) -> TrainedModel:
    path = write_corpus(folder / "corpus.txt", 8)
    dataset = DatasetConfig(name="own", files={"train": path, "validation": path})
    model = ModelConfig.model_validate({"name": "tiny", "base": WITHOUT_DROPOUT} | SETTINGS | changes)
    return train(plan_training(model, dataset), lambda event: None)


def close(first: TrainedModel, second: TrainedModel, tolerance: float) -> bool:
    one, other = (load_file(Path(model.folder) / "model.safetensors") for model in (first, second))
    return all(torch.allclose(weight, other[name], rtol=0, atol=tolerance) for name, weight in one.items())


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))


def test_a_gpu_learns_the_same_as_the_cpu(tmp_path: Path) -> None:
    on_gpu, on_cpu = trained(tmp_path, device="cuda"), trained(tmp_path, device="cpu")
    assert on_gpu.provenance.training["device"] == "cuda:0"
    assert close(on_gpu, on_cpu, 1e-2)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns(tmp_path: Path, precision: str) -> None:
    model = trained(tmp_path, base=TINY, epochs=30, device="cuda", precision=precision)
    assert model.provenance.training["precision"] == precision
    assert model.provenance.metrics["validation_f1"] > 0.9


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    first, second = trained(tmp_path, base=TINY, seed=3), trained(tmp_path, base=TINY, seed=3, name="again")
    assert close(first, second, 0.0)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="two processes need two GPUs")
def test_two_gpus_learn_the_same_as_one(tmp_path: Path) -> None:
    one, two = trained(tmp_path, device="cuda"), trained(tmp_path, device="cuda", processes=2)
    assert two.provenance.training["world_size"] == 2
    assert close(one, two, 1e-4)
