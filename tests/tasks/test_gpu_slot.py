"""What works on a GPU holds a slot of the limit `gpu` meanwhile; what does not holds none."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tasks import steps
from tasks.config import BenchmarkConfig, Config, ModelConfig


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """The slots that are held now: their limit, and the seconds after which a dead process loses them."""
    now: list[tuple[str, float]] = []

    @contextmanager
    def concurrency(name: str, *, lease_duration: float) -> Iterator[None]:
        now.append((name, lease_duration))
        yield
        now.pop()

    monkeypatch.setattr(steps, "concurrency", concurrency)
    return now


def work(step: str, device: str, cached: bool) -> None:
    """Carry out one step, all of whose work is done by stand-ins."""
    plan = SimpleNamespace(record=object() if cached else None, settings=SimpleNamespace(device=device))
    artifact, corpus = SimpleNamespace(name="m"), SimpleNamespace(dataset=SimpleNamespace(name="d"))
    benchmark = BenchmarkConfig(device=device)
    model = ModelConfig.model_validate({"name": "m", "base": {"model_type": "bert"}, "device": device})
    calls: dict[str, Any] = {
        "finetune": lambda: steps.finetune.fn(model, None),
        "evaluate": lambda: steps.evaluate.fn(artifact, corpus, plan, "results"),
        "check_canary": lambda: steps.check_canary.fn(artifact, corpus, plan, 0.1, "results"),
        "measure": lambda: steps.measure.fn(None, artifact, corpus, Config(benchmark=benchmark)),
    }
    calls[step]()


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch, held: list[tuple[str, float]]) -> list[list[tuple[str, float]]]:
    """The slots that were held whenever something worked."""
    seen: list[list[tuple[str, float]]] = []

    def worked(*_: Any, **__: Any) -> Any:
        seen.append(list(held))
        return SimpleNamespace(model_dump=lambda mode: {})

    for where in ("launch.train", "evaluation.carry_out", "canary.check", "measurement.measure_and_write"):
        module, name = where.split(".")
        monkeypatch.setattr(getattr(steps, module), name, worked)
    monkeypatch.setattr(steps, "_progress_bar", lambda name: lambda event: None)
    monkeypatch.setattr(steps.refs, "open_corpus", lambda corpus: SimpleNamespace(n_words=1))
    return seen


@pytest.mark.parametrize("step", ["finetune", "evaluate", "check_canary", "measure"])
def test_a_step_on_a_gpu_holds_the_slot(
    step: str, during: list[Any], held: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "resolve_device", lambda device, field="": torch.device("cuda"))
    work(step, "cuda", cached=False)
    assert during == [[("gpu", 60.0)]]
    assert held == []


@pytest.mark.parametrize("step", ["finetune", "evaluate", "check_canary", "measure"])
def test_a_step_on_a_cpu_holds_none(step: str, during: list[Any]) -> None:
    work(step, "cpu", cached=False)
    assert during == [[]]


def test_what_is_cached_waits_for_no_gpu(during: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        steps, "resolve_device", lambda device, field="": torch.device("cpu" if device == "cpu" else "cuda")
    )
    work("evaluate", "cuda", cached=True)
    assert during == [[]]
