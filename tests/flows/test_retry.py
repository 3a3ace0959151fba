"""The next attempt of a run in which one of two annotations failed."""

from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.analysis import analysis
from nerbench.tasks.config import Config
from nerbench.tasks.results import rows
from nerbench.tasks.run_identity import Run, utc_now
from nerbench.tasks.scoring.score_predictions import NamedPredictions

pytestmark = pytest.mark.e2e
FUNCTION = """
import nerbench

@nerbench.benchmark_function
def n_predicted(predictions):
    return len(predictions.predicted)
"""


@pytest.fixture
def two_golds(config: Config, finished: dict[str, Any], tmp_path: Path) -> Config:
    other = tmp_path / "other.txt"
    other.write_text(Path(config.datasets[0].files["test"]).read_text().replace("Paris B-LOC", "Paris O"))
    golds = [{"name": "second", "dataset": "own", "file": str(other)}]
    functions = tmp_path / "functions.py"
    functions.write_text(FUNCTION)
    changes = {"golds": golds, "metrics": [str(functions)], "results": str(tmp_path / "results")}
    return Config.model_validate(config.model_dump() | changes)


def gold_of(argument: Any) -> str | None:
    """The annotation that an argument of a step is about."""
    if isinstance(argument, NamedPredictions):
        return argument.evaluated.corpus.gold_name
    return argument["gold"] if isinstance(argument, dict) else None


@pytest.mark.parametrize(
    ("at_fault", "module", "step"), [("second", rows, "count_predictions"), ("own", analysis, "write_analysis")]
)
def test_the_next_attempt_completes_the_scores(
    two_golds: Config, monkeypatch: pytest.MonkeyPatch, at_fault: str, module: Any, step: str
) -> None:
    from nerbench.flows.benchmark import benchmark

    attempt, step_of = 1, getattr(module, step)

    def fail(*arguments: Any, **options: Any) -> Any:
        if attempt == 1 and at_fault in map(gold_of, arguments):
            raise InputError("gold", "cannot be scored", "try again")
        return step_of(*arguments, **options)

    monkeypatch.setattr(module, step, fail)
    monkeypatch.setattr(
        "nerbench.flows.run_context.current_run",
        lambda results: Run(
            run_id="r", flow="benchmark", date="2030-01-02", started_at=utc_now(), attempt=attempt, results=results
        ),
    )
    with pytest.raises(RunFailedError, match="1 failed: tiny: gold: cannot be scored; try again") as caught:
        benchmark(two_golds, models=["tiny"])
    assert caught.value.summary is not None
    (other,) = {"own", "second"} - {at_fault}
    assert {row["gold"] for row in caught.value.summary["metrics"]} == {other}
    assert {row["gold"] for row in read_results(two_golds.results, "metrics").to_pylist()} == {other}
    attempt = 2
    summary = benchmark(two_golds, models=["tiny"])
    written = read_results(two_golds.results, "metrics")
    assert written.num_rows == len(summary["metrics"]), "no row is there twice"
    assert {row["gold"] for row in written.to_pylist()} == {"own", "second"}
    assert len(summary["tables"]["metrics"]) == 2
    values = {(row["gold"], row["status"]) for row in read_results(two_golds.results, "custom").to_pylist()}
    assert values == {("own", "ok"), ("second", "ok")} == {(row["gold"], row["status"]) for row in summary["custom"]}
