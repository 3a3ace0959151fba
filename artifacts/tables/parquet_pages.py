"""Column chunks and page headers of a Parquet file, read before anything is decoded.

The footer claims sizes; the headers of the pages determine how much a reader allocates. Both are structures of Thrift's
compact protocol: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift

Two readers of a hostile footer can find different things in it: Arrow ignores the declared type of the elements of a
list and the upper bits of a field number. Therefore, Arrow reads the footer and rewrites it, and this module reads only
what Arrow wrote. pyarrow's metadata of a column is not used: it aborts the process if a footer contradicts itself.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

import pyarrow.parquet as pq

ReadAt = Callable[[int, int], bytes]
"""Reads bytes of a file from a position, up to a number."""

_HEADER = 256
"""Nearly all headers fit into this many bytes."""
_MAX_HEADER = 1 << 20
_ROW_GROUPS, _COLUMNS, _META_DATA, _STATISTICS = 4, 1, 3, 12
"""Field numbers on the path from the footer to the statistics of a column chunk."""
_HIGH, _LOW = 5, 6
"""The fields of statistics with the highest and the lowest value."""
_TYPE, _DATA, _DICTIONARY, _DATA_V2 = 1, 5, 7, 8
"""The fields of a header with the type of the page, about a data page in the two formats, and about a dictionary."""
_FIELD_OF_TYPE = {0: _DATA, 3: _DATA_V2}
"""The field of a header about a data page, by the type of the page."""
_TRUE, _FALSE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_I32, _I64 = 5, 6
"""Type numbers of the compact protocol."""
_WIDE = 1 << 16
"""Added to the number of a field with an integer of 64 bits: Arrow skips an integer whose type it does not expect."""
_WIDTHS = {3: 1, 7: 8}
"""Size in bytes of the fixed-width types, byte and double."""
_MAX_FIELD = (1 << 15) - 1
MAGIC = b"PAR1"
_ENCRYPTION = b"\x0c\x10\x00"
"""An encryption algorithm in a footer: a structure without fields, and its number in full."""
_UNREADABLE = "its structures are not those of a Parquet file"


class Chunk(NamedTuple):
    """The metadata of a column in a row group, from the footer."""

    row_group: int
    column: str
    """The name of the top-level column."""
    physical_type: int
    values: int
    start: int
    """Byte position of the first page."""
    compressed: int
    """Bytes of all pages, with their headers."""
    low: bytes | None
    """The lowest value as it is stored; None if it is unknown."""
    high: bytes | None
    """The highest value."""


class Page(NamedTuple):
    """The content of a page header."""

    values: int
    """0 for a dictionary page."""
    compressed: int
    """Bytes."""
    uncompressed: int
    """Bytes."""
    encoding: int | None
    """None for a dictionary page."""


def footer_of(metadata: pq.FileMetaData, stored: bytes) -> bytes:
    """The footer of a file as Arrow understood it. `stored`: the footer as the file has it.

    Raises ValueError if the metadata is encrypted or signed: Arrow ends the process when it writes such a footer.
    """
    # pyarrow has no attribute for this: metadata that had the field already is equal to metadata with it once more.
    twin = MAGIC + stored[: metadata.serialized_size - 1] + _ENCRYPTION + b"\x00"
    twin += (len(twin) - len(MAGIC)).to_bytes(4, "little") + MAGIC
    if metadata.equals(pq.read_metadata(BytesIO(twin))) or not metadata.equals(metadata):  # not a number is unequal
        raise ValueError("it is encrypted or signed, or its geospatial statistics are not numbers")
    sink = BytesIO()
    metadata.write_metadata_file(sink)
    return sink.getvalue()[4:-8]


def row_groups(
    footer: bytes, wanted: Collection[int], may_match: Mapping[int, Callable[[Chunk], bool]]
) -> Iterator[list[Chunk] | None]:
    """The wanted column chunks of each row group; None if the statistics of a chunk exclude that any row matches.

    `footer`: from `footer_of`.
    Columns are identified by their position, as Arrow does; the other chunks are skipped unread. `may_match`: the
    check of each of these columns. Raises ValueError if the footer cannot be read.
    """
    reader, usual = _Reader(footer), _usual_chunk()
    try:
        for row_group, _ in enumerate(reader.structs(_ROW_GROUPS)):
            found: list[Chunk] | None = []
            for position, _ in enumerate(reader.structs(_COLUMNS)):
                check, start, match = may_match.get(position), reader.at, usual.match(footer, reader.at)
                if match:
                    reader.at = match.end()
                else:
                    reader.skip_struct()
                if found is not None and (check or position in wanted):
                    chunk = _of_match(match, row_group) if match else _chunk(_Reader(footer, start), row_group)
                    found = None if check and not check(chunk) else [*found, chunk]
            yield found
    except (IndexError, RecursionError):
        raise ValueError("its footer cannot be read") from None


@cache
def _usual_chunk() -> re.Pattern[bytes]:
    """The pattern of nearly all column chunks that Arrow writes: it takes a third of the time of reading each field.

    It matches no nested column, and no text of more than 64 bytes. Each header in the pattern has the type of the value
    that follows (its lower four bits), so that a match ends where a reader of the fields would end.
    """

    def several(kind: int, element: bytes) -> bytes:
        return b"(?:" + b"|".join(re.escape(bytes([n << 4 | kind])) + element * n for n in range(7)) + b")"

    number, byte = rb"[\x80-\xff]*[\x00-\x7f]", rb"[\x00-\xff]"
    text = b"(?:" + b"|".join(re.escape(bytes([n])) + byte + b"{%d}" % n for n in range(65)) + b")"
    statistics = (
        rb"(?:\x18%(text)s\x18%(text)s)?(?:[\x16\x36]%(number)s)?(?:\x16%(number)s)?"
    ) + rb"(?:[\x18\x28\x38\x58](?P<high>%(text)s)\x18(?P<low>%(text)s))?[\x11\x12]*\x00"
    pattern = (
        rb"\x26%(number)s\x1c\x15(?P<type>%(number)s)\x19%(encodings)s\x19\x18(?P<column>%(text)s)\x15%(number)s"
        rb"\x16(?P<values>%(number)s)\x16%(number)s\x16(?P<compressed>%(number)s)"
        rb"\x26(?P<data>%(number)s)(?:\x26(?P<dictionary>%(number)s))?(?:[\x1c\x3c]" + statistics + rb")?"
        rb"(?:[\x19\x29\x49]%(pages)s)?(?:[\x3c\x4c\x5c\x7c](?:\x16%(number)s)?(?:[\x19\x29\x39]%(counts)s)*\x00)?\x00\x00"
    )
    parts = {b"number": number, b"text": text, b"encodings": several(_I32, number), b"counts": several(_I64, number)}
    return re.compile(pattern % (parts | {b"pages": several(_STRUCT, (rb"\x15" + number) * 3 + rb"\x00")}))


def _of_match(match: re.Match[bytes], row_group: int) -> Chunk:
    type_, column, values, compressed, data, dictionary, high, low = match.group(
        "type", "column", "values", "compressed", "data", "dictionary", "high", "low"
    )
    first, before = _signed(data), _signed(dictionary) if dictionary else 0
    ends = (low[1:], high[1:]) if high else (None, None)
    numbers = _signed(type_), _signed(values), _start(first, before), _signed(compressed)
    return Chunk(row_group, column[1:].decode(), *numbers, *ends)


def _start(data: int, dictionary: int) -> int:
    """The position of the first page, as in Arrow. Some writers give the dictionary the position 0 if there is none."""
    return dictionary if 0 < dictionary < data else data


def _chunk(reader: "_Reader", row_group: int) -> Chunk:
    claimed = reader.struct({_META_DATA, _STATISTICS}).get(_META_DATA, {})
    try:
        start = _start(claimed[_WIDE + 9], claimed.get(_WIDE + 11, 0))
        known = claimed.get(_STATISTICS, {})
        ends = known.get(_LOW), known.get(_HIGH)
        low, high = ends if all(isinstance(end, bytes) for end in ends) else (None, None)
        values, compressed = claimed[_WIDE + 5], claimed[_WIDE + 7]
        return Chunk(row_group, claimed[3].decode(), claimed[1], values, start, compressed, low, high)
    except (KeyError, TypeError, AttributeError):
        raise ValueError("its footer does not describe a column") from None


def pages(read_at: ReadAt, chunk: Chunk) -> Iterator[Page]:
    """The pages of a column chunk. Raises ValueError if they contradict the footer."""
    at, end = chunk.start, chunk.start + chunk.compressed
    seen = 0
    while at < end and seen < chunk.values:  # Arrow stops at the same place
        header, length = _header(read_at, at)
        page = _page(header)
        at += length + page.compressed
        seen += page.values
        yield page
    if at > end:
        raise ValueError("a page exceeds its column")


def _header(read_at: ReadAt, at: int) -> tuple[dict[int, Any], int]:
    size = _HEADER
    while True:
        data = read_at(at, size)
        reader = _Reader(data)
        try:
            return reader.struct({_DATA, _DICTIONARY, _DATA_V2}), reader.at
        except IndexError:
            if len(data) < size or size >= _MAX_HEADER:
                raise ValueError("a page has no header that can be read") from None
        except RecursionError:
            raise ValueError("a page has no header that can be read") from None
        size *= 16


def _page(header: dict[int, Any]) -> Page:
    field = _FIELD_OF_TYPE.get(header.get(_TYPE, -1), 0)
    if {_DATA, _DATA_V2} & header.keys() != {field} - {0}:  # Arrow relies on the type
        raise ValueError("a page has the header of another type of page")
    data = header.get(field) or {}
    try:
        encoding = data.get(2 if field == _DATA else 4)
        page = Page(data.get(1, 0), header.get(3, -1), header.get(2, -1), encoding)
        entries = header.get(_DICTIONARY, {}).get(1, 0)
        numbers = (page.values, page.compressed, page.uncompressed, encoding or 0)
        is_valid = all(0 <= one < 1 << 31 for one in numbers)  # Arrow would drop higher bits
        is_valid &= 0 <= entries <= page.uncompressed  # Arrow allocates an entry before it reads it
    except (AttributeError, TypeError):
        is_valid = False
    if not is_valid:
        raise ValueError("a page has no valid size or encoding")
    return page


class _Reader:
    """A reader of the compact protocol, from the first byte on.

    Its methods raise IndexError at the end of the bytes, and RecursionError if structures are nested too deeply.
    """

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def struct(self, nested: Collection[int] = ()) -> dict[int, Any]:
        """Read a structure: its integers (see _WIDE), byte strings and `nested` structures by field number.

        Of a list of byte strings, only the first one is kept. Raises ValueError for a field that is there twice: Arrow
        uses the last one.
        """
        fields: dict[int, Any] = {}
        data, number = self.data, 0
        while head := data[self.at]:
            self.at += 1
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._integer()
            key = number + _WIDE if kind == _I64 else number
            if key in fields or not 0 < number <= _MAX_FIELD:
                raise ValueError(_UNREADABLE)
            if kind in {_I32, _I64}:
                value = data[self.at]
                if value < 128:  # the common case, without a call
                    self.at += 1
                    fields[key] = (value >> 1) ^ -(value & 1)
                else:
                    fields[key] = self._integer()
            elif kind == _STRUCT and number in nested:
                fields[number] = self.struct(nested)
            elif kind == _BINARY:
                fields[number] = self._bytes()
            elif kind == _LIST:
                element, length = self._list()
                if element == _BINARY and length:
                    fields[number], length = self._bytes(), length - 1
                self.at = _end_of_elements(data, self.at, element, length)
            else:
                self._skip(kind)
        self.at += 1
        return fields

    def structs(self, wanted: int) -> Iterator[None]:
        """Read a structure and yield at each element of its list `wanted`; the caller reads the element."""
        number = 0
        while head := self.data[self.at]:
            self.at += 1
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._integer()
            if number != wanted:
                self._skip(kind)
                continue
            for _ in range(self._list()[1]):
                yield
        self.at += 1

    def skip_struct(self) -> None:
        """Skip a structure."""
        self.at = _end_of_struct(self.data, self.at)

    def _skip(self, kind: int) -> None:
        self.at = _end(self.data, self.at, kind)

    def _list(self) -> tuple[int, int]:
        element, length, self.at = _list(self.data, self.at)
        return element, length

    def _bytes(self) -> bytes:
        length, start = _varint(self.data, self.at)
        self.at = start + length
        return self.data[start : self.at]

    def _integer(self) -> int:
        value, self.at = _varint(self.data, self.at)
        return (value >> 1) ^ -(value & 1)


def _signed(data: bytes) -> int:
    """The integer in these bytes."""
    value = _varint(data, 0)[0]
    return (value >> 1) ^ -(value & 1)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned integer, and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(_UNREADABLE)


def _list(data: bytes, at: int) -> tuple[int, int, int]:
    """The element type of a list, its length, and the position of its first element."""
    head = data[at]
    return (head & 15, head >> 4, at + 1) if head < 240 else (head & 15, *_varint(data, at + 1))


def _end(data: bytes, at: int, kind: int) -> int:
    """The position after a value."""
    if kind in _INTEGERS:
        while data[at] > 127:
            at += 1
        return at + 1
    if kind == _BINARY:
        length, at = _varint(data, at)
        return at + length
    if kind == _STRUCT:
        return _end_of_struct(data, at)
    if kind in (_LIST, _SET):
        element, length, at = _list(data, at)
        return _end_of_elements(data, at, element, length)
    if kind in (_TRUE, _FALSE):  # the type is the value
        return at
    if kind in _WIDTHS:
        return at + _WIDTHS[kind]
    raise ValueError(_UNREADABLE)


def _end_of_struct(data: bytes, at: int) -> int:
    """Like `_end`. Nearly all fields are skipped without a call: a footer has tens of thousands."""
    while head := data[at]:
        at = at + 1 if head > 15 else _varint(data, at + 1)[1]
        kind = head & 15
        if 3 < kind < 7:  # an integer
            while data[at] > 127:
                at += 1
            at += 1
        elif kind == _BINARY and data[at] < 128:
            at += 1 + data[at]
        elif kind == _LIST and data[at] < 240:
            at = _end_of_elements(data, at + 1, data[at] & 15, data[at] >> 4)
        elif kind == _STRUCT:
            at = _end_of_struct(data, at)
        else:
            at = _end(data, at, kind)
    return at + 1


def _end_of_elements(data: bytes, at: int, element: int, length: int) -> int:
    if element in _INTEGERS:
        for _ in range(length):
            while data[at] > 127:
                at += 1
            at += 1
        return at
    if element == _STRUCT:
        for _ in range(length):
            at = _end_of_struct(data, at)
        return at
    width = 1 if element in (_TRUE, _FALSE) else _WIDTHS.get(element)
    if width:
        return at + width * length
    for _ in range(length):
        at = _end(data, at, element)
    return at
