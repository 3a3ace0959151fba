from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tiny_models import SENTENCES

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.references import resolve
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.measuring import latency
from nerbench.tasks.measuring.latency import measure_and_write
from nerbench.tasks.measuring.process.measure import measure
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import Row

WORDS = SENTENCES * 3
CORPUS = Corpus(name="own", split="test", words=WORDS, tags=[["O"] * len(s) for s in WORDS], documents=None)


def own_run(folder: Path) -> Run:
    return Run(
        run_id="r",
        flow="benchmark",
        date="2030-01-02",
        started_at=datetime(2030, 1, 2, tzinfo=UTC),
        attempt=1,
        results=str(folder / "results"),
    )


@pytest.fixture(scope="module")
def rows(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """The `speed` and the `memory` row of one tiny model, measured in a child."""
    run = own_run(tmp_path_factory.mktemp("measured"))
    (artifact,) = resolve(str(tiny_model_folder), "")
    written = measure_and_write(run, artifact, CORPUS, BenchmarkConfig(device="cpu")).tables
    assert set(written) == {"speed", "memory"}
    tables = {name: read_results(run.results, name).to_pylist() for name in written}
    return {name: row for name, (row,) in tables.items()}


def test_the_speed_row_has_every_number(rows: dict[str, Row]) -> None:
    row = rows["speed"]
    empty = {name for name, value in row.items() if value is None}
    of_processes = {f"{name}_{end}_s" for name in ("p50", "p90", "p95", "p99") for end in ("low", "high")}
    one_pass = {"min_latency_s", "p95_s", "p99_s"}
    assert empty == {
        "sequence_length",
        "ci_low_s",
        "ci_high_s",
        "agreement",
        "taken_over",
        "single_process",
        "price_per_call",
        "cost_per_million_words",
        *one_pass,
        *of_processes,
    }
    assert (row["run_id"], row["model"], row["device"], row["dtype"]) == ("r", "tiny", "cpu", "fp32")
    assert (row["workload"], row["batch_size"], row["status"], row["processes"]) == ("inference", 1, "ok", 1)
    assert (row["backend"], row["dataset"], set(row["samples_process"])) == ("eager", "own", {0})
    rounds = 6
    assert row["n"] == len(row["samples_s"]) == rounds * len(WORDS), "64 at least, in whole rounds"
    assert 0 < row["p50_s"] <= row["p90_s"] <= max(row["samples_s"])
    assert row["mean_s"] == pytest.approx(sum(row["samples_s"]) / row["n"])
    assert row["words_per_s"] == pytest.approx(rounds * CORPUS.n_words / sum(row["samples_s"]))
    assert row["tokens_per_s"] > row["words_per_s"] > row["sentences_per_s"]
    assert row["sgemm_flops_per_s"] > 1e8 < row["copy_bytes_per_s"]


@pytest.mark.slow
def test_several_passes_give_the_minimum_for_each_sentence(tiny_model_folder: Path) -> None:
    (artifact,) = resolve(str(tiny_model_folder), "")
    (row,) = latency.measure(artifact, CORPUS, BenchmarkConfig(device="cpu"), 8)["speed"]
    passes = np.reshape(row["samples_s"], (8, len(WORDS)))
    assert row["min_latency_s"] == np.median(passes.min(axis=0)) <= row["p50_s"]


def test_the_memory_row_has_every_number(rows: dict[str, Row]) -> None:
    row = rows["memory"]
    on_device = {"peak_device_bytes", "peak_reserved_bytes", "peak_process_bytes"}
    assert {name for name, value in row.items() if value is None} == {
        "single_process",
        "sequence_length",
        "flops_per_token",
        *on_device,
    }
    assert row["peak_rss_bytes"] >= row["baseline_rss_bytes"] > 10e6
    assert row["loaded_weights_bytes"] == 4 * row["parameters"] > 0
    assert row["artifact_bytes"] > row["weights_bytes"] > row["loaded_weights_bytes"]
    assert row["load_s"] > 0
    assert row["first_call_s"] > 0


def test_an_impossible_measurement_is_a_wrong_request(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "run_child", lambda module, job, what: measure(job, print))
    (artifact,) = resolve(str(tiny_model_folder), "")
    with pytest.raises(InputError, match=r"benchmark\.dtype"):
        measure_and_write(own_run(tmp_path), artifact, CORPUS, BenchmarkConfig(device="cpu", dtype="fp16"))
    assert not (tmp_path / "results").exists()
