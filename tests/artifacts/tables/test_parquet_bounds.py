"""The bounds of Parquet files accept every table that nerbench writes."""

import io
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parquet_footers import STRUCT, Struct, column_chunk, row_group, with_footer

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables import parquet_bounds
from nerbench.artifacts.tables.parquet import as_parquet, as_rows, read_rows, with_declared
from nerbench.artifacts.tables.parquet_bounds import (
    batches,
    bounded,
    check_groups,
    decoded_bytes,
    matching,
    plain_column,
    read_table,
)
from nerbench.artifacts.tables.schemas import schema


def column(field: pa.Field, rows: int) -> pa.Array:
    if pa.types.is_string(field.type):
        return pa.array([f"{field.name}{n}" for n in range(20)]).take(pa.array(np.arange(rows) % 20))
    if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
        return pa.array(np.arange(rows)).cast(field.type, safe=False)
    return pa.nulls(rows, field.type)


@pytest.mark.parametrize("rows", [0, 1, 300, 200_000])
def test_written_tables_are_read(rows: int, tmp_path: Path) -> None:
    declared = schema("metrics")
    nullable = pa.schema([field.with_nullable(True) for field in declared])
    written = pa.table([column(field, rows) for field in declared], schema=nullable)
    root = open_root(str(tmp_path))
    root.create("a.parquet", as_parquet(written))
    assert read_rows(root, "a.parquet").combine_chunks().equals(written)
    assert read_rows(root, "a.parquet", {"model"}).column_names == ["model"]


def test_only_repeated_strings_have_dictionaries() -> None:
    rows = pa.table({"digest": [f"{n:064x}" for n in range(100)], "mode": ["strict", None] * 50})
    group = pq.ParquetFile(pa.BufferReader(as_parquet(rows))).metadata.row_group(0)
    assert [group.column(position).has_dictionary_page for position in range(2)] == [False, True]


@pytest.mark.parametrize("page_version", ["1.0", "2.0"])
@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", None])
def test_the_estimated_memory_of_a_column_is_not_too_small(
    encoding: str | None, page_version: str, tmp_path: Path
) -> None:
    texts = ["x" * 5_000, *(f"{n:04}" for n in range(3_000)), *[None] * 3_000, *["y" * 900] * 3_000]
    rows = pa.table({"text": texts, "lists": [[text] * 2 for text in texts]})
    kinds = {"column_encoding": dict.fromkeys(("text", "lists.list.element"), encoding)} if encoding else {}
    path = tmp_path / "a.parquet"
    pq.write_table(
        rows, path, use_dictionary=not encoding, data_page_version=page_version, data_page_size=4_000, **kinds
    )
    for name in rows.column_names:
        with path.open("rb") as stream:
            most = check_groups(stream, pq.read_metadata(path), [name])
        assert most >= rows[name].nbytes


def test_lists_of_strings_are_read(tmp_path: Path) -> None:
    written = pa.table({"labels": [["PER", "LOC"] * 50, [], None] * 10_000, "samples_s": [[1.0], [], None] * 10_000})
    root = open_root(str(tmp_path))
    root.create("a.parquet", as_parquet(written))
    assert read_rows(root, "a.parquet").equals(written)


FILTERS: list[tuple[str, str, Any]] = [
    *(("text", operator, "b") for operator in ("=", "!=", "<", "<=", ">", ">=")),
    *(("text", operator, values) for operator in ("in", "not in") for values in (["a", "c", "z"], ["z", None])),
    ("text", "=", None),
    *(("number", operator, value) for operator in ("=", "!=", ">=") for value in (2, 2.5)),
    ("number", "in", [1, 3]),
    ("date", "=", date(2026, 1, 2)),
    *(("instant", operator, datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=1)))) for operator in ("=", ">")),
    ("instant", "not in", [datetime(2026, 1, 2, tzinfo=UTC)]),
]


@pytest.mark.parametrize("one", FILTERS, ids=str)
@pytest.mark.parametrize("is_dictionary", [False, True])
def test_filters_hold_as_in_arrow(one: tuple[str, str, Any], is_dictionary: bool, tmp_path: Path) -> None:
    texts = pa.chunked_array([["a", None, "b"], ["c", "b", "d"]])
    rows = pa.table(
        {
            "text": texts.dictionary_encode() if is_dictionary else texts,
            "number": [1, 2, None, 3, 2, 5],
            "date": [date(2026, 1, day) for day in (1, 2, 2, 3, 4, 5)],
            "instant": [None, *(datetime(2026, 1, day, tzinfo=UTC) for day in (2, 2, 3, 4, 5))],
        }
    )
    filters = [one, ("number", "<", 5)]
    expected = rows.filter(pq.filters_to_expression(filters)).to_pylist()
    assert matching(rows, filters).to_pylist() == expected
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=3)
    assert read_rows(open_root(str(tmp_path)), "a.parquet", filters=filters).to_pylist() == expected


