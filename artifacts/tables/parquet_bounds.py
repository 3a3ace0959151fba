"""Bounds that a Parquet file must respect before it is decoded: 75 KB can contain a thousand million rows or strings.

The bounds grow with the size of the file, so that large files can be read. They apply to what Arrow reads:
`parquet_pages` explains how another reader can find other things in the same file.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nerbench.artifacts.arrow_arrays import text_array
from nerbench.artifacts.errors import CorruptArtifactError, InputError
from nerbench.artifacts.tables.parquet_pages import MAGIC, Chunk, ReadAt, footer_of, pages, row_groups

Stream = IO[bytes]
Condition = tuple[str, str, Any]
"""Column, operator (`=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`), value."""
MAX_ROWS = 1 << 17
"""Rows of a row group that nerbench writes."""
MAX_FOOTER = 16 << 20
MAX_VALUES, VALUES_A_BYTE = 1 << 23, 64
"""Values of a row group; if there are more, a compressed byte may stand for this many."""
MAX_TOTAL = 1 << 25
"""Values of all row groups; likewise."""
MAX_BYTES, BYTES_A_BYTE = 1 << 28, 100
"""Bytes that are decoded at a time; likewise."""
MAX_PAGE = 1 << 26
_SMALL = 8 << 20
_LITTLE = 1 << 14
"""Bytes of a decoded column chunk up to which an upper bound of its size is exact enough: with its metadata, a chunk
takes more than a hundredth of this in the file."""
_BYTE_ARRAY = 6
_NUMBERS = range(6)
"""BOOLEAN, INT32, INT64, INT96, FLOAT and DOUBLE."""
_PHYSICAL_TYPES = ("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
"""The names of the numbers that column chunks have."""
_PLAIN, _DELTA_LENGTH_BYTE_ARRAY = 0, 6
"""Encodings of strings one after another: decoded, they have no more bytes than their page."""
_DELTA_BYTE_ARRAY = 7
"""An encoding of strings as differences from the previous one: strings of any length in a few bytes."""
_COMPARISONS = {
    "=": pc.equal,
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
OPERATORS = (*_COMPARISONS, "in", "not in")


class _Size(NamedTuple):
    values: int = 0
    compressed: int = 0
    uncompressed: int = 0
    most: int = 0
    """Decoded size limit in bytes: no string of a dictionary is longer than all pages before it."""


@contextmanager
def bounded(stream: Stream, columns: Collection[str] | None = None) -> Iterator[pq.ParquetFile]:
    """A Parquet file from which these columns (None: all) can be read row group by row group, texts as dictionaries.

    Decoded texts may take more memory (see `plain_part`). Raises ValueError if a group takes more memory than its size
    allows, and Arrow's errors.
    """
    stream = _held_if_small(stream)
    with open_footer(stream) as file:
        check_groups(stream, file.metadata, columns)
        metadata = file.metadata
    with open_footer(stream, text_columns(metadata), metadata) as file:
        yield file


def batches(file: pq.ParquetFile, rows: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Consecutive rows of a file, at most so many at a time, each batch from one row group.

    Arrow's `iter_batches` over several row groups keeps memory for each: 300 MB after 46 million words.
    """
    for number in range(file.num_row_groups):
        yield from file.iter_batches(rows, row_groups=[number], columns=columns, use_threads=False)


def read_table(stream: Stream, wanted: Collection[str] | None = None, filters: Sequence[Condition] = ()) -> pa.Table:
    """The rows of a Parquet file for which all filters of wanted columns hold, with the wanted columns that it has.

    A row group whose statistics exclude a filter is skipped, and strings are only decoded in the rows that remain.
    Raises ValueError if they take more memory than the size of the file allows, and Arrow's errors.
    """
    stream = _held_if_small(stream)
    if filters:
        return _read_matching(stream, wanted, filters)
    with open_footer(stream) as file:
        names = _names(file, wanted)
        if check_groups(stream, file.metadata, wanted) <= MAX_BYTES:
            # Threads slow down small reads, and many files are read at once already.
            return file.read(columns=names, use_threads=file.metadata.num_rows > MAX_ROWS)
        metadata = file.metadata
    with open_footer(stream, text_columns(metadata), metadata) as file:
        return pa.concat_tables(_plain_groups(file, names, _size(stream), range(file.num_row_groups)))


