"""The tables match the design, and different versions of code and files are compatible."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.tables.columns import INSTANT
from nerbench.artifacts.tables.compaction import compact
from nerbench.artifacts.tables.schemas import TABLES, schema
from nerbench.artifacts.tables.tables import read_results, write_table

DESIGN = {
    "metrics": """run_date run_id started_at attempt artifact_id model_sha256 model dataset split words_sha256 gold
        gold_sha256 predictions_digest dtype aggregation slice level mode label average metric value ci_low ci_high
        ci_method confidence tp n_pred n_gold support n_documents status reason""",
    "predictions": """run_date artifact_id words_sha256 gold_sha256 predictions_digest model dataset gold split dtype
        document sentence word text gold_tag pred_tag score probabilities""",
    "confusion": """run_date artifact_id words_sha256 gold_sha256 predictions_digest model dataset gold split dtype
        gold_label pred_label boundaries n""",
    "errors": """run_date artifact_id words_sha256 gold_sha256 predictions_digest model dataset gold split dtype kind
        document sentence gold_start gold_end gold_label gold_text pred_start pred_end pred_label pred_text
        sentence_text score invalid""",
    "calibration": """run_date artifact_id words_sha256 gold_sha256 predictions_digest model dataset gold split dtype
        kind label position low high coverage n mean_confidence accuracy""",
    "speed": """run_date run_id started_at attempt artifact_id model device host dtype backend threads processes
        workload batch_size sequence_length status n mean_s std_s p50_s p90_s p95_s p99_s sentences_per_s words_per_s
        tokens_per_s ci_low_s ci_high_s samples_s""",
    "memory": """run_date run_id started_at attempt artifact_id model device dtype workload batch_size sequence_length
        parameters weights_bytes artifact_bytes load_s first_call_s baseline_rss_bytes peak_rss_bytes
        peak_device_bytes""",
    "runs": """run_date run_id started_at flow configuration code_commit code_dirty host cpu cpu_flags threads ram_bytes
        gpu driver cuda python torch transformers tokenizers prefect evaluated cached train_s evaluate_s score_s
        total_s outcome""",
}


@pytest.mark.parametrize("table", DESIGN)
def test_the_first_columns_are_stable_and_later_ones_are_nullable(table: str) -> None:
    first = DESIGN[table].split()
    assert schema(table).names[: len(first)] == first
    assert all(field.nullable for field in list(schema(table))[len(first) :])


def test_no_table_is_missing() -> None:
    assert set(DESIGN) <= set(TABLES)


@pytest.mark.parametrize(
    ("table", "column", "type_"),
    [
        ("metrics", "started_at", "timestamp[us, tz=UTC]"),
        ("metrics", "attempt", "int32"),
        ("metrics", "value", "double"),
        ("metrics", "support", "int64"),
        ("predictions", "document", "int32"),
        ("predictions", "score", "float"),
        ("predictions", "probabilities", "list<item: halffloat>"),
        ("metrics", "n_partial", "int64"),
        ("metrics", "n_invalid", "int64"),
        ("metrics", "parameters", "string"),
        ("metrics", "source", "string"),
        ("confusion", "n", "int64"),
        ("errors", "gold_start", "int32"),
        ("errors", "invalid", "bool"),
        ("calibration", "mean_confidence", "double"),
        ("speed", "samples_s", "list<item: double>"),
        ("runs", "code_dirty", "bool"),
    ],
)
def test_types(table: str, column: str, type_: str) -> None:
    assert str(schema(table).field(column).type) == type_


@pytest.mark.parametrize("table", DESIGN)
def test_every_column_has_a_meaning(table: str) -> None:
    for column, field in zip(TABLES[table].columns, schema(table), strict=True):
        assert field.metadata == {b"meaning": column.meaning.encode()}
        assert column.meaning.strip()
        assert "\n" not in column.meaning
    assert TABLES[table].nondeterministic <= set(schema(table).names)


def row_of(table: str) -> dict[str, object]:
    """A row with a value in every column of every version of the table."""
    values: dict[str, object] = {
        **{
            "string": "x",
            "date32": date(2026, 1, 2),
            "double": 0.5,
            "float": 0.5,
            "bool": True,
            "int32": 7,
            "int64": 7,
            "list<int32>": [7],
        },
        **{"list<double>": [0.5], "list<halffloat>": [0.5], INSTANT: datetime(2026, 1, 2, tzinfo=UTC)},
    }
    row = {column.name: values[column.type] for column in TABLES[table].columns}
    return row | ({"perturbation": None} if "perturbation" in row else {})  # others are read on request only


@pytest.fixture
def first_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The code with the first columns of the tables."""
    for table, names in DESIGN.items():
        columns = tuple(column for column in TABLES[table].columns if column.name in names.split())
        monkeypatch.setitem(TABLES, table, replace(TABLES[table], columns=columns))
    schema.cache_clear()
    yield
    monkeypatch.undo()
    schema.cache_clear()


