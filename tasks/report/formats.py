"""Formats of values in the page: numbers as Jinja filters, rows and scripts as compressed JSON.

Packed data can never end a script element or be read as HTML, whatever words, labels and names it contains.
"""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from nerbench.tasks.data.arrow_cache import chunked

MINUS = "−"
NOTHING = "–"


def points(value: float | None, digits: int = 1) -> str:
    """`87.8`."""
    return NOTHING if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 1) -> str:
    """`+0.3`, `−1.9`, `0.0`."""
    if value is None:
        return NOTHING
    text = f"{value:+.{digits}f}".replace("-", MINUS)
    return text[1:] if not float(f"{value:.{digits}f}") else text


def interval(number: Any) -> str:
    """The interval of a Number, e.g. `85.9–89.6`; empty if it has none."""
    return "" if number is None or number.low is None else f"{points(number.low)}–{points(number.high)}"


def milliseconds(seconds: float | None) -> str:
    """`9.72`, three digits."""
    return NOTHING if seconds is None else _three_digits(1e3 * seconds)


def megabytes(count: float | None) -> str:
    """`307`."""
    return NOTHING if count is None else _three_digits(count / 1e6)


def count(number: float | None) -> str:
    """`46,435`."""
    return NOTHING if number is None else f"{number:,.0f}"


def significant(number: Any) -> str:
    """A value of any type; floats with four digits."""
    if number is None:
        return NOTHING
    if isinstance(number, bool):
        return "yes" if number else "no"
    if isinstance(number, int):
        return f"{number:,}"
    return f"{number:.4g}".replace("-", MINUS) if isinstance(number, float) else str(number)


def amount(number: float | None) -> str:
    """A number of any size: `46,435`, or six digits of a fraction."""
    if number is None:
        return NOTHING
    is_whole = float(number).is_integer() and abs(number) < 1e15
    return (f"{number:,.0f}" if is_whole else f"{number:.6g}").replace("-", MINUS)


def change(number: float, before: float) -> str:
    """The difference from an earlier number, absolute and relative: `+2 (+5.0 %)`; `0`."""
    if not (difference := number - before):
        return "0"
    share = f" ({difference / abs(before):+,.1%})".replace("%", " %").replace("-", MINUS) if before else ""
    return f"{'+' if difference > 0 else ''}{amount(difference)}{share}"


def _three_digits(number: float) -> str:
    digits = 0 if number >= 100 else 1 if number >= 10 else 2
    return f"{number:,.{digits}f}"


FILTERS: dict[str, Callable[..., str]] = {
    one.__name__: one for one in (points, signed, interval, milliseconds, megabytes, count, significant, amount, change)
}


_LEVEL = 6
"""Level nine takes three times as long and saves one per cent."""


class PackedRows(NamedTuple):
    """Packed rows; some may have been left out."""

    text: str
    shown: int
    total: int


def packed(value: Any) -> str:
    """JSON, compressed with gzip and encoded as Base64. Raises ValueError for NaN and infinity, which JSON lacks.

    An iterator, which may be the value or in its dictionaries, becomes a list, but is not held in memory.
    """
    return _compressed(_parts(value, 2))


def packed_text(text: str) -> str:
    """UTF-8, compressed with gzip and encoded as Base64, always equal for equal text. A lone surrogate becomes `?`."""
    return _compressed([text])


_plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _parts(value: Any, depth: int) -> Iterator[str]:
    """The JSON of a value, with that of iterators and of the values of dictionaries in parts."""
    if isinstance(value, Iterator):
        yield "["
        for number, run in enumerate(chunked(value)):
            yield f"{',' if number else ''}{_plain(run)[1:-1]}"
        yield "]"
        return
    if not depth or not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        yield _plain(value)
        return
    for number, (key, item) in enumerate(value.items()):
        yield f"{',' if number else '{'}{_plain(key)}:"
        yield from _parts(item, depth - 1)
    yield "}" if value else "{}"


def _compressed(parts: Iterable[str]) -> str:
    return base64.b64encode(b"".join(_gzip(parts))).decode("ascii")


def _gzip(parts: Iterable[str]) -> Iterator[bytes]:
    writer = zlib.compressobj(_LEVEL, wbits=16 + zlib.MAX_WBITS)
    for part in parts:
        yield writer.compress(part.encode("utf-8", "replace"))
    yield writer.flush()


def unpacked(text: str) -> Any:
    """The argument of `packed`, as JSON restores it."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def script_hash(script: str) -> str:
    """The hash of a script in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
