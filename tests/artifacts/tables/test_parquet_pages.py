"""The column chunks in a footer, compared with pyarrow; damaged footers do not end the process."""

import io
import re
import struct
import subprocess
import sys
from functools import partial
from itertools import product
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parquet_footers import (
    BINARY,
    STRUCT,
    Struct,
    column_chunk,
    decoded,
    encoded,
    field,
    footer_start,
    integer,
    row_group,
    varint,
    with_footer,
    with_footer_bytes,
)

from nerbench.artifacts.tables import parquet_pages
from nerbench.artifacts.tables.parquet_bounds import MAX_PAGE, read_table
from nerbench.artifacts.tables.parquet_pages import Chunk, footer_of, pages, row_groups

PHYSICAL_TYPES = ["BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"]
ROWS = pa.table({"text": ["a", None] * 50, "n": [*range(99), None], "tags": [["O", "B-PER"]] * 100, "f": [0.5] * 100})


def written(**options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(ROWS, sink, **options)
    return sink.getvalue()


def stored(column: pq.ColumnChunkMetaData, end: str) -> bytes | None:
    """An end of the statistics as the footer has it."""
    if not column.is_stats_set or not column.statistics.has_min_max:
        return None
    value = getattr(column.statistics, f"{end}_raw")
    formats = {"INT32": "<i", "INT64": "<q", "FLOAT": "<f", "DOUBLE": "<d", "BOOLEAN": "<?"}
    return value if isinstance(value, bytes) else struct.pack(formats[column.physical_type], value)


def chunks(footer: bytes) -> list[Chunk]:
    """All chunks of a footer, with the statistics of their columns."""
    found = row_groups(footer, (), {position: lambda chunk: True for position in range(100)})
    return [chunk for group in found if group for chunk in group]


def claimed_by_pyarrow(data: bytes) -> list[Chunk]:
    metadata = pq.read_metadata(io.BytesIO(data))
    found = []
    for group, position in product(range(metadata.num_row_groups), range(metadata.num_columns)):
        column = metadata.row_group(group).column(position)
        starts = [column.data_page_offset, column.dictionary_page_offset]
        found.append(
            Chunk(
                row_group=group,
                column=column.path_in_schema.partition(".")[0],
                physical_type=PHYSICAL_TYPES.index(column.physical_type),
                values=column.num_values,
                start=min(start for start in starts if start is not None),
                compressed=column.total_compressed_size,
                low=stored(column, "min"),
                high=stored(column, "max"),
            )
        )
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"row_group_size": 7, "compression": "zstd"},
        {"use_dictionary": False, "write_statistics": False, "data_page_version": "2.0"},
        {"write_page_index": True, "write_page_checksum": True, "sorting_columns": [pq.SortingColumn(1)]},
    ],
    ids=["default", "groups", "plain", "indexed"],
)
def test_the_chunks_of_a_footer(options: dict[str, object]) -> None:
    data = written(**options)
    assert chunks(data[footer_start(data) : -8]) == claimed_by_pyarrow(data)


def test_usual_chunks_are_read_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"long": ["x" * 65], "at": pa.array([1], pa.timestamp("us", "UTC")), "none": pa.nulls(1), "yes": [True]}
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["é"]} | texts), sink, use_dictionary=["text"])
    data = sink.getvalue()
    footer = data[footer_start(data) : -8]
    usual = chunks(footer)
    assert [chunk.column for chunk in usual] == ["text", *texts]
    assert usual == claimed_by_pyarrow(data)
    monkeypatch.setattr(parquet_pages, "_usual_chunk", lambda: re.compile(rb"(?!)"))
    assert chunks(footer) == usual


