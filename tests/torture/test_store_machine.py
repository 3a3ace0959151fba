"""Runs `store_machine` on every kind of store."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from fake_models import save_fake_model
from figures import SEED, Count
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from store_machine import MODELS, StoreMachine, publish

from nerbench.artifacts.store import Store


@pytest.fixture
def memory() -> Iterator[str]:
    name = uuid4().hex
    yield f"memory://{name}"
    for path in [path for path in MemoryFileSystem.store if path.startswith(f"/{name}/")]:
        del MemoryFileSystem.store[path]


def run(url: str, folder: Path, examples: int, count: Count) -> None:
    """Run schedules, each with a new store below `url`."""
    models = [save_fake_model(folder / f"{number}", float(number), 8, {}) for number in range(MODELS)]
    scratch = Store(f"{url}/scratch")
    known = {(name, publish(scratch, model, name)): number for number, model in enumerate(models) for name in "ab"}

    @seed(SEED)
    def machine() -> StoreMachine:
        return StoreMachine(f"{url}/{uuid4().hex}", folder, known, count)

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=25, deadline=None, database=None, suppress_health_check=checks
        ),
    )


@pytest.mark.parametrize("examples", [5, pytest.param(150, marks=pytest.mark.torture)])
def test_on_a_local_disk(tmp_path: Path, figures: list[Count], examples: int) -> None:
    figures.append(Count("store against a dictionary", "file"))
    run(str(tmp_path / "stores"), tmp_path, examples, figures[-1])


@pytest.mark.parametrize("examples", [5, pytest.param(150, marks=pytest.mark.torture)])
def test_in_memory(tmp_path: Path, memory: str, figures: list[Count], examples: int) -> None:
    figures.append(Count("store against a dictionary", "memory"))
    run(memory, tmp_path, examples, figures[-1])


@pytest.mark.torture
def test_on_s3(tmp_path: Path, any_s3_url: str, server_name: str, figures: list[Count]) -> None:
    figures.append(Count("store against a dictionary", server_name))
    run(any_s3_url, tmp_path, 20, figures[-1])
