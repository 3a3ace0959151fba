"""The whole pipeline with store and results on S3, and planted credentials that must not be written."""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from s3_server import running_s3

from nerbench.artifacts.references import resolve, verify
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDKEYPLANTED",
    "AWS_SECRET_ACCESS_KEY": "planted/secret+of/forty0characters0long000",
    "AWS_SESSION_TOKEN": "planted-session-token-0123456789",
    "HF_TOKEN": "hf_plantedTokenPlantedTokenPlanted",
}


class Ran(NamedTuple):
    """A pipeline run with one model."""

    config: Config
    summary: dict[str, Any]
    log: list[str]


class Listener(logging.Handler):
    """Keeps all messages."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.getMessage()} {record.exc_text} {record.__dict__}")


@pytest.fixture(scope="module")
def ran(config: Config) -> Iterator[Ran]:
    from nerbench.flows.pipeline import pipeline

    listener = Listener()
    heard = [logging.getLogger(name) for name in ("", "prefect", "prefect.flow_runs", "prefect.task_runs")]
    with running_s3() as bucket, pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        for logger in heard:
            logger.addHandler(listener)
        model = config.models[0].model_copy(update={"epochs": 1.0})
        changes = {"store": f"{bucket}/flow/store", "results": f"{bucket}/flow/results", "models": (model,)}
        benchmark = config.benchmark.model_copy(update={"report": True})
        on_s3 = config.model_copy(update=changes | {"benchmark": benchmark})
        try:
            yield Ran(on_s3, pipeline(on_s3), listener.messages)
        finally:
            for logger in heard:
                logger.removeHandler(listener)


def test_models_and_tables_live_on_s3(ran: Ran) -> None:
    from nerbench.flows.benchmark import benchmark

    on_s3, summary = ran.config, ran.summary
    assert summary["artifacts"][0]["uri"].startswith(on_s3.store)
    assert all(uri.startswith(on_s3.results) for uris in summary["tables"].values() for uri in uris)
    (found,) = resolve("tiny", on_s3.store)
    assert [v.ok for v in verify(found.uri, on_s3.store)] == [True]
    assert read_results(on_s3.results, "metrics").num_rows == len(summary["metrics"])
    again = benchmark(on_s3)
    assert (again["evaluated"], again["cached"]) == (0, 1)


def test_no_secret_is_written_anywhere(ran: Ran) -> None:
    root = open_root(ran.config.store.rpartition("/")[0])
    places = {path: root.read(path) for path in root.files(recursive=True)}
    assert any("/manifests/" in path for path in places)
    assert any("/metrics/" in path for path in places)
    places |= {f"rows of {path}": rows_of(data) for path, data in places.items() if path.endswith(".parquet")}
    places |= {"summary": repr(ran.summary).encode(), "log": repr(ran.log).encode(), "prefect": from_prefect()}
    assert min(len(places[name]) for name in ("summary", "log", "prefect")) > 1000
    for name, secret in SECRETS.items():
        assert [place for place, data in places.items() if secret.encode() in data] == [], name


def rows_of(data: bytes) -> bytes:
    """All values of a table as text, since files are compressed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return repr(pq.read_table(pa.BufferReader(data)).to_pylist()).encode()


def from_prefect() -> bytes:
    """The data on the server: parameters, logs and artifacts of all flow runs."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        runs, logs, shown = client.read_flow_runs(), client.read_logs(), client.read_artifacts()
    return repr([[one.model_dump() for one in found] for found in (runs, logs, shown)]).encode()