def test_a_flag_in_statistics_is_not_read_as_their_highest_value() -> None:
    """The next bytes hid the end of the chunk: nerbench checked the pages of another column than Arrow read."""
    sink = io.BytesIO()
    rows = pa.table({"first": ["a"], "small": ["a"], "large": ["\0" * (MAX_PAGE + 1)]})
    pq.write_table(rows, sink, compression="zstd", use_dictionary=False, store_schema=False, write_statistics=False)
    numbers = [(1 << 30, 1 << 15, 0), (12, 0, 0), (1 << 30, 100, 0), (0, 0, 0)]
    encodings = [{1: (5, one), 2: (5, two), 3: (5, three)} for one, two, three in numbers]

    def change(footer: Struct) -> None:
        for position in range(3):
            column_chunk(footer, position).pop(16)
        flagged = {3: (6, 0), 7: (1, True), 8: (1, True)}
        column_chunk(footer, 0).update({12: (STRUCT, flagged), 13: (9, (STRUCT, encodings))})

    with pytest.raises(ValueError, match=f"a page of large has {MAX_PAGE + 11} bytes"):
        read_table(pa.BufferReader(with_footer(sink.getvalue(), change)), {"large"})


def test_usual_chunks_end_like_others_whichever_fields_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written()
    choices = Random(7)
    values = {1: b"z", 2: b"a", 3: 1, 4: 2, 5: b"z", 6: b"a", 7: True, 8: False}
    typed = {number: ({bytes: BINARY, int: 6, bool: 1}[type(value)], value) for number, value in values.items()}
    rare = {8: (9, (STRUCT, [])), 14: (6, 22), 15: (5, 22), 17: (STRUCT, {})}

    def some(fields: Struct, share: float) -> Struct:
        return {number: one for number, one in fields.items() if choices.random() < share}

    def change(footer: Struct) -> None:
        for position in range(4):
            column = column_chunk(footer, position)
            column[12] = STRUCT, some(typed, 0.7)
            optional = {number: column.pop(number) for number in (11, 12, 13, 16) if number in column}
            column.update(some(optional, 0.7) | some(rare, 0.2))

    n_usual, usual = 0, parquet_pages._usual_chunk
    for _ in range(200):
        changed = with_footer(data, change)
        footer = footer_of(pq.read_metadata(io.BytesIO(changed)), changed[footer_start(changed) : -8])
        n_usual += len(usual().findall(footer))
        with monkeypatch.context() as patched:
            patched.setattr(parquet_pages, "_usual_chunk", lambda: re.compile(rb"(?!)"))
            unusual = chunks(footer)
        assert chunks(footer) == unusual
    assert n_usual > 10


def test_a_footer_that_ends_too_early() -> None:
    data = written()
    footer = data[footer_start(data) : -8]
    for length in range(len(footer)):
        with pytest.raises(ValueError, match=r"^its (footer|structures)"):
            chunks(footer[:length])


def test_no_flipped_bit_of_a_footer_ends_the_process() -> None:
    """pyarrow's metadata of a column did: a histogram whose size contradicts the schema ended it by `abort`."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; from test_parquet_pages import read_damaged; print(*read_damaged())"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-500:]
    n_read, n_refused = map(int, child.stdout.split())
    assert n_read > 100
    assert n_refused > 100


def test_a_footer_with_an_encryption_algorithm_does_not_end_the_process() -> None:
    """pyarrow reads it without a key, and crashed when it wrote it again."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; from test_parquet_pages import read_encrypted; read_encrypted()"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-500:]


def read_encrypted() -> None:
    """Read files with an encryption algorithm at either end of the footer, with each number that Arrow understands."""
    data = written()
    footer = encoded(STRUCT, decoded(data, footer_start(data), STRUCT)[0])
    algorithms: list[Struct] = [{1: (STRUCT, {2: (BINARY, b"12345678")})}, {2: (STRUCT, {})}, {}]
    for number, algorithm in product([8, 8 + (1 << 16), 8 - (1 << 16)], algorithms):
        more = field(number, STRUCT, algorithm)
        for changed in (footer[:-1] + more + b"\0", more + footer, footer[:-1] + more + b"\0 more"):
            with pytest.raises(ValueError, match="encrypted or signed"):
                read_table(pa.BufferReader(with_footer_bytes(data, changed)))


def test_bytes_after_the_footer_are_ignored() -> None:
    data = written()
    longer = with_footer_bytes(data, data[footer_start(data) : -8] + b"more")
    assert read_table(pa.BufferReader(longer)).equals(ROWS)


