"""Threads, processes and Dask's workers give the same results; the number of concurrent tasks is bounded."""

from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest
from small_corpus import write_corpus

from nerbench.artifacts.errors import InputError
from nerbench.flows import task_runners
from nerbench.flows.task_runners import bounded, check_runner
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


def test_an_absent_extra_is_a_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_runners, "is_importable", lambda name: False)
    with pytest.raises(InputError, match=r"^runner: dask is not installed; pip install 'nerbench\[dask\]'$"):
        check_runner(RunnerConfig(kind="dask"))
    check_runner(RunnerConfig(kind="processes"))


@pytest.mark.parametrize(("version", "has"), [(None, "no nerbench"), ("0.1", r"nerbench 0\.1")])
def test_a_worker_without_this_version_is_refused(
    monkeypatch: pytest.MonkeyPatch, version: str | None, has: str
) -> None:
    there = {"scheduler": "0.2", "worker tcp://good:1": "0.2", "worker tcp://bad:1": version}
    monkeypatch.setattr(task_runners, "_versions", lambda address: task_runners._Versions("0.2", there))
    with pytest.raises(InputError, match=rf"^runner.address: the worker tcp://bad:1 has {has}; install nerbench 0\.2"):
        check_runner(RunnerConfig(kind="dask", address="tcp://127.0.0.1:1"))
    del there["worker tcp://bad:1"]
    check_runner(RunnerConfig(kind="dask", address="tcp://127.0.0.1:1"))


def test_work_for_a_cluster_without_workers_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_runners, "WITHOUT_WORKERS_S", 0.2)
    with ThreadPoolExecutor(1) as thread:  # Playwright leaves an event loop in the main thread, which Dask would use
        thread.submit(_wait_for_a_cluster_without_workers).result()


def _wait_for_a_cluster_without_workers() -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
        task_runners._cancelled_without_workers(cast(Any, SimpleNamespace(client=client, address="tcp://a:1"))),
        pytest.raises(CancelledError, match=r"there have been no workers of tcp://a:1 for \d+ s"),
    ):
        client.submit(abs, -1).result(60)


@pytest.mark.parametrize(
    ("answers", "pending", "expected"), [(True, ["key"], {"key"}), (False, ["key"], set()), (True, [], set())]
)
def test_work_is_only_cancelled_if_it_waits_and_the_scheduler_reports_no_workers(
    monkeypatch: pytest.MonkeyPatch, answers: bool, pending: list[str], expected: set[str]
) -> None:
    asked, cancelled, often = [], set[str](), Event()

    def scheduler_info(n_workers: int) -> dict[str, Any]:
        asked.append(n_workers)
        if len(asked) == 100:
            often.set()
        if answers:
            return {"workers": {}}
        raise OSError("no answer")

    monkeypatch.setattr(task_runners, "WITHOUT_WORKERS_S", 0.02)
    monkeypatch.setattr("distributed.Future", lambda key, _: key)
    client = SimpleNamespace(
        scheduler_info=scheduler_info,
        futures={key: SimpleNamespace(status="pending") for key in pending},
        cancel=lambda keys, **_: cancelled.update(keys),
    )
    with task_runners._cancelled_without_workers(cast(Any, SimpleNamespace(client=client, address="tcp://a:1"))):
        assert often.wait(60)
    assert cancelled == expected


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
