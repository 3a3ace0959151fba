"""An unreachable store: requests are retried for over a minute, then reported; nothing is silently inferred again."""

import os
from collections.abc import Iterator
from email.message import Message
from threading import Thread
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from fault_proxy import FaultProxy
from s3_server import running_s3

from nerbench.artifacts.errors import NerbenchError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.references import pull, resolve
from nerbench.artifacts.store import Store
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e
OUTAGE_S = 60.0


class Clock:
    """A clock on which only waiting takes time, and ends at once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


class Outage(FaultProxy):
    """A proxy to the store that closes connections for objects of `what` until a time."""

    def __init__(self, upstream: str, clock: Clock) -> None:
        super().__init__(upstream)
        self.clock = clock
        self.what, self.until = "", 0.0

    def next_fault(self, method: str, path: str, headers: Message) -> str | None:
        return "drop" if self.clock.now < self.until and self.what in unquote(path) else None


class OnS3(NamedTuple):
    """A model that was benchmarked on S3, and the proxy to the store."""

    config: Config
    way: Outage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("nerbench.artifacts.storage.retries.sleep", clock.sleep)
    monkeypatch.setattr("prefect.task_engine.time", SimpleNamespace(sleep=clock.sleep))
    return clock


@pytest.fixture(scope="module")
def benchmarked(config: Config, finished: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """A model on S3 that has been benchmarked there once."""
    from nerbench.flows.benchmark import benchmark

    folder = tmp_path_factory.mktemp("moved") / "tiny"
    with running_s3() as bucket:
        moved = config.model_copy(update={"store": f"{bucket}/store", "results": f"{bucket}/results"})
        pull(resolve("tiny", config.store)[0], folder)
        (folder / "manifest.json").unlink()
        Store(moved.store).publish(folder, "tiny", Provenance())
        assert benchmark(moved)["evaluated"] == 1
        yield moved


@pytest.fixture
def on_s3(benchmarked: Config, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnS3]:
    with Outage(os.environ["AWS_ENDPOINT_URL"], clock) as way:
        Thread(target=way.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", way.url)
        yield OnS3(benchmarked, way)
        way.shutdown()


@pytest.fixture
def inferred(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The inferences, of which there should be none."""
    seen: list[str] = []

    def predict(tagger: Any, *_: Any, **__: Any) -> None:
        seen.append(str(tagger))
        raise AssertionError("there is inference")

    monkeypatch.setattr("nerbench.tasks.inference.prediction.predict", predict)
    return seen


def test_an_outage_of_a_minute_is_survived(on_s3: OnS3, clock: Clock, inferred: list[str]) -> None:
    from nerbench.flows.benchmark import benchmark

    on_s3.way.until = clock.now + OUTAGE_S
    summary = benchmark(on_s3.config)
    assert (summary["evaluated"], summary["cached"], inferred) == (0, 1, [])
    assert sum(clock.pauses) >= OUTAGE_S


@pytest.mark.parametrize("what", ["/store/", "/results/"])
def test_a_longer_outage_is_reported_and_nothing_is_inferred(
    on_s3: OnS3, clock: Clock, inferred: list[str], what: str
) -> None:
    from nerbench.flows.benchmark import benchmark

    on_s3.way.what, on_s3.way.until = what, float("inf")
    said = rf"s3://\S*{what[:-1]} cannot be reached; the last of 3 attempts failed with"
    with pytest.raises(NerbenchError, match=said) as told:
        benchmark(on_s3.config)
    assert (told.value.exit_status, inferred) == (1, [])
    assert "\n" not in str(told.value)
    assert sum(clock.pauses) >= OUTAGE_S
    print(f"\nafter {sum(clock.pauses):.0f} s of pauses: {told.value}")
    on_s3.way.until = 0.0
    assert benchmark(on_s3.config)["cached"] == 1
