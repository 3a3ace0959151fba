"""The whole pipeline with store and results on S3."""

from collections.abc import Iterator
from typing import Any

import pytest
from s3_server import running_s3

from artifacts.references import resolve, verify
from artifacts.tables import read_results
from tasks.config import Config

pytestmark = pytest.mark.e2e


@pytest.fixture
def on_s3(config: Config) -> Iterator[Config]:
    """The configuration with one model, store and results in a bucket of a local server."""
    with running_s3() as bucket:
        changes = {"store": f"{bucket}/flow/store", "results": f"{bucket}/flow/results", "models": config.models[:1]}
        yield config.model_copy(update=changes)


def test_models_and_tables_live_on_s3(on_s3: Config) -> None:
    from flows.benchmark import benchmark
    from flows.pipeline import pipeline

    summary: dict[str, Any] = pipeline(on_s3)
    assert summary["artifacts"][0]["uri"].startswith(on_s3.store)
    assert all(uri.startswith(on_s3.results) for uris in summary["tables"].values() for uri in uris)
    (found,) = resolve("tiny", on_s3.store)
    assert [v.ok for v in verify(found.uri, on_s3.store)] == [True]
    assert read_results(on_s3.results, "metrics").num_rows == len(summary["metrics"])
    again = benchmark(on_s3)
    assert (again["evaluated"], again["cached"]) == (0, 1)