def read_damaged() -> tuple[int, int]:
    """How many files with one flipped bit in the footer could be read, and how many were refused."""
    data, n_read, n_refused = written(), 0, 0
    for position, bit in product(range(footer_start(data), len(data)), (0, 2, 5)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << bit
        try:
            read_table(pa.BufferReader(bytes(damaged)))
            n_read += 1
        except (ValueError, OSError, pa.ArrowException):
            n_refused += 1
    return n_read, n_refused


def test_a_page_with_the_header_of_another_type_is_damage() -> None:
    """Arrow decodes a page by its type; another header would say how much memory it takes."""
    sizes = b"\x15\x14\x15\x14"  # 10 bytes, as decoded and in the file
    first_format = b"\x2c\x15\x02\x15\x00\x00\x00"  # one value, encoded as PLAIN
    chunk = Chunk(row_group=0, column="text", physical_type=6, values=1, start=0, compressed=23, low=None, high=None)
    types = {b"\x15\x00": "the first format", b"\x15\x06": "the second format", b"\x15\x04": "a dictionary"}
    for kind, name in types.items():
        header = kind + sizes + first_format
        read = partial(_part, header + bytes(10))
        if name == "the first format":
            assert [page.encoding for page in pages(read, chunk)] == [0]
        else:
            with pytest.raises(ValueError, match="header of another type"):
                list(pages(read, chunk))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (b"\x04\x04\x02", "structures"),  # a second size, as an integer of 16 bits
        (b"\x06\x04\x02", None),  # of 64 bits
        (b"\x05\x04\x02", "structures"),  # of 32 bits
    ],
    ids=["16 bits", "64 bits", "32 bits"],
)
def test_a_second_size_is_damage_or_of_another_type(more: bytes, message: str | None) -> None:
    """Arrow uses the last size of 32 bits, and skips one of 64: 900 bytes took 900 MB."""
    header = b"\x15\x00\x15\x14" + more + b"\x15\x14\x2c\x15\x02\x15\x00\x00\x00"
    read = partial(_part, header + bytes(10))
    chunk = Chunk(0, "text", physical_type=6, values=1, start=0, compressed=len(header) + 10, low=None, high=None)
    if message is None:
        assert [page.uncompressed for page in pages(read, chunk)] == [10]
    else:
        with pytest.raises(ValueError, match=message):
            list(pages(read, chunk))


def test_an_encoding_of_more_than_32_bits_is_damage() -> None:
    header = b"\x15\x00\x15\x14\x15\x14\x2c\x15\x02\x15\x8e\x80\x80\x80\x10\x00\x00"  # Arrow reads DELTA_BYTE_ARRAY
    chunk = Chunk(0, "text", physical_type=6, values=1, start=0, compressed=len(header) + 10, low=None, high=None)
    with pytest.raises(ValueError, match="no valid size or encoding"):
        list(pages(partial(_part, header + bytes(10)), chunk))


def test_the_position_of_a_dictionary_has_64_bits() -> None:
    """Arrow ignores another one: if harmless pages were there, a file of 600 bytes took 400 MB."""
    data = written()
    footer = data[footer_start(data) : -8]
    column = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0)
    assert column.dictionary_page_offset == 4
    changed = footer.replace(b"\x26\x08", b"\x25\x08", 1)  # the type of the field, before its value
    assert changed != footer
    assert chunks(footer)[0].start == column.dictionary_page_offset
    assert chunks(changed)[0].start == column.data_page_offset


def hidden_by_false_type(real: Struct, decoy: Struct) -> bytes:
    """A column chunk in which Arrow finds `real`, and readers that believe the types of lists find `decoy`.

    The list of encodings says that it has one byte string. Arrow reads one integer, whatever the list says.
    """
    seen_by_believers = b"".join(field(number, *one) for number, one in decoy.items() if number > 2) + b"\0"
    rest = b"".join(field(number, *one) for number, one in real.items() if number > 2) + b"\0"
    # To Arrow, the decoy is in an unknown field.
    skipped = rest + b"\x08" + integer(100) + varint(len(seen_by_believers))
    false_list = b"\x09\x04" + bytes([16 | BINARY]) + varint(len(skipped)) + skipped
    return field(2, 6, 0) + b"\x0c\x06" + field(1, *real[1]) + false_list + seen_by_believers + b"\0"


