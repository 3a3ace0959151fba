"""Scheduled runs report everything that is missing, and a broken model does not hide the others."""

from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.artifacts.store import Store
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e


def night(config: Config, **options: Any) -> dict[str, Any]:
    from nerbench.flows.benchmark import benchmark

    return benchmark(config, **options)


def scored(summary: dict[str, Any]) -> set[str]:
    return {row["model"] for row in summary["metrics"]}


@pytest.fixture
def weights(config: Config, finished: dict[str, Any]) -> Any:
    """Moves the weights of `tiny` away, and restores them at the end."""
    store = Store(config.store)
    (artifact,) = (one for one in finished["artifacts"] if one["name"] == "tiny")
    key = next(one for one in _refs(config) if one.artifact_id == artifact["artifact_id"])
    (entry,) = (one for one in store.manifest(key).files if one.path == "model.safetensors")
    blob = Path(config.store, "blobs", "sha256", entry.sha256[:2], entry.sha256)
    away = blob.with_name("away")
    blob.rename(away)
    yield blob
    away.rename(blob)


def _refs(config: Config) -> list[Any]:
    from nerbench.artifacts.references import resolve

    return resolve("*@latest", config.store)


@pytest.mark.slow
def test_a_missing_file_fails_the_run_even_if_predictions_are_cached(config: Config, weights: Path) -> None:
    with pytest.raises(RunFailedError, match=r"^1 failed: tiny: .*model\.safetensors is missing: ") as failed:
        night(config)
    assert str(weights) in str(failed.value)
    assert failed.value.summary is not None
    assert (failed.value.summary["evaluated"], failed.value.summary["cached"]) == (0, 2)
    assert scored(failed.value.summary) == {"tiny", "tinier"}


def test_a_missing_model_fails_the_run_and_the_others_are_scored(config: Config, finished: dict[str, Any]) -> None:
    with pytest.raises(RunFailedError, match=r"^1 failed: gone: is not in the store") as failed:
        night(config, models=["gone", "tiny"])
    assert failed.value.summary is not None
    assert scored(failed.value.summary) == {"tiny"}


def test_an_empty_list_of_models_is_not_all_models(config: Config, finished: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="models: is an empty list"):
        night(config, models=[])