def test_a_filter_of_a_file_without_wanted_columns() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"first": ["x", "y"], "text": ["a", "b"]}), sink)
    filters = [("text", "=", "a")]
    assert read_table(pa.BufferReader(sink.getvalue()), {"missing"}, filters).num_rows == 2
    assert read_table(pa.BufferReader(sink.getvalue()), {"missing", "text"}, filters).num_rows == 1


@pytest.mark.parametrize("filters", [[], [("text", "=", "a")]], ids=["all", "filtered"])
def test_columns_with_the_same_name_are_damage(filters: list[tuple[str, str, Any]], tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(CorruptArtifactError, match="several of its columns have the same name"):
        read_rows(open_root(str(tmp_path)), "a.parquet", filters=filters)


def test_a_chunk_of_strings_that_claims_to_be_numbers_is_damage(tmp_path: Path) -> None:
    """Its strings, of any length, would count as numbers."""
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "a.parquet", store_schema=False)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    is_strings = b"\x15\x0c"  # the first field of a structure is 6, BYTE_ARRAY
    in_schema = data.index(is_strings, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))
    data[data.index(is_strings, in_schema + 2) + 1] = 2  # 1, INT32
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(CorruptArtifactError, match="text has another physical type than in the schema"):
        read_rows(open_root(str(tmp_path)), "a.parquet")


def test_nulls_of_a_fixed_width_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow allocates the width for each of them, which a few hundred bytes may declare as a gigabyte."""
    monkeypatch.setattr(parquet_bounds, "MAX_BYTES", 1 << 16)
    pq.write_table(pa.table({"text": pa.nulls(8, pa.binary(1 << 14))}), tmp_path / "a.parquet")
    with pytest.raises(CorruptArtifactError, match="has 131072 bytes"):
        read_rows(open_root(str(tmp_path)), "a.parquet")


def change_rows(rows: int) -> Callable[[Struct], None]:
    def change(footer: Struct) -> None:
        footer[3] = row_group(footer)[3] = (6, rows)

    return change


@pytest.mark.parametrize("wanted", [None, set(), {"samples_s"}], ids=["all", "none", "lists"])
@pytest.mark.parametrize("rows", [1 << 40, 101, 99, -1])
def test_another_number_of_rows_than_the_columns_have_is_damage(rows: int, wanted: set[str] | None) -> None:
    """Arrow allocates a row before it reads it, or leaves out the last ones."""
    data = as_parquet(pa.table({"text": ["a"] * 100, "samples_s": [[1.0]] * 100}))
    if wanted == {"samples_s"} and rows == 99:
        return  # a row can have two values
    with pytest.raises(ValueError, match=f"has 100 values in {rows} rows"):
        read_table(pa.BufferReader(with_footer(data, change_rows(rows))), wanted)


def test_another_number_of_rows_than_the_row_groups_have_is_damage() -> None:
    data = with_footer(as_parquet(pa.table({"text": ["a"] * 100})), lambda footer: footer.update({3: (6, 1 << 40)}))
    for filters in ([], [("text", "=", "b")]):
        with pytest.raises(ValueError, match=f"its row groups have 100 rows instead of {1 << 40}"):
            read_table(pa.BufferReader(data), {"other"}, filters)


def test_row_groups_with_the_same_bytes_are_damage() -> None:
    """The bounds counted the shared bytes once per row group: a filter read 3.4 GB from 1.4 MB."""

    def repeat(footer: Struct) -> None:
        footer[4] = (9, (STRUCT, [row_group(footer)] * 100))
        footer[3] = (6, 100 * footer[3][1])

    data = with_footer(as_parquet(pa.table({"n": range(10_000)})), repeat)
    with pytest.raises(ValueError, match="several of its columns share the same bytes"):
        read_table(pa.BufferReader(data), None, [("n", ">=", 0)])


def test_a_row_group_without_a_column_is_damage() -> None:
    data = with_footer(
        as_parquet(pa.table({"n": [1]})), lambda footer: row_group(footer).update({1: (9, (STRUCT, []))})
    )
    with pytest.raises(ValueError, match="row group 0 lacks columns of the schema"):
        read_table(pa.BufferReader(data))


def test_filtered_rows_of_all_row_groups_share_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 9 kB has fifty row groups, each of whose texts take 200 MB."""
    monkeypatch.setattr(parquet_bounds, "MAX_BYTES", 1 << 16)
    monkeypatch.setattr(parquet_bounds, "BYTES_A_BYTE", 1)
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["x" * 1_000] * 500}), sink, row_group_size=50)
    stream = pa.BufferReader(sink.getvalue())
    assert len(read_table(stream, None, [("text", "=", "y")])) == 0
    with pytest.raises(ValueError, match="bytes hold more than 65536"):
        read_table(stream, None, [("text", "=", "x" * 1_000)])


