"""One Prefect server for all flow tests, and one small pipeline run that they examine."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect_site import keep_database
from small_corpus import TINY, write_corpus

from nerbench.artifacts.store import Store
from nerbench.flows.launch import quiet
from nerbench.tasks.config import Config

os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
quiet()


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real Prefect server with a separate home and model cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("NERBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    from prefect.settings import (
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_SERVER_DATABASE_CONNECTION_URL,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=600),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        keep_database(Path(str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value()).partition("///")[2]))
        yield
    patch.undo()


@pytest.fixture(scope="session")
def config(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two tiny models, a small corpus, local store and results."""
    folder = tmp_path_factory.mktemp("job")
    files = {"train": 30, "validation": 1, "test": 3}
    model = {"epochs": 12, "learning_rate": 5e-3, "batch_tokens": 256, "vocabulary": 300}
    return Config.model_validate(
        {
            "store": str(folder / "store"),
            "results": str(folder / "results"),
            "datasets": [{"name": "own", "files": {s: write_corpus(folder / f"{s}.txt", n) for s, n in files.items()}}],
            "models": [{"name": "tiny", "base": TINY, **model}, {"name": "tinier", "base": TINY, **model, "seed": 1}],
            "benchmark": {"speed": False, "device": "cpu", "report": False},
        }
    )


def with_report(config: Config) -> Config:
    """The same with a report, which takes a quarter of a benchmark's CPU time here."""
    return config.model_copy(update={"benchmark": config.benchmark.model_copy(update={"report": True})})


@pytest.fixture(scope="session")
def finished(config: Config) -> Iterator[dict[str, Any]]:
    """The summary of a pipeline run over `config`. Tests add no model to its store: others benchmark all of them."""
    from nerbench.flows.pipeline import pipeline

    summary = pipeline(with_report(config))
    shutil.copytree(config.results, f"{config.results}-untouched")
    yield summary
    assert {*Store(config.store).names()} == set(config.model_names)


@pytest.fixture(scope="session")
def untouched(config: Config, finished: dict[str, Any]) -> str:
    """A copy of the results of that run: other tests add theirs to the results of `config`."""
    return f"{config.results}-untouched"
