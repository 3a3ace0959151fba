"""The gate in real flow runs: a model passes, a damaged one fails by name, the champion moves, flips are reported."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from small_corpus import write_corpus

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.references import resolve
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results, write_table
from nerbench.flows.cli import status_of
from nerbench.flows.request import returned
from nerbench.tasks.config import Config
from nerbench.tasks.inference.prediction_files import PredictionsDigest
from nerbench.tasks.scoring.stored_predictions import predictions_key

pytestmark = pytest.mark.e2e
Gated = Callable[..., Config]
ENOUGH = 25
"""The number of documents, sufficient for an interval."""


@pytest.fixture
def gated(config: Config, finished: dict[str, Any], tmp_path: Path) -> Gated:
    """Makes configurations with a gate, a copy of the store, and separate results."""
    store = str(shutil.copytree(config.store, tmp_path / "store"))
    corpus = write_corpus(tmp_path / "many.txt", ENOUGH)
    dataset = config.datasets[0]
    files = {"train": dataset.files["train"], "validation": corpus, "test": corpus}

    def make(**gate: Any) -> Config:
        benchmark = {"speed": False, "report": False, "device": "cpu", "models": ["tiny@latest"], "labels": ["PER"]}
        return Config.model_validate(
            {
                "store": store,
                "results": str(tmp_path / "results"),
                "datasets": [{"name": "own", "files": files}],
                "benchmark": benchmark,
                "gate": gate,
            }
        )

    return make


def benchmark(config: Config) -> dict[str, Any]:
    from nerbench.flows.benchmark import benchmark

    return benchmark(config)


def newest(config: Config) -> str:
    (found,) = resolve("tiny@latest", config.store)
    return found.artifact_id


def champion(config: Config) -> str | None:
    return Store(config.store).aliases("tiny").get("champion")


def publish_damaged(config: Config, folder: Path) -> str:
    """Publish a copy of `tiny` that swaps persons and places as its newest version."""
    (found,) = resolve("tiny@latest", config.store)
    Store(config.store).pull(found, folder)
    (folder / "manifest.json").unlink()
    described = json.loads((folder / "config.json").read_text())
    swap = {"PER": "LOC", "LOC": "PER"}
    names = {n: f"{tag[:2]}{swap.get(tag[2:], tag[2:])}" for n, tag in described["id2label"].items()}
    described |= {"id2label": names, "label2id": {tag: int(n) for n, tag in names.items()}}
    (folder / "config.json").write_text(json.dumps(described))
    return Store(config.store).publish(folder, "tiny", Provenance()).artifact_id


def rows_of(config: Config, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a run in the table, which must equal those in the summary."""
    rows = read_results(config.results, "gate", filters=[("run_id", "=", summary["run_id"])]).to_pylist()
    told = {(row["kind"], row["artifact_id"], row["verdict"]) for row in rows}
    assert told == {(row["kind"], row["artifact_id"], row["verdict"]) for row in summary["gate"]}
    return rows


def test_a_missing_champion_fails_with_the_remedy_and_promotion_sets_the_first(gated: Gated) -> None:
    config = gated()
    with pytest.raises(RunFailedError, match=r"there is no tiny@champion .* `nerbench artifacts alias tiny champion`"):
        benchmark(config)
    (row,) = read_results(config.results, "gate").to_pylist()
    assert (row["model"], row["verdict"], row["failed"]) == ("tiny", "missing", True)

    first = benchmark(gated(promote=True))
    (row,) = rows_of(config, first)
    assert (row["kind"], row["promoted"], row["reason"]) == ("promotion", True, "the first one with this alias")
    assert champion(config) == newest(config) == row["artifact_id"]

    again = benchmark(gated(promote=True))
    (row,) = rows_of(config, again)
    assert (row["kind"], row["verdict"], row["failed"], row["delta"]) == ("rule", "pass", False, 0)
    assert row["baseline_artifact_id"] == row["artifact_id"] == champion(config)
    assert again["cached"] == 1


