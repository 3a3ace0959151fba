"""Train → save → benchmark through a real Prefect server, and a second benchmark."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from small_corpus import SENTENCES
from tiny_models import let_tokenizer_panic

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.artifacts.references import resolve
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.schemas import TABLES
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e

EIGHT_WAYS = "|".join([r"\w"] * 8)
STRICT_F1 = {
    "slice": "all",
    "level": "entity",
    "mode": "strict",
    "label": "overall",
    "average": "micro",
    "metric": "f1",
}


def strict_f1(summary: dict[str, Any]) -> dict[str, float]:
    """Overall strict micro F1 by model."""
    return {row["model"]: row["value"] for row in summary["metrics"] if STRICT_F1.items() <= row.items()}


def benchmark(config: Config, **options: Any) -> dict[str, Any]:
    from nerbench.flows.benchmark import benchmark

    return benchmark(config, **options)


@pytest.fixture
def no_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every forward pass impossible."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("inferred although predictions are cached")

    monkeypatch.setattr("nerbench.tasks.inference.loading.load_tagger", refuse)


def test_the_pipeline_trains_stores_and_benchmarks(config: Config, finished: dict[str, Any]) -> None:
    assert [a["name"] for a in finished["artifacts"]] == ["tiny", "tinier"]
    assert (finished["evaluated"], finished["cached"]) == (2, 0)
    assert min(strict_f1(finished).values()) > 0.9
    analysed = {"confusion", "errors", "calibration"}
    assert set(finished["tables"]) == {"training", "metrics", "predictions", "runs"} | analysed
    store = Store(config.store)
    for artifact in finished["artifacts"]:
        assert store.aliases(artifact["name"]) == {"latest": artifact["artifact_id"]}
        assert resolve(artifact["uri"], config.store)[0].artifact_id == artifact["artifact_id"]
        assert all(v.ok for v in (store.verify(key) for key in resolve(artifact["name"], config.store)))


def test_one_row_describes_the_run(config: Config, finished: dict[str, Any]) -> None:
    rows = read_results(config.results, "runs", filters=[("run_id", "=", finished["run_id"])]).to_pylist()
    assert len(rows) == 1
    row = rows[0]
    assert (row["flow"], row["outcome"], row["evaluated"], row["cached"]) == ("pipeline", "ok", 2, 0)
    assert row["train_s"] > 0 < row["evaluate_s"]
    assert json.loads(row["configuration"])["models"][0]["name"] == "tiny"


def test_tables_have_every_declared_column(config: Config, finished: dict[str, Any]) -> None:
    for table in finished["tables"]:
        assert read_results(config.results, table).column_names == [column.name for column in TABLES[table].columns]


def test_every_word_has_one_prediction_row(config: Config, finished: dict[str, Any]) -> None:
    rows = read_results(config.results, "predictions", filters=[("model", "=", "tiny")])
    words = sum(line.split("|")[0].count(" ") + 1 for line in SENTENCES) * 3
    assert rows["word"].to_pylist() == list(range(words))
    assert rows["text"][:5].to_pylist() == ["Anna", "Berg", "visited", "Oslo", "."]
    assert rows["document"].to_pylist()[-1] == 2


def test_a_second_benchmark_infers_nothing(config: Config, finished: dict[str, Any], no_inference: None) -> None:
    again = benchmark(config)
    assert (again["evaluated"], again["cached"]) == (0, 2)
    assert strict_f1(again) == strict_f1(finished)
    assert sorted(again["tables"]["predictions"]) == sorted(finished["tables"]["predictions"])


def test_refresh_recomputes_the_same_predictions(config: Config, finished: dict[str, Any]) -> None:
    open_root(config.results).create(kernels := ".cache/linear_kernels/machine.json", b"{}")
    again = benchmark(config, models=["tiny"], refresh=True)
    assert (again["evaluated"], again["cached"]) == (1, 0)
    digests = {row["model"]: row["predictions_digest"] for row in finished["metrics"]}
    assert {row["predictions_digest"] for row in again["metrics"]} == {digests["tiny"]}
    assert not open_root(config.results).exists(kernels)


def test_the_canary_infers_a_share_again(config: Config, finished: dict[str, Any]) -> None:
    watched = config.model_copy(update={"benchmark": config.benchmark.model_copy(update={"canary": 0.05})})
    summary = benchmark(watched)
    assert (summary["evaluated"], summary["cached"]) == (0, 2)


@pytest.mark.slow
def test_the_canary_fails_the_run_if_predictions_changed(
    config: Config, finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nerbench.tasks.inference import prediction

    honest = prediction.predict_block

    def altered(*arguments: Any, **options: Any) -> Any:
        block = honest(*arguments, **options)
        block.labels[3] = (block.labels[3] + 1) % 9
        return block

    monkeypatch.setattr(prediction, "predict_block", altered)
    watched = config.model_copy(update={"benchmark": config.benchmark.model_copy(update={"canary": 1.0})})
    with pytest.raises(RunFailedError, match=r"tiny \(canary\): 1 of \d+ words inferred again.* word 3 ") as failed:
        benchmark(watched, models=["tiny"])
    assert failed.value.summary is not None
    assert strict_f1(failed.value.summary) == {"tiny": strict_f1(finished)["tiny"]}


def test_a_changed_tag_is_scored_again_without_inference(
    config: Config, finished: dict[str, Any], no_inference: None, tmp_path: Path
) -> None:
    own = config.datasets[0]
    changed = tmp_path / "test.txt"
    changed.write_text(Path(own.files["test"]).read_text().replace("Oslo B-LOC", "Oslo B-ORG", 1))
    dataset = own.model_copy(update={"files": {**own.files, "test": str(changed)}})
    again = benchmark(config.model_copy(update={"datasets": (dataset,)}))
    assert again["cached"] == 2
    assert strict_f1(again)["tiny"] < strict_f1(finished)["tiny"]


@pytest.mark.slow
def test_a_changed_word_is_inferred_again(config: Config, finished: dict[str, Any], tmp_path: Path) -> None:
    own = config.datasets[0]
    changed = tmp_path / "test.txt"
    changed.write_text(Path(own.files["test"]).read_text().replace("Rain", "Snow", 1))
    dataset = own.model_copy(update={"files": {**own.files, "test": str(changed)}})
    again = benchmark(config.model_copy(update={"datasets": (dataset,)}), models=["tiny"])
    assert (again["evaluated"], again["cached"]) == (1, 0)


@pytest.mark.parametrize("damage", ["delete", "flip"])
def test_damaged_cached_predictions_are_noticed(
    config: Config, finished: dict[str, Any], damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = shutil.copytree(config.results, tmp_path / "results")
    config = config.model_copy(update={"results": str(copy)})
    for file in copy.glob(".cache/evaluations/*/*.parquet"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.unlink() if damage == "delete" else file.write_bytes(data)
    with caplog.at_level(logging.WARNING, "nerbench.tasks.inference.evaluation_cache"):
        again = benchmark(config, models=["tiny"])
    assert (again["evaluated"], again["cached"]) == (1, 0)
    assert "missing or altered" in caplog.text
    assert strict_f1(again)["tiny"] == strict_f1(finished)["tiny"]


def test_a_folder_made_elsewhere_is_benchmarked(config: Config, finished: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(_pulled(config, tmp_path), folder)
    summary = benchmark(config, models=[str(folder)])
    assert summary["artifacts"][0]["name"] == "elsewhere"
    assert strict_f1(summary)["elsewhere"] == strict_f1(finished)["tiny"]


def test_one_broken_model_does_not_hide_the_others(config: Config, finished: dict[str, Any], tmp_path: Path) -> None:
    folder = _pulled(config, tmp_path)
    labels = json.loads((folder / "config.json").read_text())
    labels["id2label"] = {number: f"LABEL_{number}" for number in labels["id2label"]}
    (folder / "config.json").write_text(json.dumps(labels))
    with pytest.raises(RunFailedError, match=r"1 failed: pulled: its label LABEL_0") as failed:
        benchmark(config, models=[str(folder), "tiny"])
    assert failed.value.summary is not None
    assert strict_f1(failed.value.summary) == {"tiny": strict_f1(finished)["tiny"]}
    run_id = failed.value.summary["run_id"]
    runs = read_results(config.results, "runs", filters=[("run_id", "=", run_id)])
    assert runs["outcome"].to_pylist() == ["failed"]
    assert read_results(config.results, "metrics").filter(pc.field("run_id") == run_id).num_rows


def test_a_tokenizer_that_panics_does_not_hide_the_other_models(
    config: Config, finished: dict[str, Any], tmp_path: Path
) -> None:
    folder = let_tokenizer_panic(_pulled(config, tmp_path), rf"(?:(?:(?:{EIGHT_WAYS})+)+)+\d")
    with pytest.raises(RunFailedError, match=r"^1 failed: pulled: .*PanicException: Onig") as failed:
        benchmark(config, models=[str(folder), "tiny"])
    assert failed.value.summary is not None
    assert strict_f1(failed.value.summary) == {"tiny": strict_f1(finished)["tiny"]}


def test_a_missing_model_fails_and_existing_models_are_listed(config: Config, finished: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"'nobody'.*it holds tinier, tiny"):
        benchmark(config, models=["nobody"])


@pytest.mark.slow
def test_speed_and_memory_are_measured_each_time(config: Config, finished: dict[str, Any]) -> None:
    fast = config.model_copy(update={"benchmark": config.benchmark.model_copy(update={"speed": True})})
    summary = benchmark(fast, models=["tiny"])
    of_run = [("run_id", "=", summary["run_id"])]
    (speed,) = read_results(config.results, "speed", filters=of_run).to_pylist()
    (memory,) = read_results(config.results, "memory", filters=of_run).to_pylist()
    assert speed["n"] == len(speed["samples_s"]) == 4 * 18, "whole rounds, until a 90th percentile has support"
    assert 0 < speed["p50_s"] <= speed["p90_s"]
    assert memory["peak_rss_bytes"] > memory["baseline_rss_bytes"] > 0
    assert memory["parameters"] > 0 < memory["load_s"]


@pytest.mark.slow
def test_a_further_gold_is_scored_from_the_same_predictions(
    config: Config, finished: dict[str, Any], no_inference: None, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text(Path(config.datasets[0].files["test"]).read_text().replace("Paris B-LOC", "Paris O"))
    gold = {"name": "second", "dataset": "own", "file": str(other)}
    summary = benchmark(Config.model_validate(config.model_dump() | {"golds": [gold]}), models=["tiny"])
    assert {row["gold"] for row in summary["metrics"]} == {"own", "second"}
    loc = {"slice": "all", "mode": "strict", "label": "LOC", "metric": "f1"}
    support = {row["gold"]: row["support"] for row in summary["metrics"] if loc.items() <= row.items()}
    assert support["own"] - support["second"] == 6


@pytest.mark.slow
def test_several_data_sets_of_several_formats_in_one_run(
    config: Config, finished: dict[str, Any], tmp_path: Path
) -> None:
    sentences = [{"tokens": ["Anna", "left", "Oslo"], "ner_tags": ["B-PER", "O", "B-LOC"]}] * 3
    sentences += [{"tokens": ["German", "Acme", "Corp"], "ner_tags": ["B-MISC", "B-ORG", "I-ORG"]}]
    lines = tmp_path / "test.jsonl"
    lines.write_text("".join(json.dumps(sentence) + "\n" for sentence in sentences))
    other = {"name": "lines", "format": "json", "files": {"test": str(lines)}}
    datasets = [*config.model_dump()["datasets"], other]
    summary = benchmark(Config.model_validate(config.model_dump() | {"datasets": datasets}), models=["tiny"])
    assert (summary["evaluated"], summary["cached"]) == (1, 1)
    assert {row["dataset"] for row in summary["metrics"]} == {"own", "lines"}
    assert len(summary["tables"]["metrics"]) == 2


@pytest.mark.slow
def test_seeds_give_an_artifact_each_and_a_row_with_mean_and_deviation(config: Config, tmp_path: Path) -> None:
    from nerbench.flows.pipeline import pipeline

    model = config.models[0].model_copy(update={"name": "seeded", "seeds": (0, 1), "epochs": 4.0})
    changes = {"models": (model,), "store": str(tmp_path / "store"), "results": str(tmp_path / "results")}
    summary = pipeline(config.model_copy(update=changes))
    assert [artifact["name"] for artifact in summary["artifacts"]] == ["seeded-seed0", "seeded-seed1"]
    f1 = strict_f1(summary)
    rows = read_results(str(tmp_path / "results"), "metrics", filters=[("model", "=", "seeded")]).to_pylist()
    (mean,) = (row for row in rows if STRICT_F1.items() <= row.items())
    assert mean["value"] == pytest.approx((f1["seeded-seed0"] + f1["seeded-seed1"]) / 2)
    assert mean["n_models"] == 2
    assert mean["std"] >= 0


def _pulled(config: Config, folder: Path) -> Path:
    from nerbench.artifacts.references import pull

    target = folder / "pulled"
    pull(resolve("tiny", config.store)[0], target)
    (target / "manifest.json").unlink()
    return target
