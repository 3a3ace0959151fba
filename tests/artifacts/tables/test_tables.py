"""Result tables are written once, and read together whatever version wrote them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import KEY, metric, predictions, write

from nerbench.artifacts.errors import ConflictError, CorruptArtifactError, InputError
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.schemas import schema
from nerbench.artifacts.tables.tables import find_table_file, read_newest_first, read_results, table_key, write_table


def test_keys_depend_on_every_part_and_its_place() -> None:
    keys = [table_key("a", "b"), table_key("b", "a"), table_key("ab"), table_key("a", "b", ""), table_key("a,b")]
    assert len(set(keys)) == 5
    assert all(len(key) == 32 for key in keys)


def test_write_and_read(root_url: str) -> None:
    uri = write(root_url, metric("PER"), metric("LOC", None))
    assert uri == f"{open_root(root_url).url}/metrics/schema=2/date=2026-01-02/{KEY}.parquet"
    rows = read_results(root_url, "metrics")
    assert rows.schema.names == schema("metrics").names
    assert rows["label"].to_pylist() == ["PER", "LOC"]
    assert rows["value"].to_pylist() == [0.5, None]
    assert rows["started_at"][0].as_py() == datetime(2026, 1, 2, tzinfo=UTC)


def test_a_retry_writes_once(root_url: str) -> None:
    first = write(root_url, metric())
    again = write(root_url, metric(attempt=2, started_at=datetime(2026, 1, 3, tzinfo=UTC)))
    assert again == first
    assert read_results(root_url, "metrics")["attempt"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([metric("PER"), metric("LOC", 0.75)], r"value of row 1 is 0.5 there, 0.75 now"),
        ([metric("PER"), metric("LOC", None)], r"value of row 1 is 0.5 there, None now"),
        ([metric("PER"), metric("ORG")], r"label of row 1 is 'LOC' there, 'ORG' now"),
        ([metric("PER")], "2 rows there, 1 now"),
    ],
)
def test_a_file_with_other_rows_is_a_conflict(root_url: str, rows: list[dict[str, Any]], message: str) -> None:
    write(root_url, metric("PER"), metric("LOC"))
    with pytest.raises(ConflictError, match=message):
        write(root_url, *rows)
    assert read_results(root_url, "metrics")["label"].to_pylist() == ["PER", "LOC"]


def test_one_of_eight_workers_writes(root_url: str) -> None:
    def attempt(number: int) -> bool:
        try:
            write(root_url, metric(value=number / 10))
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(attempt, range(8)))
    assert sum(wrote) == 1
    assert read_results(root_url, "metrics")["value"].to_pylist() == [wrote.index(True) / 10]


def test_durations_may_differ(root_url: str) -> None:
    row = dict.fromkeys(("run_id", "artifact_id", "model", "device", "dtype", "workload", "status"), "x")
    for seconds in (0.1, 0.2):
        data = [{**row, "mean_s": seconds, "samples_s": [seconds, seconds], "n": 2}]
        write_table(root_url, "speed", data, date="2026-01-02", key=KEY)
    assert read_results(root_url, "speed")["samples_s"].to_pylist() == [[0.1, 0.1]]


def test_an_arrow_table_is_cast(root_url: str) -> None:
    tags = pa.array(["O", "B-PER", "O"]).dictionary_encode()
    data = predictions(3, pred_tag=tags, probabilities=[[0.5, 0.5]] * 3)
    write_table(root_url, "predictions", data, date="2026-01-02", key=KEY)
    rows = read_results(root_url, "predictions", columns=["pred_tag", "word", "probabilities", "text"])
    assert rows.schema.types == [schema("predictions").field(name).type for name in rows.column_names]
    assert rows.to_pydict() == {
        "pred_tag": ["O", "B-PER", "O"],
        "word": [0, 1, 2],
        "probabilities": [[0.5, 0.5]] * 3,
        "text": [None] * 3,
    }


@pytest.mark.parametrize("key", ["compacted-000001", "a/b", ".hidden", ""])
def test_invalid_keys(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        write(str(tmp_path), metric(), key=key)


def test_scores_and_names_of_the_same_predictions_may_differ(root_url: str) -> None:
    for score, name in ((0.5, "fp32"), (0.25, "bf16")):
        data = predictions(1, score=[score], dtype=[name])
        write_table(root_url, "predictions", data, date="2026-01-02", key=KEY)
    with pytest.raises(ConflictError, match="pred_tag of row 0"):
        write_table(root_url, "predictions", predictions(1, pred_tag=["O"]), date="2026-01-02", key=KEY)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (metric(nonsense=1), "has no column nonsense"),
        (metric(label=None), "label of metrics has no value in 1 rows"),
        (metric(value=float("nan")), "value of metrics holds NaN"),
    ],
)
def test_bugs_are_not_written(root_url: str, row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(root_url, row)
    assert open_root(root_url).files(recursive=True) == []


@pytest.mark.parametrize(("date", "key"), [("yesterday", KEY), ("2026-01-02", "../x"), ("2026-01-02", "")])
def test_paths_are_checked(root_url: str, date: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|cannot name"):
        write(root_url, metric(), date=date, key=key)


def test_a_file_is_found_whatever_its_date(root_url: str) -> None:
    assert find_table_file(root_url, "metrics", KEY) is None
    uri = write(root_url, metric(), date="2025-12-31")
    assert find_table_file(root_url, "metrics", KEY) == uri
    assert find_table_file(root_url, "metrics", KEY[1:]) is None


def test_an_unwritten_table_is_empty(root_url: str) -> None:
    rows = read_results(root_url, "metrics")
    assert (rows.num_rows, rows.schema.names) == (0, schema("metrics").names)
    assert read_results(root_url, "metrics", columns=["value"]).schema.types == [pa.float64()]


def test_since_filters_and_columns(root_url: str) -> None:
    for day in (1, 2, 3):
        rows = [metric(label, day / 10) for label in ("PER", "LOC")]
        write(root_url, *rows, date=f"2026-01-0{day}", key=table_key(str(day)))
    assert read_results(root_url, "metrics", since="2026-01-02").num_rows == 4
    found = read_results(root_url, "metrics", columns=["value"], filters=[("label", "=", "LOC"), ("value", ">", 0.15)])
    assert found.to_pydict() == {"value": [0.2, 0.3]}


def test_the_newest_date_is_read_first(root_url: str) -> None:
    for day in (2, 1, 3):
        write(root_url, metric(value=day / 10), date=f"2026-01-0{day}", key=table_key(str(day)))
    columns = ["value"]
    days = read_newest_first(root_url, "metrics", columns=columns, filters=[("value", "<", 0.25)])
    assert [(day.date, day.rows.to_pydict()) for day in days] == [
        ("2026-01-02", {"value": [0.2]}),
        ("2026-01-01", {"value": [0.1]}),
    ]
    (day,) = read_newest_first(root_url, "metrics", columns=columns, date="2026-01-03")
    assert (day.date, day.rows["value"].to_pylist()) == ("2026-01-03", [0.3])
    assert list(read_newest_first(root_url, "metrics", date="2026-01-04")) == []
    older_file(root_url, [])  # from another version, and the only one of its date
    open_root(root_url).replace("metrics/schema=0/date=2025-01-01/old.parquet", b"damaged")
    days = read_newest_first(root_url, "metrics")
    assert [next(days).date for _ in range(3)] == ["2026-01-03", "2026-01-02", "2026-01-01"]
    with pytest.raises(CorruptArtifactError, match="old"):
        next(days)
    with pytest.raises(InputError, match="YYYY-MM-DD"):
        next(read_newest_first(root_url, "metrics", date="yesterday"))


def older_file(root_url: str, drop: list[str], **extra: Any) -> None:
    table = pa.Table.from_pylist(
        [metric("OLD", tp=7) | {"run_date": date(2025, 1, 1)}], schema=schema("metrics")
    ).drop_columns(drop)
    for name, values in extra.items():
        table = table.append_column(name, pa.array(values))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    open_root(root_url).create("metrics/schema=0/date=2025-01-01/old.parquet", sink.getvalue().to_pybytes())


def test_files_of_other_versions_are_unified(root_url: str) -> None:
    older_file(root_url, ["ci_low", "tp", "slice"], tp=pa.array([7], pa.int32()), invalid_transitions=[9])
    write(root_url, metric("NEW", ci_low=0.25, tp=2**40))
    rows = read_results(root_url, "metrics")
    assert rows.select(["label", "ci_low", "slice", "tp", "invalid_transitions"]).to_pylist() == [
        {"label": "OLD", "ci_low": None, "slice": None, "tp": 7, "invalid_transitions": 9},
        {"label": "NEW", "ci_low": 0.25, "slice": "slice", "tp": 2**40, "invalid_transitions": None},
    ]
    only = read_results(root_url, "metrics", columns=["ci_low"])
    assert only.to_pydict() == {"ci_low": [None, 0.25]}
    filtered = read_results(root_url, "metrics", columns=["invalid_transitions"], filters=[("ci_low", ">", 0)])
    assert filtered.to_pydict() == {"invalid_transitions": [None]}


def test_a_flipped_byte_is_noticed(root_url: str) -> None:
    uri = write(root_url, *(metric(value=number / 997) for number in range(997)))
    root = open_root(root_url)
    path = uri.removeprefix(f"{root.url}/")
    data = root.read(path)
    start = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0)
    column = next(start.column(i) for i in range(start.num_columns) if start.column(i).path_in_schema == "value")
    middle = column.data_page_offset + column.total_compressed_size // 2
    root.replace(path, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    with pytest.raises(CorruptArtifactError, match=KEY):
        read_results(root_url, "metrics")


def test_errors_of_users(root_url: str) -> None:
    with pytest.raises(InputError, match=r"table 'metric'.*choose one of metrics"):
        read_results(root_url, "metric")
    with pytest.raises(InputError, match=r"column 'f1'.*run_id"):
        read_results(root_url, "metrics", columns=["f1"])
    write(root_url, metric(), key="a")
    with pytest.raises(InputError, match=r"column 'f1'.*run_id"):
        read_results(root_url, "metrics", filters=[("f1", ">", 0.5)])
    with pytest.raises(InputError, match="operator 'like': is unknown; choose one of =, "):
        next(read_newest_first(root_url, "metrics", filters=[("label", "like", "L%")]))
    with pytest.raises(InputError, match=r"column 'value': cannot be compared by > with 'high'; give .* double"):
        read_results(root_url, "metrics", filters=[("value", ">", "high")])
    with pytest.raises(InputError, match=r"column 'label': cannot be compared by = with '\\udcff'; give .* string"):
        read_results(root_url, "metrics", filters=[("label", "=", "\udcff")])
    with pytest.raises(InputError, match="column 'run_id': cannot be compared by in with 3"):
        next(read_newest_first(root_url, "metrics", filters=[("run_id", "in", 3)]))
    with pytest.raises(InputError, match="YYYY-MM-DD"):
        read_results(root_url, "metrics", since="yesterday")


def test_other_readers_can_use_a_glob(tmp_path: Path) -> None:
    write(str(tmp_path), metric(), key="a")
    write(str(tmp_path), metric(), key="b")
    files = sorted(tmp_path.glob("metrics/**/*.parquet"))
    assert [pq.read_table(file, partitioning=None).num_rows for file in files] == [1, 1]