def test_a_list_with_a_false_type_hides_nothing() -> None:
    """It hid a page of any size: nerbench checked other pages than Arrow read."""
    sink = io.BytesIO()
    rows = pa.table({"small": ["a"], "large": ["\0" * (MAX_PAGE + 1)]})
    pq.write_table(rows, sink, compression="zstd", use_dictionary=False, store_schema=False, write_statistics=False)
    data = sink.getvalue()
    footer, _ = decoded(data, footer_start(data), STRUCT)
    small, large = (column_chunk(footer, position) for position in range(2))
    honest = encoded(STRUCT, row_group(footer)[1][1][1][1])
    false = hidden_by_false_type(large, large | {number: small[number] for number in (5, 6, 7, 9)})
    written = encoded(STRUCT, footer)
    assert written.count(honest) == 1
    changed = written.replace(honest, false)
    assert [chunk.start for chunk in chunks(changed)] == [small[9][1]] * 2, "believed"
    metadata = pq.read_metadata(io.BytesIO(with_footer_bytes(data, changed)))
    assert [chunk.start for chunk in chunks(footer_of(metadata, changed))] == [small[9][1], large[9][1]]
    with pytest.raises(ValueError, match=f"a page of large has {MAX_PAGE + 11} bytes"):
        read_table(pa.BufferReader(with_footer_bytes(data, changed)))


@pytest.mark.parametrize("number", [4 + (1 << 16), 4 - (1 << 16)])
def test_a_field_number_beyond_16_bits_hides_nothing(number: int) -> None:
    """Arrow drops the upper bits of a number, and uses the last list of row groups."""
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, ROWS.schema.empty_table().select(["n"]).schema) as writer:
        for _ in range(2):
            writer.write_table(ROWS.select(["n"]))
    data = sink.getvalue()
    footer, _ = decoded(data, footer_start(data), STRUCT)
    element, groups = footer[4][1]
    changed = (
        encoded(STRUCT, footer | {4: (9, (element, groups[:1]))})[:-1] + field(number, 9, (element, groups)) + b"\0"
    )
    metadata = pq.read_metadata(io.BytesIO(with_footer_bytes(data, changed)))
    assert metadata.num_row_groups == 2
    assert len(chunks(footer_of(metadata, changed))) == 2


@pytest.mark.parametrize("number", [8 + (1 << 16), 8 - (1 << 16), 8])
def test_a_field_number_of_a_page_is_positive_and_has_15_bits(number: int) -> None:
    header = b"\x15\x00\x15\x14\x15\x14\x2c\x15\x02\x15\x00\x00" + field(number, STRUCT, {1: (5, 9)}) + b"\0"
    chunk = Chunk(0, "text", physical_type=6, values=1, start=0, compressed=len(header) + 10, low=None, high=None)
    with pytest.raises(ValueError, match=r"structures|header of another type"):
        list(pages(partial(_part, header + bytes(10)), chunk))


def test_a_dictionary_has_no_more_entries_than_bytes() -> None:
    """Arrow allocates sixteen bytes for each entry that the header declares."""
    chunk = Chunk(0, "text", physical_type=6, values=1, start=0, compressed=60, low=None, high=None)
    for entries, is_valid in ((10, True), (11, False), (-1, False)):
        header = encoded(STRUCT, {1: (5, 2), 2: (5, 10), 3: (5, 10), 7: (STRUCT, {1: (5, entries), 2: (5, 0)})})
        read = pages(partial(_part, header.ljust(60, b"\0")), chunk)
        if is_valid:
            assert next(read).uncompressed == 10
        else:
            with pytest.raises(ValueError, match="no valid size"):
                next(read)


def test_a_dictionary_at_position_zero_is_none() -> None:
    """As in Arrow, which would otherwise read other pages than those that were checked."""
    data = written(compression="none")
    changed = with_footer(data, lambda footer: column_chunk(footer, 0).update({11: (6, 0)}))
    footer = footer_of(pq.read_metadata(io.BytesIO(changed)), changed[footer_start(changed) : -8])
    first_data = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0).data_page_offset
    assert chunks(footer)[0].start == first_data


def _part(data: bytes, start: int, length: int) -> bytes:
    return data[start : start + length]
