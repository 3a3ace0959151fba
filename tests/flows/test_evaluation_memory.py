"""Only the results folder caches evaluations: results that Prefect keeps on a worker have no effect."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.errors import RunFailedError
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e
Run = Callable[..., "Outcome"]


class Outcome:
    """The outcome of a benchmark: the state names of its evaluations, and the digests that it scored."""

    def __init__(self, summary: dict[str, Any], states: list[str]) -> None:
        self.states = states
        self.counts = summary["evaluated"], summary["cached"]
        self.scored = {row["predictions_digest"] for row in summary["metrics"]}


@contextmanager
def machine(folder: Path) -> Iterator[None]:
    """A worker whose Prefect stores results in a separate folder, and all that it can."""
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, PREFECT_RESULTS_PERSIST_BY_DEFAULT, temporary_settings

    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: folder, PREFECT_RESULTS_PERSIST_BY_DEFAULT: True}):
        yield


@pytest.fixture
def run(config: Config, finished: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Benchmark one model on a machine with a name; all machines share a results folder."""
    from nerbench.flows import benchmark_steps
    from nerbench.flows.benchmark import benchmark

    states: list[str] = []
    honest = benchmark_steps.submit

    def submit(*arguments: Any) -> Any:
        state = honest(*arguments)
        states.append(state.name)
        return state

    monkeypatch.setattr(benchmark_steps, "submit", submit)
    monkeypatch.setattr("nerbench.tasks.inference.prediction.BLOCK", 4)  # so that the corpus has several

    def run(name: str, refresh: bool = False, **changes: Any) -> Outcome:
        changed = config.benchmark.model_copy(update={"check_reproducibility": False} | changes)
        here = config.model_copy(update={"results": str(tmp_path / "results"), "benchmark": changed})
        states.clear()
        with machine(tmp_path / name):
            return Outcome(benchmark(here, models=["tiny"], refresh=refresh), list(states))

    return run


@pytest.fixture
def changed_model(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Change the predictions of the model from now on, like an upgrade that is not in the key."""
    from nerbench.tasks.inference import prediction

    honest = prediction.predict_block

    def altered(*arguments: Any, **options: Any) -> Any:
        block = honest(*arguments, **options)
        block.labels[0] = (block.labels[0] + 1) % 9
        return block

    return lambda: monkeypatch.setattr(prediction, "predict_block", altered)


@pytest.mark.slow
def test_the_second_run_of_any_worker_is_cached(run: Run) -> None:
    first, second, other = run("a"), run("a"), run("b")
    assert (first.states, first.counts) == (["Completed"], (1, 0))
    assert (second.states, second.counts) == (other.states, other.counts) == (["Cached"], (0, 1))
    assert first.scored == second.scored == other.scored


def test_predictions_refreshed_by_one_worker_are_scored_by_all(run: Run, changed_model: Callable[[], None]) -> None:
    before = run("a")
    changed_model()
    refreshed = run("b", refresh=True)
    after = run("a")
    assert refreshed.scored != before.scored
    assert (after.scored, after.states) == (refreshed.scored, ["Cached"])


@pytest.mark.slow
def test_shards_and_the_whole_share_one_memory(run: Run, changed_model: Callable[[], None]) -> None:
    whole = run("a")
    changed_model()
    cut = run("b", refresh=True, shards=4)
    assert (cut.states, cut.counts) == (["Completed"] * 4, (1, 0))
    assert cut.scored != whole.scored
    again, recut = run("a"), run("a", shards=4)
    assert (again.states, again.counts) == (recut.states, recut.counts) == (["Cached"], (0, 1))
    assert again.scored == recut.scored == cut.scored


@pytest.mark.slow
def test_stored_shards_are_shown_as_cached(run: Run, tmp_path: Path) -> None:
    cut = run("a", shards=4)
    for record in (tmp_path / "results").glob(".cache/evaluations/*/record.json"):
        record.unlink()
    again = run("b", shards=4)
    assert again.states == ["Cached"] * 4
    assert again.scored == cut.scored


@pytest.mark.slow
def test_prefect_keeps_nothing(run: Run, tmp_path: Path) -> None:
    run("a")
    kept = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(kept) <= 1  # the flow's own summary, which nothing reads


def test_an_unreachable_results_folder_is_not_a_miss(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("a")

    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("nerbench.tasks.inference.evaluation_cache.sha256_and_hold", fail)
    monkeypatch.setattr("nerbench.tasks.inference.evaluation_cache.infer", lambda *_, **__: pytest.fail("inferred"))
    monkeypatch.setattr("prefect.task_engine.time.sleep", lambda seconds: None)
    with pytest.raises(RunFailedError, match=r"1 failed: tiny: OSError: \[Errno 5\] Input/output error"):
        run("a")