def test_rows_are_counted_without_columns() -> None:
    data = as_parquet(pa.table({"n": range(300_000), "text": ["x" * 2_000] * 300_000}))
    found = read_table(pa.BufferReader(data), set())
    assert found.num_rows == 300_000
    assert with_declared(found, schema("runs"), {"host"})["host"].null_count == 300_000
    assert read_table(pa.BufferReader(data), set(), [("text", "=", "y")]).shape == (0, 0)


def test_missing_columns_take_little_memory() -> None:
    """A file of 90 kB can have thirty million rows."""
    rows = with_declared(pa.table({"n": pa.nulls(3_000_000)}), schema("runs"))
    assert len(rows) == 3_000_000
    assert rows.get_total_buffer_size() < 20 << 20, "600 MB if each row were in memory"


def test_statistics_that_were_cut_exclude_nothing_that_is_there() -> None:
    texts = ["p" * 5_000 + "a", "p" * 5_000 + "z"]
    for change in (b"p" * 10, b"p" * 5_000):
        sink = io.BytesIO()
        pq.write_table(pa.table({"text": texts}), sink, use_dictionary=False)

        def cut(footer: Struct, low: bytes = change) -> None:
            no = (2, False)
            ends = {5: (8, b"q"), 6: (8, low), 7: no, 8: no}  # where a highest value is cut, it is increased
            column_chunk(footer, 0)[12] = (STRUCT, ends)

        stream = pa.BufferReader(with_footer(sink.getvalue(), cut))
        assert [len(read_table(stream, None, [("text", "=", text)])) for text in texts] == [1, 1]


def test_a_repeated_text_takes_memory_once(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x" * 10_000] * 5_000, "lists": [["y" * 10_000]] * 5_000}), path)
    with path.open("rb") as stream, bounded(stream) as file:
        rows = file.read_row_group(0)
    assert sum(batch.get_total_buffer_size() for batch in rows.to_batches()) < 1 << 20, "100 MB as plain texts"


def test_the_size_of_many_small_dictionaries_is_not_overestimated() -> None:
    chunk = pa.array([f"label{number % 50}" for number in range(1000)]).dictionary_encode()
    column = pa.chunked_array([chunk] * 1000)
    assert decoded_bytes(column) < 2 * plain_column(column).nbytes


def test_filters_and_plain_rows_do_without_pandas(tmp_path: Path) -> None:
    rows = pa.table({"text": ["a", "b"], "at": pa.array([0, None], pa.timestamp("us", "UTC"))})
    assert as_rows(rows) == rows.to_pylist()
    open_root(str(tmp_path)).create("a.parquet", as_parquet(rows))
    code = (
        "import sys; from nerbench.artifacts.storage.open_root import open_root\n"
        "from nerbench.artifacts.tables.parquet import as_rows, read_rows, with_declared\n"
        "from nerbench.artifacts.tables.schemas import schema\n"
        "missing = schema('runs')\n"
        f"root = open_root({str(tmp_path)!r})\n"
        "found = [read_rows(root, 'a.parquet', filters=[('text', '=', text)]) for text in 'ac']\n"
        "rows = [as_rows(with_declared(one, missing)) for one in found]\n"
        "print([len(one) for one in rows], 'pandas' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "[1, 0] False\n"


def test_no_batch_is_of_two_row_groups(tmp_path: Path) -> None:
    """Arrow would keep memory for each row group that it has left behind."""
    pq.write_table(pa.table({"a": range(12), "b": ["x"] * 12}), path := tmp_path / "t.parquet", row_group_size=5)
    with path.open("rb") as stream, bounded(stream) as file:
        found = list(batches(file, 3, ["a"]))
    assert [len(batch) for batch in found] == [3, 2, 3, 2, 2]
    assert [value for batch in found for value in batch["a"].to_pylist()] == [*range(12)]
