"""The export to Every Eval Ever has the numbers of the tables, and its own package accepts it."""

import json
import os
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from publishing_rows import metric, write_metrics

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.config import Config
from nerbench.tasks.publishing.every_eval_ever import export_run, records
from nerbench.tasks.results.summary import RunResults

PACKAGE = os.environ.get(
    "NERBENCH_EVERY_EVAL_EVER_PYTHON", str(Path(__file__).resolve().parents[4] / "every-eval-ever-venv/bin/python")
)
ABOUT = {
    "artifact_id": "a" * 64,
    "model_sha256": "b" * 64,
    "ci_method": "wilson-jackknife",
    "source": None,
    "n_models": None,
}


def found(*rows: dict[str, object]) -> RunResults:
    counts = {"tp": 81, "n_pred": 100, "ci_low": None, "ci_high": None}
    return RunResults("monday", [counts | ABOUT | row for row in rows], [], [], [])


def test_a_record_has_the_numbers_of_the_table() -> None:
    ((path, record),) = records(found(metric(0.81)), "acme", {}).items()
    folder, _, name = path.rpartition("/")
    assert folder == "data/nerbench/acme/tagger"
    assert UUID(name.removesuffix(".json")).version == 4
    assert record["model_info"]["id"] == "acme/tagger"
    assert (record["evaluation_id"], record["retrieved_timestamp"]) == (
        "nerbench/acme/tagger@aaaaaaaaaaaa/1767398400",
        "1767398400",
    )
    (result,) = record["evaluation_results"]
    assert result["evaluation_result_id"] == "news/news/strict/overall/f1"
    assert result["source_data"]["source_type"] == "other"
    assert result["score_details"] == {
        "score": 0.81,
        "details": {"tp": "81", "n_pred": "100", "n_gold": "1000"},
        "uncertainty": {
            "confidence_interval": {
                "lower": pytest.approx(0.79),
                "upper": pytest.approx(0.83),
                "confidence_level": 0.95,
                "method": "wilson-jackknife",
            },
            "num_samples": 40,
        },
    }
    assert records(found(metric(0.81)), "acme", {}) == {path: record}


def test_rows_that_are_exported() -> None:
    rows = found(
        metric(0.8, label="PER", average=""),
        metric(0.8, mode="partial"),
        metric(0.8, mode="partial", label="PER", average=""),
        metric(0.8, average="macro"),
        metric(0.8, slice="unseen"),
        metric(0.8, level="token", mode="tag"),
        metric(0.8, metric="brier"),
        metric(None),
        metric(0.8, kind="tagger"),
        metric(0.8, artifact_id="c" * 64, n_models=3),
        metric(0.7, gold="older"),
    )
    (record,) = records(rows, "acme", {"news": "acme/news"}).values()
    ids = [one["evaluation_result_id"] for one in record["evaluation_results"]]
    assert ids == ["news/news/strict/PER/f1", "news/news/partial/overall/f1", "news/older/strict/overall/f1"]
    assert record["evaluation_results"][2]["evaluation_name"] == "news (older)"
    assert record["evaluation_results"][0]["source_data"]["hf_repo"] == "acme/news"


def test_a_model_of_the_hub_keeps_its_developer() -> None:
    ((path, record),) = records(found(metric(0.8, model="dslim/bert")), "acme", {}).items()
    assert path.startswith("data/nerbench/dslim/bert/")
    about = record["model_info"]
    assert (about["id"], about["developer"], about["name"]) == ("dslim/bert", "dslim", "bert")
    source = record["source_metadata"]
    assert (source["source_organization_name"], source["evaluator_relationship"]) == ("acme", "third_party")


def test_wrong_requests(config: Config, ref: ArtifactRef, tmp_path: Path) -> None:
    write_metrics(config, ref, [metric(0.81)])
    with pytest.raises(InputError, match=r"--organization '\.\./x': is not the name"):
        export_run(config, tmp_path, "../x", None)
    assert export_run(config, tmp_path / "out", "acme", None) == 1
    with pytest.raises(InputError, match="exists already"):
        export_run(config, tmp_path / "out", "acme", None)
    assert export_run(config, tmp_path / "out", "acme", "monday", force=True) == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path(PACKAGE).exists(), reason="needs every-eval-ever in an environment of Python 3.12")
def test_the_package_accepts_it(config: Config, ref: ArtifactRef, tmp_path: Path) -> None:
    write_metrics(config, ref, [metric(0.81), metric(0.7, gold="older"), metric(0.8, label="PER", average="")])
    export_run(config, tmp_path, "acme", None)
    (file,) = tmp_path.glob("data/*/*/*/*.json")
    validate = [PACKAGE, "-m", "every_eval_ever", "validate", "--format", "json", str(file)]
    done = subprocess.run(validate, capture_output=True, text=True, check=False)
    (report,) = json.loads(done.stdout)
    assert (done.returncode, report["errors"], report["warnings"]) == (0, [], [])
    broken = json.loads(file.read_text())
    broken["evaluation_results"][0]["score_details"]["score"] = 81.0
    file.write_text(json.dumps(broken))
    assert subprocess.run(validate, capture_output=True, check=False).returncode == 1
