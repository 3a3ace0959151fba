"""What a night owes: nothing missing goes unsaid, nothing broken hides the rest, and what did not change is not redone."""

from pathlib import Path
from typing import Any

import pytest

from artifacts.errors import InputError, RunFailedError
from artifacts.store import Store
from artifacts.tables import read_results
from tasks.config import Config

pytestmark = pytest.mark.e2e


def night(config: Config, **options: Any) -> dict[str, Any]:
    from flows.benchmark import benchmark

    return benchmark(config, **options)


def scored(summary: dict[str, Any]) -> set[str]:
    return {row["model"] for row in summary["metrics"]}


@pytest.fixture
def weights(config: Config, finished: dict[str, Any]) -> Any:
    """Takes the weights of `tiny` away, and puts them back at the end."""
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
    from artifacts.references import resolve

    return resolve("*@latest", config.store)


def test_a_missing_file_fails_the_night_though_predictions_are_cached(config: Config, weights: Path) -> None:
    with pytest.raises(RunFailedError, match=r"^1 failed: tiny: .*model\.safetensors is missing: ") as failed:
        night(config)
    assert str(weights) in str(failed.value)
    assert failed.value.summary is not None
    assert (failed.value.summary["evaluated"], failed.value.summary["cached"]) == (0, 2)
    assert scored(failed.value.summary) == {"tiny", "tinier"}


def test_a_model_that_cannot_be_loaded_does_not_hide_the_others(config: Config, weights: Path) -> None:
    with pytest.raises(RunFailedError, match=r"^1 failed: tiny: .*is missing") as failed:
        night(config, refresh=True)
    assert failed.value.summary is not None
    assert scored(failed.value.summary) == {"tinier"}


def test_a_model_that_is_named_and_gone_fails_the_night_and_the_others_are_scored(
    config: Config, finished: dict[str, Any]
) -> None:
    with pytest.raises(RunFailedError, match=r"^1 failed: gone: model 'gone': is not in the store") as failed:
        night(config, models=["gone", "tiny"])
    assert failed.value.summary is not None
    assert scored(failed.value.summary) == {"tiny"}


def test_no_model_at_all_is_not_every_model(config: Config, finished: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="models: is an empty list"):
        night(config, models=[])


def test_timings_are_fresh_each_night(config: Config, finished: dict[str, Any]) -> None:
    timed = config.model_copy(update={"benchmark": config.benchmark.model_copy(update={"speed": True})})
    nights = [night(timed, models=["tiny"])["run_id"] for _ in range(2)]
    rows = read_results(config.results, "speed", filters=[("run_id", "in", nights)]).to_pylist()
    assert [row["run_id"] for row in rows].count(nights[0]) == 1
    assert len({tuple(row["samples_s"]) for row in rows}) == 2
