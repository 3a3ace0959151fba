"""Steps on GPUs hold one slot of the limit `gpu` per GPU; other steps hold none."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nerbench.tasks import as_task
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import BenchmarkConfig, Config, ModelConfig


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, float]]:
    """The held slots: limit, number, and lease in seconds."""
    now: list[tuple[str, int, float]] = []

    @contextmanager
    def concurrency(name: str, *, occupy: int, lease_duration: float) -> Iterator[None]:
        now.append((name, occupy, lease_duration))
        yield
        now.pop()

    monkeypatch.setattr(as_task, "concurrency", concurrency)
    return now


def work(step: str, device: str, cached: bool, gpus: int = 1) -> None:
    """Run one step with fakes for all its work."""
    record = SimpleNamespace(model_dump=lambda mode: {}) if cached else None
    plan = SimpleNamespace(record=record, settings=SimpleNamespace(device=device, processes=gpus))
    shard = SimpleNamespace(record=record, place="", of=1, blocks=lambda corpus: range(1))
    artifact, corpus = SimpleNamespace(name="m"), SimpleNamespace(place="d")
    benchmark = BenchmarkConfig(device=device)
    model = ModelConfig.model_validate(
        {"name": "m", "base": {"model_type": "bert"}, "device": device, "processes": gpus}
    )
    calls: dict[str, Any] = {
        "finetune": lambda: tasks.finetune.fn(SimpleNamespace(model=model)),
        "evaluate": lambda: tasks.evaluate.fn(artifact, corpus, plan, shard, "results"),
        "check_canary": lambda: tasks.check_canary.fn(
            SimpleNamespace(date="2026-11-30", results="r"), artifact, corpus, plan, 0.1
        ),
        "measure": lambda: tasks.measure.fn(None, artifact, corpus, Config(benchmark=benchmark)),
    }
    calls[step]()


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch, held: list[tuple[str, int, float]]) -> list[list[tuple[str, int, float]]]:
    """The slots held during the work."""
    seen: list[list[tuple[str, int, float]]] = []

    def worked(*_: Any, **__: Any) -> Any:
        seen.append(list(held))
        return SimpleNamespace(model_dump=lambda mode: {})

    monkeypatch.setattr(tasks.launch, "train", worked)
    monkeypatch.setattr(tasks.evaluation_cache, "carry_out", worked)
    monkeypatch.setattr(tasks.canary, "check", worked)
    monkeypatch.setattr(tasks.latency, "measure_and_write", worked)
    monkeypatch.setattr(tasks, "create_progress_artifact", lambda *_, **__: None)
    monkeypatch.setattr(
        "nerbench.tasks.data.corpus_refs.open_corpus", lambda corpus: SimpleNamespace(n_words=1, lengths=[1])
    )
    return seen


@pytest.mark.parametrize("step", ["finetune", "evaluate", "check_canary", "measure"])
def test_a_step_on_a_gpu_holds_the_slot(
    step: str, during: list[Any], held: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_task, "resolve_device", lambda device, field="": torch.device("cuda"))
    work(step, "cuda", cached=False)
    assert during == [[("gpu", 1, 60.0)]]
    assert held == []


@pytest.mark.parametrize("step", ["finetune", "evaluate"])
def test_several_processes_hold_as_many(step: str, during: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_task, "resolve_device", lambda device, field="": torch.device("cuda"))
    work(step, "cuda", cached=False, gpus=4)
    assert during == [[("gpu", 4, 60.0)]]


@pytest.mark.parametrize("step", ["finetune", "evaluate", "check_canary", "measure"])
def test_a_step_on_a_cpu_holds_none(step: str, during: list[Any]) -> None:
    work(step, "cpu", cached=False)
    assert during == [[]]


def test_cached_evaluations_wait_for_no_gpu(during: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        as_task, "resolve_device", lambda device, field="": torch.device("cpu" if device == "cpu" else "cuda")
    )
    monkeypatch.setattr(as_task, "concurrency", None)
    work("evaluate", "cuda", cached=True)
    assert during == []