def test_a_damaged_candidate_fails_by_name_and_a_repaired_one_is_promoted(
    gated: Gated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = gated(promote=True, rules=[{"label": "PER", "metric": "recall"}])
    good = newest(config)
    Store(config.store).set_alias("tiny", "champion", good)
    damaged = publish_damaged(config, tmp_path / "copy")
    path = tmp_path / "nerbench.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    capsys.readouterr()
    assert status_of(["benchmark", "-c", str(path)]) == 1
    (message,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("nerbench: "))
    (row,) = read_results(config.results, "gate").to_pylist()
    assert (row["artifact_id"], row["baseline_artifact_id"], row["verdict"]) == (damaged, good, "regression")
    assert row["ci_low"] <= row["delta"] <= row["ci_high"] < -0.5
    interval = f"{100 * row['ci_low']:+.2f} … {100 * row['ci_high']:+.2f}"
    assert f"tiny on own: regression: PER strict recall fell {-100 * row['delta']:.2f} points" in message
    assert f"(95% CI {interval}), margin 0.50 points" in message
    assert champion(config) == good
    outcomes = read_results(config.results, "runs")["outcome"].to_pylist()
    assert outcomes == ["failed"]

    Store(config.store).set_alias("tiny", "champion", damaged)
    Store(config.store).set_alias("tiny", "latest", good)
    summary = benchmark(config)
    rule, promotion = sorted(rows_of(config, summary), key=lambda row: row["kind"], reverse=True)
    assert (rule["kind"], rule["split"], rule["verdict"]) == ("rule", "test", "improvement")
    assert (promotion["kind"], promotion["split"], promotion["promoted"]) == ("promotion", "validation", True)
    assert promotion["baseline_artifact_id"] == damaged
    assert champion(config) == good


@pytest.mark.slow
def test_a_failed_lookup_of_the_champion_promotes_no_model(gated: Gated) -> None:
    config = gated(promote=True)
    alias = Path(config.store) / "models/tiny/aliases/champion.json"
    gone = json.dumps({"artifact_id": "0" * 64})
    alias.write_text(gone)
    with pytest.raises(RunFailedError, match=r"gate, tiny: .*sha256:0000"):
        benchmark(config)
    assert alias.read_text() == gone
    (row,) = read_results(config.results, "gate").to_pylist()
    assert (row["verdict"], row["failed"], row["promoted"]) == ("missing", True, None)


def test_an_unchanged_model_with_changed_predictions_fails(
    config: Config, finished: dict[str, Any], untouched: str, tmp_path: Path
) -> None:
    elsewhere = config.model_copy(
        update={
            "results": str(tmp_path / "results"),
            "benchmark": config.benchmark.model_copy(update={"models": ("tiny",), "labels": ("PER",)}),
        }
    )
    remember_otherwise(untouched, elsewhere.results, finished["run_id"])
    with pytest.raises(RunFailedError, match=r"tiny on own: the same model and settings predict differently") as failed:
        benchmark(elsewhere)
    told = f"in the run {finished['run_id']}: entities 1 gained, 0 lost, 0 changed; torch 1.0 then, "
    assert told in str(failed.value)
    (row,) = read_results(elsewhere.results, "gate").to_pylist()
    assert (row["kind"], row["model"], row["failed"], row["gained"]) == ("frozen", "tiny", True, 1)


def remember_otherwise(results: str, elsewhere: str, run_id: str) -> None:
    """Copy the results of a run of `tiny` as if it had missed the first entity, with consistent scores."""
    (run,) = read_results(results, "runs", filters=[("run_id", "=", run_id)]).to_pylist()
    date = run["started_at"].date().isoformat()
    of_model = [("model", "=", "tiny")]
    metrics = read_results(results, "metrics", filters=[*of_model, ("run_id", "=", run_id)]).to_pylist()
    digests = {row["predictions_digest"] for row in metrics}
    rows = read_results(results, "predictions", filters=[*of_model, ("predictions_digest", "in", digests)]).to_pylist()
    assert [row["pred_tag"] for row in rows[:2]] == ["B-PER", "I-PER"]
    tags = ["O", "O", *(row["pred_tag"] for row in rows[2:])]
    digest = PredictionsDigest()
    digest.update(*(np.array([row[name] for row in rows]) for name in ("document", "sentence", "word")), tags)
    altered = {"predictions_digest": digest.hexdigest()}
    changed = [row | altered | {"pred_tag": tag} for row, tag in zip(rows, tags, strict=True)]
    write_table(elsewhere, "predictions", changed, date=date, key=predictions_key(changed[0]))
    write_table(elsewhere, "metrics", [row | altered for row in metrics], date=date, key="metrics")
    write_table(elsewhere, "runs", [run | {"torch": "1.0"}], date=date, key="run")


@pytest.mark.usefixtures("prefect_server")
def test_callers_get_the_summary_if_the_state_is_undecided() -> None:
    from prefect import flow

    row = {"kind": "rule", "verdict": "undecided", "model": "tiny", "margin": 0.005, "reason": "too few"}
    summary = {"metrics": [{"value": 1.0}], "gate": [row]}

    @flow
    def judged() -> dict[str, Any]:
        return returned(summary)

    assert judged() == summary
    state = judged(return_state=True)
    assert state.message == "undecided: tiny: undecided: margin 0.50 points, too few"