def _read_matching(stream: Stream, wanted: Collection[str] | None, filters: Sequence[Condition]) -> pa.Table:
    with open_footer(stream) as file:
        names = _names(file, wanted)
        checked, metadata = _check(stream, file.metadata, wanted, filters), file.metadata
        known, groups = [one for one in filters if one[0] in names], checked.groups
        if groups and checked.most <= MAX_BYTES:
            return matching(file.read_row_groups(groups, columns=names, use_threads=False), known)
    with open_footer(stream, text_columns(metadata), metadata) as file:
        return pa.concat_tables(_plain_groups(file, names, _size(stream), groups, known))


def _names(file: pq.ParquetFile, wanted: Collection[str] | None) -> list[str]:
    names = [name for name in file.schema_arrow.names if wanted is None or name in wanted]
    if len({*names}) < len(names):
        raise ValueError("several of its columns have the same name")
    return names


def matching(rows: pa.Table, filters: Iterable[Condition]) -> pa.Table:
    """The rows for which all filters hold. Raises Arrow's errors for a value of another type than the column.

    Arrow's expressions are not used: they import pandas where it is installed, which takes a third of a second.
    """
    masks = [_mask(rows[column], operator, value) for column, operator, value in filters]
    return rows.filter(reduce(pc.and_kleene, masks)) if masks else rows


def require_comparable(field: pa.Field, one: Condition) -> None:
    """Raise InputError for a value that cannot be compared with a column; a file would seem damaged otherwise."""
    try:
        matching(pa.Table.from_arrays([pa.nulls(1, field.type)], [field.name]), [one])
    except (pa.ArrowException, TypeError, UnicodeEncodeError) as error:
        _, operator, value = one
        problem = f"cannot be compared by {operator} with {value!r:.80}"
        raise InputError(f"column {field.name!r}", problem, f"give a value of the type {field.type}") from error


def _mask(column: pa.ChunkedArray, operator: str, value: Any) -> pa.ChunkedArray:
    if compare := _COMPARISONS.get(operator):
        (scalar,) = _array([value])
        return _of_chunks(column, lambda entries: compare(entries, scalar))
    values = _array(list(value)).cast(_plain_type(column.type))
    mask = _of_chunks(column, partial(pc.is_in, value_set=values))
    # A dictionary does not contain the nulls of its column. `pc.fill_null` would import pandas.
    mask = pc.or_kleene(mask, pc.is_null(mask)) if values.null_count else pc.and_kleene(mask, pc.is_valid(mask))
    return pc.invert(mask) if operator == "not in" else mask


def _array(values: list[Any]) -> pa.Array:
    """The values as Arrow. For anything but texts, Arrow imports pandas."""
    return text_array(values) if all(isinstance(value, str) for value in values) else pa.array(values)


