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


def dictionary_array(indices: npt.NDArray[np.int32], texts: Sequence[str]) -> pa.DictionaryArray:
    """(indices,) the text at each index of `texts`."""
    data: Any = pa.py_buffer(np.ascontiguousarray(indices, np.int32))
    return pa.DictionaryArray.from_arrays(
        pa.Array.from_buffers(pa.int32(), len(indices), [None, data]), text_array(texts)
    )


def dictionary_indices(column: pa.DictionaryArray) -> npt.NDArray[np.integer[Any]]:
    """(column,) the index of each value in the dictionary, as a view. Raises TypeError for nulls."""
    return cast(npt.NDArray[np.integer[Any]], np.from_dlpack(column.indices))