@pytest.mark.parametrize("table", DESIGN)
def test_old_files_are_read_by_new_code(table: str, tmp_path: Path) -> None:
    old, added = DESIGN[table].split(), schema(table).names[len(DESIGN[table].split()) :]
    row = row_of(table)
    rows = pa.Table.from_pylist([row], schema=pa.schema(schema(table).field(name) for name in old))
    folder = tmp_path / table / "schema=2" / "date=2026-01-02"
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "old.parquet")
    expected = {name: row[name] for name in old} | dict.fromkeys(added)
    assert read_results(str(tmp_path), table).to_pylist() == [expected]
    assert read_results(str(tmp_path), table).schema.types == schema(table).types
    write_table(str(tmp_path), table, [row], date="2026-01-02", key="recent")
    assert read_results(str(tmp_path), table).to_pylist() == [expected, row]
    write_table(str(tmp_path), table, [row], date="2026-01-02", key="old")


@pytest.mark.parametrize("table", DESIGN)
def test_new_files_are_read_by_old_code(table: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    row = row_of(table)
    write_table(str(tmp_path), table, [row], date="2026-01-02", key="new")
    request.getfixturevalue("first_version")
    old = schema(table).names
    assert old == DESIGN[table].split()
    (read,) = read_results(str(tmp_path), table).to_pylist()
    assert read == row, "what was added since is still there"
    before = {name: row[name] for name in old}
    assert read_results(str(tmp_path), table, columns=old).to_pylist() == [before]
    write_table(str(tmp_path), table, [before], date="2026-01-02", key="new")
    write_table(str(tmp_path), table, [before], date="2026-01-02", key="old")
    assert read_results(str(tmp_path), table, columns=old).to_pylist() == [before, before]


@pytest.mark.parametrize("table", ["metrics", "training"])
def test_compaction_by_old_code_keeps_new_columns(table: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rows = [row_of(table) | {"run_id": key} for key in "ab"]
    for row in rows:
        write_table(str(tmp_path), table, [row], date="2026-01-02", key=str(row["run_id"]))
    request.getfixturevalue("first_version")
    for _ in range(2):
        compact(str(tmp_path), [table], grace=timedelta(0), now=datetime(2026, 1, 3, tzinfo=UTC))
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
    assert read_results(str(tmp_path), table).to_pylist() == rows


def test_an_old_reader_of_plain_parquet_gets_its_columns(tmp_path: Path) -> None:
    write_table(str(tmp_path), "metrics", [row_of("metrics")], date="2026-01-02", key="new")
    old = pa.schema(schema("metrics").field(name) for name in DESIGN["metrics"].split())
    (read,) = pq.read_table(str(next(tmp_path.rglob("*.parquet"))), schema=old, partitioning=None).to_pylist()
    assert read == {name: row_of("metrics")[name] for name in old.names}
