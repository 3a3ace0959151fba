"""Changes the footer of a Parquet file: structures of Thrift's compact protocol as Python values, and back.

A structure is a dict of (type, value) by field number, and a list is (type of the elements, values).
"""

from collections.abc import Callable
from typing import Any

BOOLEANS, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12
Struct = dict[int, tuple[int, Any]]


def footer_start(data: bytes) -> int:
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def with_footer(data: bytes, change: Callable[[Struct], None]) -> bytes:
    """The bytes of a file with a changed footer."""
    footer, _ = decoded(data, footer_start(data), STRUCT)
    change(footer)
    return with_footer_bytes(data, encoded(STRUCT, footer))


def with_footer_bytes(data: bytes, footer: bytes) -> bytes:
    return data[: footer_start(data)] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def row_group(footer: Struct, number: int = 0) -> Struct:
    group: Struct = footer[4][1][1][number]
    return group


def column_chunk(footer: Struct, position: int) -> Struct:
    """The `ColumnMetaData` of a column of the first row group."""
    chunk: Struct = row_group(footer)[1][1][1][position][3][1]
    return chunk


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def integer(number: int) -> bytes:
    return varint(2 * number if number >= 0 else -2 * number - 1)


def encoded(kind: int, value: Any) -> bytes:
    if kind in BOOLEANS:
        return b""
    if kind in INTEGERS:
        return integer(value)
    if kind == BINARY:
        return varint(len(value)) + value
    if kind in LISTS:
        element, values = value
        return bytes([240 | element]) + varint(len(values)) + b"".join(encoded(element, one) for one in values)
    return b"".join(field(number, *one) for number, one in sorted(value.items())) + b"\0"


def field(number: int, kind: int, value: Any) -> bytes:
    """A field with its number in full, after any other."""
    if kind in BOOLEANS:
        kind = 1 if value else 2
    return bytes([kind]) + integer(number) + encoded(kind, value)


def decoded(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    """A value, and the position after it."""
    if kind in BOOLEANS:
        return kind == 1, at
    if kind in INTEGERS:
        number, at = _varint(data, at)
        return (number >> 1) ^ -(number & 1), at
    if kind == BINARY:
        length, at = _varint(data, at)
        return data[at : at + length], at + length
    found: Any
    if kind in LISTS:
        element, length, at, found = data[at] & 15, data[at] >> 4, at + 1, []
        if length == 15:
            length, at = _varint(data, at)
        for _ in range(length):
            value, at = decoded(data, at, element)
            found.append(value)
        return (element, found), at
    number, found = 0, {}
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = decoded(data, at, INTEGERS[0])
        value, at = decoded(data, at, head & 15)
        found[number] = head & 15, value
    return found, at + 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] > 127:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1
