"""Plain values and scripts, small and safe to stand in a page: JSON, compressed, in letters and digits alone.

Nothing packed can end a script element or be read as HTML, whatever words, labels and names it holds.
"""

import base64
import gzip
import hashlib
import json
from typing import Any, NamedTuple

_LEVEL = 6
"""Nine takes three times as long for one per cent."""


class PackedRows(NamedTuple):
    """Packed rows, of which some may have been left out."""

    text: str
    shown: int
    total: int


def packed(value: Any) -> str:
    """Base64 of gzip of JSON; raises ValueError for NaN and infinity, which JSON does not have."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return packed_text(text)


def packed_text(text: str) -> str:
    """Base64 of gzip of UTF-8; the same text always gives the same. A lone half of a surrogate pair becomes `?`."""
    data = gzip.compress(text.encode("utf-8", "replace"), _LEVEL, mtime=0)
    return base64.b64encode(data).decode("ascii")


def unpacked(text: str) -> Any:
    """What `packed` was given, as JSON gives it back."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def script_hash(script: str) -> str:
    """What a Content-Security-Policy names a script by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
