"""The current version reads the files of nerbench at c32070f, with tables in schema 1.

`data/c32070f.tar.xz` contains a configuration, a corpus, a store and results of that commit: `nerbench run` on one day,
`nerbench benchmark` on two more and `nerbench speed`. The first day is compacted, the second is compacted within the
grace period, and the third is not compacted.
"""

import logging
import tarfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.compaction import compact
from nerbench.artifacts.tables.schemas import COMPACTABLE, TABLES, schema
from nerbench.artifacts.tables.tables import find_table_file, read_results, write_table
from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.config.deprecated_keys import warn_deprecated
from nerbench.tasks.config.loading import load_config
from nerbench.tasks.inference import evaluation_cache, evaluation_key, processes
from nerbench.tasks.inference.hardware import Processor
from nerbench.tasks.results.export import Selection, export_bundle
from nerbench.tasks.results.history import Query, history
from nerbench.tasks.results.summary import leaderboard, read_run
from nerbench.tasks.scoring.stored_predictions import predictions_key, read_predictions, stored

ROOT = Path(__file__).resolve().parents[1]
DAYS = [date(2026, 11, day) for day in (27, 28, 29)]
HARDWARE = {"device": "cpu", "cpu_capability": "AVX512", "threads": "1"}
VERSIONS = {"torch": "2.13.0+cpu", "transformers": "5.23.0", "tokenizers": "0.23.3"}
WRITTEN = [table for table in TABLES if table not in {"custom", "robustness", "suspects"}]


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of c32070f."""
    with tarfile.open(ROOT / "tests/data/c32070f.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def results(old: Path) -> str:
    return str(old / "results")


def as_written(old: Path, table: str) -> list[dict[str, Any]]:
    """The rows in schema 1, by another reader."""
    files = sorted((old / "results" / table).glob("schema=1/date=*/*.parquet"))
    return [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]


def in_order(rows: pa.Table) -> list[str]:
    return sorted(map(str, rows.to_pylist()))


def test_the_configuration_is_read_with_one_warning_per_deprecated_key(
    old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_deprecated.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            config = load_config(old / "nerbench.yaml")
    assert (config.benchmark.dtype, config.speed.dtypes) == ("fp32", ("fp32",))
    assert config.gate is not None
    assert config.gate.on_undecided == "fail"
    said = Counter(record.getMessage() for record in caplog.records)
    assert (
        said["benchmark.precision is deprecated: write dtype"]
        == said["speed.precisions is deprecated: write dtypes"]
        == 1
    )
    assert {message.split(" ")[0] for message in said} == {"benchmark.precision", "speed.precisions", "gate.strict"}


def test_the_store_is_complete(old: Path) -> None:
    store = Store(str(old / "store"))
    found = {one.name: sorted(one.aliases) for one in store.list()}
    assert found == {name: ["champion", "latest"] for name in ("tiny-seed0", "tiny-seed1")}
    assert all(not store.verify(one).problems for one in store.list())


@pytest.mark.parametrize("table", WRITTEN)
def test_a_table_is_read_in_schema_2(old: Path, results: str, table: str) -> None:
    rows, before = read_results(results, table), as_written(old, table)
    assert rows.column_names == schema(table).names
    assert rows.num_rows == len(before) > 0
    assert all(rows[field.name].null_count == 0 for field in schema(table) if not field.nullable)
    identity = (*TABLES[table].identity, *(["label"] if table == "gate" else []))  # rules had no number in schema 1
    identities = Counter(tuple(row[name] for name in identity) for row in rows.to_pylist())
    assert set(identities.values()) == {1}
    renamed = {"precision": "dtype", "undisturbed_s": "min_latency_s", "foreign_cores": "background_cores"}
    for column in before[0]:
        name = renamed.get(column, column)
        if table != "gate" or column not in {"metric", "verdict"}:
            assert Counter(map(str, rows[name].to_pylist())) == Counter(str(row[column]) for row in before), column


def test_new_columns_of_schema_2_are_derived(old: Path, results: str) -> None:
    metrics = read_results(results, "metrics").to_pylist()
    assert Counter(row["run_date"] for row in metrics) == dict.fromkeys(DAYS, len(metrics) // 3)
    assert {(row["aggregation"], row["n_models"]) for row in metrics} == {("model", None), ("seed_mean", 2)}
    assert {row["dtype"] for row in metrics} == {"fp32"}
    gate = read_results(results, "gate").to_pylist()
    found = {(row["kind"], row["metric"], row["unit"]) for row in gate}
    assert found == {("rule", "f1", "share"), ("speed", "min_latency_s", "seconds"), ("promotion", None, None)}
    old = Counter(row["verdict"] for row in as_written(old, "gate"))
    assert old["inconclusive"] == Counter(row["verdict"] for row in gate)["undecided"] > 0
    speed = read_results(results, "speed", columns=["min_latency_s", "started_at", "attempt", "run_date"])
    assert speed["started_at"].null_count == speed["attempt"].null_count == speed.num_rows
    assert speed["min_latency_s"].null_count == 1  # of the sweep


def test_columns_are_found_by_their_new_names(results: str) -> None:
    for column in ("dtype", "aggregation", "average", "run_date"):
        whole = read_results(results, "metrics")[column].to_pylist()
        assert Counter(read_results(results, "metrics", columns=[column])[column].to_pylist()) == Counter(whole)
    means = read_results(results, "metrics", columns=["model"], filters=[("aggregation", "=", "seed_mean")])
    assert set(means["model"].to_pylist()) == {"tiny"}
    latencies = read_results(results, "gate", columns=["model"], filters=[("unit", "=", "seconds")])
    assert latencies.num_rows == 6


def test_both_schemas_in_one_folder_are_one_table(old: Path, results: str) -> None:
    before = read_results(results, "metrics")
    (file, *_) = sorted((old / "results/metrics/schema=1/date=2026-11-29").iterdir())
    again = read_results(results, "metrics", filters=[("run_date", "=", DAYS[2])]).to_pylist()
    key = file.stem
    in_file = {(row["artifact_id"], row["gold"]) for row in pq.read_table(file, partitioning=None).to_pylist()}
    rows = [row for row in again if (row["artifact_id"], row["gold"]) in in_file]
    write_table(results, "metrics", rows, date="2026-11-29", key=key)  # a second attempt, after the upgrade
    assert in_order(read_results(results, "metrics")) == in_order(before)
    new = [row | {"run_id": "new"} for row in rows]
    write_table(results, "metrics", new, date="2026-11-29", key="new")
    assert read_results(results, "metrics").num_rows == before.num_rows + len(new)
    assert read_results(results, "metrics", filters=[("run_id", "=", "new")]).num_rows == len(new)


@pytest.mark.parametrize("table", COMPACTABLE)
def test_compaction_writes_schema_2(old: Path, results: str, table: str) -> None:
    before = read_results(results, table)
    for turn in range(3):
        compact(results, [table], grace=timedelta(0), now=datetime(2026, 12, 1 + turn, tzinfo=UTC))
        assert in_order(read_results(results, table)) == in_order(before)
    files = [path.relative_to(old / "results").as_posix() for path in (old / "results" / table).rglob("*.*")]
    assert all(path.startswith(f"{table}/schema=2/") for path in files)
    if files:
        plain = pl.read_parquet(old / "results" / table)
        assert set(schema(table).names) <= {*plain.columns, *(f.name for f in schema(table) if f.nullable)}
        assert plain.height == before.num_rows
        assert sorted(set(plain["run_date"])) == sorted(set(before["run_date"].to_pylist()))


def test_compaction_keeps_the_positions_of_rows(old: Path, results: str) -> None:
    keys = [
        file.stem
        for file in sorted((old / "results/metrics/schema=1").rglob("*.parquet"))
        if "compacted" not in file.stem
    ]
    for turn in range(3):
        compact(results, ["metrics"], grace=timedelta(0), now=datetime(2026, 12, 1 + turn, tzinfo=UTC))
    assert len(keys) == 6
    assert all("schema=2" in str(find_table_file(results, "metrics", key)) for key in keys)


def test_an_outdated_compaction_is_reported_and_deletes_nothing(old: Path, results: str) -> None:
    from nerbench.artifacts.errors import CorruptArtifactError

    compact(results, ["gate"], grace=timedelta(0), now=datetime(2026, 12, 1, tzinfo=UTC))
    folder = old / "results/gate/schema=1/_compacted/date=2026-11-29"
    folder.mkdir(parents=True)
    manifest = (old / "results/gate/schema=1/_compacted/date=2026-11-28/000001.json").read_bytes()
    (folder / "000001.json").write_bytes(manifest)
    for do in (
        lambda: read_results(results, "gate"),
        lambda: compact(results, ["gate"], grace=timedelta(0), now=datetime(2026, 12, 2, tzinfo=UTC)),
    ):
        with pytest.raises(CorruptArtifactError, match="upgrade every worker"):
            do()
    assert len(list((old / "results/gate/schema=1/date=2026-11-29").iterdir())) == 4


def test_the_scores_are_shown_as_before(old: Path, results: str) -> None:
    headline = {"mode": "strict", "label": "overall", "average": "micro", "metric": "f1", "slice": "all"}
    wanted = [row for row in as_written(old, "metrics") if headline.items() <= row.items()]
    f1 = {(row["run_id"], row["model"], row["gold"]): row["value"] for row in wanted}
    newest = read_run(results)
    shown = {(row["model"], row["gold"]): row["F1"] for row in leaderboard(newest.metrics)}
    assert shown == {key[1:]: round(100 * value, 2) for key, value in f1.items() if key[0] == newest.run_id}
    assert len(shown) == 6
    for series in history(results, "tiny-seed0", Query()):
        points = [(point.run_id, point.value) for point in series.points]
        assert sorted(points) == sorted((k[0], v) for k, v in f1.items() if k[1:] == ("tiny-seed0", series.gold))


def test_stored_predictions_are_scored_again(results: str) -> None:
    rows = read_results(results, "metrics", filters=[("aggregation", "=", "model")])
    row = next(row for row in rows.to_pylist() if row["predictions_digest"])
    predicted = stored(results, row)
    assert "/predictions/schema=1/" in predicted.uri
    found = read_predictions(results, predicted.uri)
    assert (found.identity.dtype, found.identity.predictions_digest) == ("fp32", row["predictions_digest"])
    assert sum(len(part.gold) for part in found.parts()) == found.n_words == 165
    assert predictions_key(row) in predicted.uri


def test_cached_evaluations_still_hit(old: Path, results: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the machine and the versions of the old results."""
    monkeypatch.setattr(evaluation_key, "version", VERSIONS.__getitem__)
    hardware = Processor(HARDWARE["cpu_capability"], int(HARDWARE["threads"]))
    monkeypatch.setattr(evaluation_key, "device_name", lambda device: HARDWARE["device"])
    monkeypatch.setattr(evaluation_key, "processor", lambda: hardware)
    monkeypatch.setattr(processes, "processor", lambda: hardware)
    (words,) = set(read_results(results, "predictions", columns=["words_sha256"])["words_sha256"].to_pylist())
    store = Store(str(old / "store"))
    for key in store.list():
        artifact = store.ref(key)
        plan = evaluation_cache.plan(artifact, words, BenchmarkConfig(device="cpu", dtype="fp32"), results)
        assert (old / "results/.cache/evaluations" / plan.key).is_dir()
        assert plan.state == "cached"
        other = evaluation_cache.plan(artifact, words, BenchmarkConfig(device="cpu", dtype="bf16"), results)
        assert other.state == "missing"


def test_the_results_are_exported_in_schema_2(old: Path, results: str) -> None:
    rows = export_bundle(results, old / "results.zip", Selection())
    assert set(rows) == set(WRITTEN)


def test_an_old_deployment_gets_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(ImportError, match=r"nerbench\.flows now.*deploy again: prefect --no-prompt deploy"):
        load_flow_from_entrypoint("flows.benchmark.benchmark")
