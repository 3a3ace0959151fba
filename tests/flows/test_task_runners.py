"""Threads, processes and Dask's workers give the same results; the number of concurrent tasks is bounded."""

from pathlib import Path
from typing import Any

import pytest
from small_corpus import write_corpus

from nerbench.flows.task_runners import bounded
from nerbench.tasks.config import Config, RunnerConfig
from nerbench.tasks.scoring.metrics import Row

TWO_BLOCKS = 350
"""Repetitions of the six sentences that exceed one block of 2,048."""
OF_THE_RUN = ("run_id", "started_at", "attempt")


class Noted:
    """Work that records when it starts and when its result is awaited."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        log.append(f"begin {name}")

    def result(self, *, raise_on_failure: bool = True) -> str:
        self.log.append(f"wait {self.name}")
        if self.name == "c":
            raise RuntimeError("failed")
        return self.name


@pytest.mark.parametrize(
    ("at_once", "order"),
    [
        (1, "begin a, wait a, begin b, wait b, begin c, wait c, begin d, wait d"),
        (2, "begin a, begin b, wait a, begin c, wait b, begin d, wait c, wait d"),
        (None, "begin a, begin b, begin c, begin d, wait a, wait b, wait c, wait d"),
    ],
    ids=str,
)
def test_work_is_bounded_and_a_failure_stops_nothing_else(at_once: int | None, order: str) -> None:
    log: list[str] = []
    work = bounded((Noted(name, log) for name in "abcd"), at_once)
    assert [one.name for one in work] == list("abcd")
    assert log == order.split(", ")


def test_threads_infer_one_model_at_a_time_and_other_runners_one_per_worker() -> None:
    assert RunnerConfig().at_once == 1
    assert RunnerConfig(kind="threads", evaluations=3).at_once == 3
    assert RunnerConfig(kind="processes", workers=4).at_once is None
    assert RunnerConfig(kind="dask", evaluations=2).at_once == 2


def test_a_runner_can_be_given_by_kind_only() -> None:
    assert Config.model_validate({"runner": "dask"}).runner == RunnerConfig(kind="dask")


def benchmark(config: Config, **options: Any) -> dict[str, Any]:
    from nerbench.flows.benchmark import benchmark

    summary: dict[str, Any] = benchmark(config, **options)
    return summary


def numbers(summary: dict[str, Any]) -> list[Row]:
    """The rows in order of their keys, without columns that differ between runs."""
    rows = [{name: value for name, value in row.items() if name not in OF_THE_RUN} for row in summary["metrics"]]
    return sorted(rows, key=str)


@pytest.fixture(scope="module")
def large(config: Config, finished: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The two models of the flow tests, and a corpus of two blocks."""
    folder = tmp_path_factory.mktemp("large")
    data = config.model_dump()
    data["datasets"][0]["files"]["test"] = write_corpus(folder / "test.txt", TWO_BLOCKS)
    data["benchmark"] |= {"models": ["tiny@latest", "tinier@latest"]}
    return Config.model_validate(data | {"models": []})


def changed(config: Config, results: Path, runner: dict[str, Any], **benchmark: Any) -> Config:
    """Other results, runner and settings of the benchmark."""
    data = config.model_dump()
    changes = {"results": str(results), "runner": runner, "benchmark": data["benchmark"] | benchmark}
    return Config.model_validate(data | changes)


@pytest.fixture(scope="module")
def in_threads(large: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The summary of the benchmark in threads, without shards."""
    return benchmark(changed(large, tmp_path_factory.mktemp("threads"), {"kind": "threads"}))


@pytest.mark.e2e
def test_in_threads_shards_and_chunks_change_nothing(large: Config, in_threads: dict[str, Any], tmp_path: Path) -> None:
    runner = {"kind": "threads", "evaluations": 2, "workers": 2, "cells_per_task": 3}
    config = changed(large, tmp_path, runner, shards=2)
    summary = benchmark(config)
    assert (summary["evaluated"], summary["cached"]) == (2, 0)
    assert numbers(summary) == numbers(in_threads)
    again = benchmark(changed(large, tmp_path, runner, shards=7, canary=0.5))
    assert (again["evaluated"], again["cached"]) == (0, 2)
    assert numbers(again) == numbers(in_threads)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every forward pass in this process impossible, and every score."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the flow's own process does the work")

    monkeypatch.setattr("nerbench.tasks.inference.loading.load_tagger", refuse)
    monkeypatch.setattr("nerbench.tasks.scoring.score_predictions.score_counts", refuse)


@pytest.mark.e2e
@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow) for kind in ("processes", "dask")])
def test_two_workers_give_the_results_of_one_process(
    large: Config, in_threads: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    config = changed(large, tmp_path, {"kind": kind, "workers": 2, "cells_per_task": 3}, shards=2)
    summary = benchmark(config)
    assert (summary["evaluated"], summary["cached"]) == (2, 0)
    assert len(list(tmp_path.glob(".cache/evaluations/*/shards/*/record.json"))) == 4
    assert numbers(summary) == numbers(in_threads)