def _of_chunks(column: pa.ChunkedArray, function: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    """The function of each value, computed once for each entry of a dictionary."""
    is_dictionary = pa.types.is_dictionary(column.type)
    parts = (function(one.dictionary).take(one.indices) if is_dictionary else function(one) for one in column.chunks)
    return pa.chunked_array(list(parts), pa.bool_())


def plain_part(rows: pa.Table, size: int) -> pa.Table:
    """Rows of a file of `size` bytes, with decoded texts. Raises ValueError if they take more memory than it allows."""
    if sum(map(decoded_bytes, rows.columns)) > max(MAX_BYTES, BYTES_A_BYTE * size):
        raise ValueError(f"its {size} bytes hold more than {max(MAX_BYTES, BYTES_A_BYTE * size)}")
    return plain(rows)


@contextmanager
def corrupt_if_unreadable(name: str) -> Iterator[None]:
    """Raise CorruptArtifactError naming the file if its bytes are invalid, but not if a disk fails."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # otherwise Arrow's own
            raise
        raise CorruptArtifactError(f"{name} cannot be read: {error}") from error


def open_footer(
    stream: Stream, dictionaries: Collection[str] = (), metadata: pq.FileMetaData | None = None
) -> pq.ParquetFile:
    """A Parquet file of which only the footer has been read, or nothing if `metadata` has it.

    Raises ValueError and Arrow's errors.
    """
    _footer_length(stream)
    stream.seek(0)
    return pq.ParquetFile(
        stream, metadata=metadata, read_dictionary=list(dictionaries), page_checksum_verification=True
    )


def _footer_length(stream: Stream) -> int:
    size = _size(stream)
    end = _read_at(stream, max(size - 8, 0), 8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != MAGIC:
        raise ValueError("it is not a Parquet file")
    if length > min(MAX_FOOTER, size):
        raise ValueError(f"its footer has {length} bytes, more than {min(MAX_FOOTER, size)}")
    return length


def check_groups(stream: Stream, metadata: pq.FileMetaData, columns: Collection[str] | None) -> int:
    """The largest decoded size of these columns in bytes. Raises ValueError for a row group beyond the bounds."""
    return _check(stream, metadata, columns).most


class _Checked(NamedTuple):
    most: int
    """The largest decoded size in bytes."""
    groups: list[int]
    """The row groups that may have matching rows; the others are not checked."""


def _check(
    stream: Stream, metadata: pq.FileMetaData, columns: Collection[str] | None, filters: Sequence[Condition] = ()
) -> _Checked:
    read_at, size = partial(_read_at, stream), _size(stream)
    leaves = [metadata.schema.column(position) for position in range(metadata.num_columns)]
    paths = [leaf.path for leaf in leaves]
    nested = tuple(f"{column}." for column in columns or ())
    wanted = {at for at, path in enumerate(paths) if columns is None or path in columns or path.startswith(nested)}
    checks = {paths.index(one[0]): partial(_may_match, one) for one in filters if one[0] in paths}
    positions = wanted | checks.keys() or {0}  # the size of a column bounds the number of rows, even if none is wanted
    read = [leaves[at] for at in sorted(positions)]
    groups, sizes, rows, in_pages = list[int](), list[_Size](), 0, 0
    length = _footer_length(stream)
    footer = footer_of(metadata, read_at(size - 8 - length, length))
    for number, group in enumerate(row_groups(footer, positions, checks)):
        n_rows = metadata.row_group(number).num_rows
        rows += n_rows
        if group is None:
            continue
        groups.append(number)
        if len(group) < len(read):
            raise ValueError(f"row group {number} lacks columns of the schema")
        in_pages += sum(chunk.compressed for chunk in group)
        if in_pages > size:
            raise ValueError("several of its columns share the same bytes")
        total = _total(_chunk_size(read_at, *one, n_rows) for one in zip(group, read, strict=True))
        if total.values > max(MAX_VALUES, VALUES_A_BYTE * total.compressed):
            raise ValueError(f"row group {number} has {total.values} values in {total.compressed} bytes")
        if total.uncompressed > max(MAX_BYTES, BYTES_A_BYTE * total.compressed):
            raise ValueError(f"row group {number} has {total.uncompressed} bytes, compressed to {total.compressed}")
        sizes.append(total)
    if rows != metadata.num_rows:
        raise ValueError(f"its row groups have {rows} rows instead of {metadata.num_rows}")
    total = _total(sizes)
    if total.values > max(MAX_TOTAL, VALUES_A_BYTE * total.compressed):
        raise ValueError(f"it has {total.values} values in {total.compressed} bytes")
    return _Checked(total.most if wanted else 0, groups)


def _may_match(one: Condition, chunk: Chunk) -> bool:
    """Whether a row group can have rows that match a filter, by the statistics of its text column."""
    _, operator, value = one
    wanted = [value] if operator == "=" else list(value) if operator == "in" else []
    if not wanted or chunk.low is None or chunk.high is None or chunk.physical_type != _BYTE_ARRAY:
        return True
    # A null is in no statistics.
    return any(not isinstance(text, str) or chunk.low <= text.encode() <= chunk.high for text in wanted)


def _total(sizes: Iterable[_Size]) -> _Size:
    return _Size(*map(sum, zip(_Size(), *sizes, strict=True)))


def _chunk_size(read_at: ReadAt, chunk: Chunk, leaf: Any, rows: int) -> _Size:
    """The size of a column chunk of a row group with so many rows. `leaf`: its column in the schema."""
    name, values, compressed, uncompressed, most = chunk.column, 0, 0, 0, 0
    if chunk.physical_type != _PHYSICAL_TYPES.index(leaf.physical_type):  # Arrow decodes by the schema
        raise ValueError(f"{name} has another physical type than in the schema")
    if not (0 <= rows <= chunk.values if leaf.max_repetition_level else rows == chunk.values):
        raise ValueError(f"{name} has {chunk.values} values in {rows} rows")
    for page in pages(read_at, chunk):
        if page.uncompressed > MAX_PAGE:
            raise ValueError(f"a page of {name} has {page.uncompressed} bytes, more than {MAX_PAGE}")
        if page.encoding == _DELTA_BYTE_ARRAY and page.values * page.uncompressed > MAX_BYTES:
            raise ValueError(f"{name} is encoded as DELTA_BYTE_ARRAY; write it with another encoding")
        values, compressed = values + page.values, compressed + page.compressed
        uncompressed += page.uncompressed
        is_whole = chunk.physical_type == _BYTE_ARRAY and page.encoding in {_PLAIN, _DELTA_LENGTH_BYTE_ARRAY}
        most += page.uncompressed if is_whole else page.values * uncompressed
    if values != chunk.values:
        raise ValueError(f"{name} has {values} values instead of {chunk.values}")
    if leaf.physical_type == "FIXED_LEN_BYTE_ARRAY":  # even a null takes the width
        uncompressed = max(uncompressed, leaf.length * values)
    return _Size(values, compressed, uncompressed, 16 * values + (0 if chunk.physical_type in _NUMBERS else most))


def _plain_groups(
    file: pq.ParquetFile, names: list[str], size: int, groups: Iterable[int], filters: Sequence[Condition] = ()
) -> Iterator[pa.Table]:
    """The matching rows of these row groups. Raises ValueError if together they take more memory than `size` allows."""
    most = left = max(MAX_BYTES, BYTES_A_BYTE * size)
    yield plain(file.read_row_groups([], columns=names))
    for number in groups:
        rows = matching(file.read_row_group(number, columns=names, use_threads=False), filters)
        left -= sum(decoded_bytes(column) for column in rows.columns)
        if left < 0:
            raise ValueError(f"its {size} bytes hold more than {most}")
        yield plain(rows)


def text_columns(metadata: pq.FileMetaData) -> list[str]:
    """The string columns. As dictionaries, they take no more than their pages, and a number for each value."""
    leaves = (metadata.schema.column(position) for position in range(metadata.num_columns))
    return [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]


def _held_if_small(stream: Stream) -> Stream:
    """Arrow reads many short parts of a file; it reads them from memory without calling Python."""
    if _size(stream) > _SMALL:
        return stream
    stream.seek(0)
    held: Stream = pa.BufferReader(stream.read())
    return held


def _size(stream: Stream) -> int:
    stream.seek(0, os.SEEK_END)
    return stream.tell()


def _read_at(stream: Stream, start: int, length: int) -> bytes:
    stream.seek(start)
    return stream.read(length)


def decoded_bytes(column: pa.ChunkedArray) -> int:
    """The size of a column whose dictionaries are decoded."""
    return sum(_decoded_bytes(chunk) for chunk in column.chunks)


def _decoded_bytes(array: pa.Array) -> int:
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return 8 * len(array) + _decoded_bytes(array.flatten())
    if pa.types.is_struct(array.type):
        return len(array) + sum(map(_decoded_bytes, array.flatten()))
    if not pa.types.is_dictionary(array.type):
        return int(array.nbytes)
    if (most := len(array) * (4 + array.dictionary.nbytes)) < _LITTLE:
        return int(most)
    lengths = pc.binary_length(array.dictionary).cast(pa.int64())
    longest = pc.max(lengths).as_py() or 0
    if longest * len(array) > MAX_PAGE:
        longest_first = pc.sum(lengths.take(array.indices.drop_null())).as_py() or 0
        return 4 * len(array) + int(longest_first)
    return (4 + longest) * len(array)


def plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column with decoded strings. Raises ValueError if they take more than MAX_BYTES."""
    if decoded_bytes(column) > MAX_BYTES:
        raise ValueError(f"{len(column)} of its strings have more than {MAX_BYTES} bytes")
    return column.cast(_plain_type(column.type))


def plain(rows: pa.Table) -> pa.Table:
    """The rows with decoded strings."""
    return rows.cast(pa.schema([pa.field(f.name, _plain_type(f.type), f.nullable) for f in rows.schema]))


def _plain_type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([one.with_type(_plain_type(one.type)) for one in kind])
    return kind.value_type if pa.types.is_dictionary(kind) else kind
