"""Makes and reads Arrow arrays without pandas.

`pa.array` and `to_numpy` import pandas if it is installed, which takes a third of a second.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def text_array(texts: Iterable[str]) -> pa.StringArray:
    """The texts as an array."""
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def dictionary_array(codes: npt.NDArray[np.int32], texts: Sequence[str]) -> pa.DictionaryArray:
    """(codes,) the text at each position in `texts`."""
    indices: Any = pa.py_buffer(np.ascontiguousarray(codes, np.int32))
    return pa.DictionaryArray.from_arrays(
        pa.Array.from_buffers(pa.int32(), len(codes), [None, indices]), text_array(texts)
    )


def positions(column: pa.DictionaryArray) -> npt.NDArray[np.integer[Any]]:
    """(column,) the position of each value in the dictionary, as a view. Raises ValueError for nulls."""
    return cast(npt.NDArray[np.integer[Any]], np.from_dlpack(column.indices))
