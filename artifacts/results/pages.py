"""The page headers of a Parquet file: what its pages take once they are decoded, before any of them is.

A footer only claims sizes; the headers of the pages are what a reader allocates by. They are structures of Thrift's
compact protocol: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow.parquet as pq

ReadAt = Callable[[int, int], bytes]
"""The bytes of a file from a position on: as many as there are, up to a number."""

_HEADER = 256
"""Bytes that nearly all headers fit into."""
_MAX_HEADER = 1 << 20
_DATA, _DATA_V2 = 5, 8
"""Fields of a header: what it says of a data page, in the two formats."""


class Page(NamedTuple):
    """What the header of a page says."""

    values: int
    """0 for a dictionary."""
    compressed: int
    """Bytes."""
    uncompressed: int
    """Bytes."""
    encoding: int | None
    """Of a data page."""


def pages(read_at: ReadAt, chunk: pq.ColumnChunkMetaData) -> Iterator[Page]:
    """The pages of a column chunk. Raises ValueError where they are not what its footer says."""
    start = chunk.data_page_offset
    if chunk.dictionary_page_offset is not None:
        start = min(start, chunk.dictionary_page_offset)
    at, end = start, start + chunk.total_compressed_size
    seen = 0
    while at < end and seen < chunk.num_values:  # as Arrow goes on
        header, length = _header(read_at, at)
        page = _page(header)
        at += length + page.compressed
        seen += page.values
        yield page
    if at > end:
        raise ValueError("a page goes beyond its column")


def _header(read_at: ReadAt, at: int) -> tuple[dict[int, Any], int]:
    size = _HEADER
    while True:
        data = read_at(at, size)
        try:
            return _struct(data, 0)
        except IndexError:
            if len(data) < size or size >= _MAX_HEADER:
                raise ValueError("a page has no header that can be read") from None
        except RecursionError:
            raise ValueError("a page has no header that can be read") from None
        size *= 16


def _page(header: dict[int, Any]) -> Page:
    data = header.get(_DATA) or header.get(_DATA_V2) or {}
    encoding = data.get(2 if _DATA in header else 4)
    page = Page(data.get(1, 0), header.get(3, -1), header.get(2, -1), encoding)
    if min(page.values, page.compressed, page.uncompressed) < 0:
        raise ValueError("a page says no size")
    return page


def _struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    """The fields of a structure by number, and where it ends; what is no number and no structure is passed over."""
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        if 4 <= kind <= 6:
            value = data[at]
            if value < 128:  # most are, and calls take time
                fields[number], at = (value >> 1) ^ -(value & 1), at + 1
            else:
                fields[number], at = _integer(data, at)
        elif kind == 12:
            fields[number], at = _struct(data, at)
        elif kind == 8:
            length, at = _varint(data, at)
            at += length
        elif kind == 7:
            at += 8
        elif kind == 3:
            at += 1
        elif kind not in (1, 2):  # true and false, which are all there is of them
            raise ValueError("a page has no header that can be read")
    return fields, at + 1


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while byte := data[at := at + 1]:
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise ValueError("a page has no header that can be read")
    return value, at + 1
