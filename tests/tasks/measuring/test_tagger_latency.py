"""Latency, throughput, memory and price at the boundary of a process."""

from pathlib import Path
from typing import Any

import pytest
from small_corpus import write_corpus
from tiny_models import save_bert
from tiny_taggers import CAPITALS, tiny_tagger

from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.corpus_refs import describe, open_corpus
from nerbench.tasks.inference.tagger_evaluation import save_tagger
from nerbench.tasks.measuring.latency import measure_and_write, measure_process
from nerbench.tasks.results.summary import speed_and_memory
from nerbench.tasks.run_identity import Run, utc_now


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("NERBENCH_CODE", str(tmp_path))
    files = {"test": write_corpus(tmp_path / "test.txt", 2)}
    shared = {"store": str(tmp_path / "store"), "results": str(tmp_path / "results")}
    return Config.model_validate(
        shared | {"datasets": [{"name": "own", "files": files}], "benchmark": {"device": "cpu"}}
    )


def corpus_of(config: Config) -> Corpus:
    return open_corpus(describe(config, config.datasets[0])[0])


def test_the_rows_of_a_tagger(config: Config, tmp_path: Path) -> None:
    count = "self.counts['calls'] += len(sentences)\n"
    init = "self.counts = {'calls': 0}"
    tagger = tiny_tagger(tmp_path, count + CAPITALS, init=init, price_per_call=0.001)
    artifact = save_tagger(tagger, config.store).artifact
    run = Run(run_id="r", flow="benchmark", date="2030-01-01", started_at=utc_now(), attempt=1, results=config.results)
    measure_and_write(run, artifact, corpus_of(config), config.benchmark, taggers=[tagger])
    alone, together = sorted(read_results(config.results, "speed").to_pylist(), key=lambda row: row["batch_size"])
    assert (alone["backend"], alone["batch_size"], alone["n"]) == ("process", 1, 12)
    assert (together["batch_size"], together["n"], together["dataset"]) == (12, 3, "own")
    assert 0 < alone["p50_s"] < 10
    assert alone["words_per_s"] == pytest.approx(66 / (alone["mean_s"] * 12))
    assert together["words_per_s"] == pytest.approx(3 * 66 / (together["mean_s"] * 3))
    assert alone["price_per_call"] == 0.001
    assert alone["cost_per_million_words"] == pytest.approx(1e6 * 0.001 * 59 / 324)
    (memory,) = read_results(config.results, "memory").to_pylist()
    assert memory["load_s"] > 0
    assert memory["peak_rss_bytes"] > memory["baseline_rss_bytes"] > 1 << 20
    assert memory["weights_bytes"] is None
    shown: list[dict[str, Any]] = speed_and_memory([alone, together], [memory])
    assert [(row["model"], row["backend"], row["weights MB"]) for row in shown] == [("mine", "process", None)]
    assert shown[0]["cost per 1M words"] == alone["cost_per_million_words"]


@pytest.mark.slow
def test_a_model_at_the_same_boundary(config: Config, tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "model")
    artifact = Store(config.store).publish(folder, "tiny", Provenance())
    rows = measure_process(artifact, corpus_of(config), config.benchmark)
    assert [row["backend"] for row in rows["speed"]] == ["process", "process"]
    assert [row["batch_size"] for row in rows["speed"]] == [1, 12]
    assert rows["memory"][0]["weights_bytes"] == (folder / "model.safetensors").stat().st_size
