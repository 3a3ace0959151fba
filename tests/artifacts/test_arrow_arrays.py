import subprocess
import sys

import numpy as np
import pyarrow as pa

from nerbench.artifacts.arrow_arrays import dictionary_array, positions, text_array


def test_arrays_are_those_of_pyarrow() -> None:
    assert text_array(["a", "", "é\u2028"]).equals(pa.array(["a", "", "é\u2028"]))
    assert text_array([]).equals(pa.array([], pa.string()))
    codes = np.array([[1, 7], [0, 7], [1, 7]], np.int32)[:, 0]  # not contiguous
    assert dictionary_array(codes, ["a", "b"]).equals(pa.DictionaryArray.from_arrays(codes, ["a", "b"]))
    assert positions(dictionary_array(codes, ["a", "b"])[1:]).tolist() == [0, 1]
    assert dictionary_array(np.zeros(0, np.int32), []).type == pa.dictionary(pa.int32(), pa.string())


def test_tags_are_read_without_pandas() -> None:
    code = (
        "import sys, numpy as np; from nerbench.artifacts.arrow_arrays import dictionary_array\n"
        "from nerbench.tasks.data.tag_schemes import read_tags, split_tag\n"
        "from nerbench.tasks.scoring.entities import encode\n"
        "names = ['O', 'B-PER']; labels = {name: split_tag(name, 'auto') for name in names}\n"
        "reading = read_tags(labels, inside_begins=True, label_map={}, ignore_labels=frozenset())\n"
        "starts = np.array([True, False])\n"
        "tags = reading.read(dictionary_array(np.array([0, 1], np.int32), names), starts)\n"
        "print(tags.to_pylist(), encode(tags, ['PER']).tolist(), 'pandas' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.startswith("['O', 'B-PER'] ")
    assert child.stdout.endswith(" False\n")
