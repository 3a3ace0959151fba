"""Packed rows are restored, and none of them can be read as HTML."""

import base64
import gzip
import hashlib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerbench.tasks.data.arrow_cache import CHUNK
from nerbench.tasks.report.formats import packed, packed_text, script_hash, unpacked

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None, max_examples=50)
@given(values)
def test_values_come_back(value: object) -> None:
    found = packed(value)
    assert re.fullmatch(r"[A-Za-z0-9+/=]*", found)
    assert unpacked(found) == value
    whole = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    assert base64.b64decode(found) == gzip.compress(whole, 6, mtime=0), "as if it were compressed at once"


@pytest.mark.parametrize("n", [0, 1, CHUNK, CHUNK + 1])
def test_an_iterator_is_a_list_that_is_not_held(n: int) -> None:
    held, most = 0, 0

    class Item(dict[str, int]):
        def __init__(self, number: int) -> None:
            nonlocal held, most
            super().__init__(at=number)
            held += 1
            most = max(most, held)

        def __del__(self) -> None:
            nonlocal held
            held -= 1

    plain = [{"at": number} for number in range(n)]
    assert packed({"a": {"b": map(Item, range(n))}, "c": iter([])}) == packed({"a": {"b": plain}, "c": []})
    assert packed(map(Item, range(3 * n))) == packed([{"at": number} for number in range(3 * n)])
    assert most <= 2 * CHUNK


def test_text_is_gzip_that_a_browser_reads_and_the_same_each_time() -> None:
    text = "</script><!-- " * 100
    assert gzip.decompress(base64.b64decode(packed_text(text))).decode() == text
    assert packed_text(text) == packed_text(text)


def test_a_number_that_json_lacks_is_a_bug() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        packed([float("nan")])


def test_a_script_is_named_as_browsers_name_it() -> None:
    expected = base64.b64encode(hashlib.sha256(b"alert(1)").digest()).decode()
    assert script_hash("alert(1)") == f"'sha256-{expected}'"
