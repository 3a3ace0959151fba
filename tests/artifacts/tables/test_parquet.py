"""Large tables are written and compared in parts; a failed write leaves no file."""

import errno
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_rows import KEY, metric, predictions, write

from nerbench.artifacts.errors import ConflictError, CorruptArtifactError, NerbenchError
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables import parquet
from nerbench.artifacts.tables.parquet import as_table, serialised
from nerbench.artifacts.tables.schemas import IDENTITY
from nerbench.artifacts.tables.tables import find_table_file, read_results, write_table


def test_large_tables_are_written_and_compared_in_parts(root_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerbench.artifacts.tables.parquet.MAX_ROWS", 2)
    tags = pa.array(["O", "B-PER", "O", "O", "B-LOC"]).dictionary_encode()
    data = predictions(5, pred_tag=tags)
    for _ in range(2):
        uri = write_table(root_url, "predictions", data, date="2026-01-02", key=KEY)
    root = open_root(root_url)
    file = pq.ParquetFile(pa.BufferReader(root.read(uri.removeprefix(f"{root.url}/"))))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [2, 2, 1]
    assert read_results(root_url, "predictions", columns=["pred_tag"]).to_pydict() == {"pred_tag": tags.to_pylist()}
    for changed, message in (
        ({"pred_tag": ["O", "B-PER", "O", "O", "B-PER"]}, "pred_tag of row 4 is 'B-LOC' there, 'B-PER' now"),
        ({"pred_tag": ["O", "B-PER", "O", "B-PER", "B-LOC"]}, "pred_tag of row 3 is 'O' there, 'B-PER' now"),
    ):
        with pytest.raises(ConflictError, match=message):
            write_table(root_url, "predictions", predictions(5, **changed), date="2026-01-02", key=KEY)
    with pytest.raises(ConflictError, match="5 rows there, 4 now"):
        write_table(root_url, "predictions", data.slice(0, 4), date="2026-01-02", key=KEY)
    for wrong, message in (
        ({"score": [0.5] * 4 + [float("nan")]}, "score of predictions holds NaN"),
        ({"gold_tag": ["O"] * 4 + [None]}, "gold_tag of predictions has no value"),
    ):
        with pytest.raises(ValueError, match=message):
            write_table(root_url, "predictions", predictions(5, **wrong), date="2026-01-02", key="wrong")
    assert find_table_file(root_url, "predictions", "wrong") is None


def test_a_row_group_of_sentences_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parquet._ROWS, "errors", 2)
    identity = {name: ["x"] * 5 for name in IDENTITY}
    rows = as_table("errors", pa.table(identity | {"kind": ["missed"] * 5, "sentence": range(5)}), "2026-01-02")
    file = pq.ParquetFile(pa.BufferReader(serialised("errors", rows)))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [2, 2, 1]


def test_a_file_that_decodes_to_much_memory_is_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerbench.artifacts.tables.parquet_bounds.MAX_BYTES", 1 << 16)
    data = predictions(1_000)
    uri = write_table(str(tmp_path), "predictions", data, date="2026-01-02", key=KEY)
    names = pa.array(["m" * 10_000] * 1_000)
    pq.write_table(pq.read_table(uri).drop_columns("model").append_column("model", names), uri, compression="zstd")
    with pytest.raises(CorruptArtifactError, match="bytes hold more than"):
        write_table(str(tmp_path), "predictions", data, date="2026-01-02", key=KEY)


def test_large_rows_pass_through_a_file_in_the_cache_folder(
    root_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    expected = serialised("predictions", as_table("predictions", predictions(5), "2026-01-02"))
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr("nerbench.artifacts.unnamed_files.IN_MEMORY", 1)
    for _ in range(2):
        uri = write_table(root_url, "predictions", predictions(5), date="2026-01-02", key=KEY)
    root = open_root(root_url)
    assert root.read(uri.removeprefix(f"{root.url}/")) == expected
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_table_without_rows_is_a_file(root_url: str) -> None:
    for _ in range(2):
        write_table(root_url, "metrics", [], date="2026-01-02", key=KEY)
    assert read_results(root_url, "metrics").num_rows == 0
    with pytest.raises(ConflictError, match="0 rows there, 1 now"):
        write(root_url, metric())


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(NerbenchError, match=rf"{KEY}.*No space left on device") as progress:
            write(str(tmp_path), metric())
    assert "\n" not in str(progress.value)
    assert progress.value.exit_status == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    write(str(tmp_path), metric())
